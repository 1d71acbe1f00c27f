"""`tinyrack flash`: program an ELF file on boards and verify it by reading it back."""

import hashlib
from argparse import Namespace
from pathlib import Path

from farm.errors import ImageError, InventoryError
from farm.image import Image, load_segments
from farm.inventory import Board, load_rack, select
from farm.lease import lease, renewing
from farm.mcus import load_mcu
from farm.output import note, print_json, print_line
from farm.probe import open_probe
from farm.virtual.rack import ensure_up

MAX_ELF_BYTES = 64 << 20
_WAIT_S = 60.0


def run(args: Namespace) -> int:
    """Flash one board after the other; each is verified before the next begins."""
    boards = select(load_rack(args.boards_file), args.boards)
    elf = _read(Path(args.elf))
    name = Path(args.elf).name
    try:
        images = [_image(name, elf, board) for board in boards]
    except ImageError as error:
        raise InventoryError(f"{args.elf}: {error}") from error
    rows = []
    for board, image in zip(boards, images, strict=True):
        note(f"{board.id}: flashing")
        flash(board, image)
        rows.append(
            {
                "board": board.id,
                "board_type": board.type.name,
                "virtual": board.virtual,
                "flash_bytes": image.flash_bytes,
                "elf_sha256": image.image_sha256,
                "verified": True,
            }
        )
        if not args.json:
            print_line(f"{board.id}: {image.flash_bytes:,} bytes, verified")
    if args.json:
        print_json({"results": rows})
    return 0


def flash(board: Board, image: Image) -> None:
    """Program, verify and start one image on one board, holding its lease."""
    with lease(board, _WAIT_S) as held, renewing(held):
        if board.virtual:
            ensure_up(board)
        with open_probe(board, load_mcu(board.type.mcu)) as probe:
            probe.flash(image)
            probe.verify(image)
            held.check()
            probe.reset()


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise InventoryError(f"{path}: no such file")
    if path.stat().st_size > MAX_ELF_BYTES:
        raise InventoryError(f"{path}: larger than {MAX_ELF_BYTES >> 20} MiB")
    return path.read_bytes()


def _image(name: str, elf: bytes, board: Board) -> Image:
    """Anybody's ELF as an image: only its name and segments mean anything."""
    return Image(
        name=name,
        elf=elf,
        image_sha256=hashlib.sha256(elf).hexdigest(),
        image_key="",
        flash_bytes=sum(len(data) for _, data in load_segments(elf)),
        static_ram_bytes=0,
        arena_bytes=0,
        stack_bytes=0,
        sections={},
        compiler="",
        flags=(),
        board_type=board.type.name,
        mcu=board.type.mcu,
        layers=(),
    )
