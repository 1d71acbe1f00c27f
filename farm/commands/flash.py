"""`tinyrack flash`: program an ELF file on boards and verify it by reading it back."""

import hashlib
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from farm.commands.audited import audited
from farm.errors import ImageError, InventoryError
from farm.image import load_segments
from farm.inventory import Board, load_rack, select
from farm.lease import lease, renewing
from farm.mcus import load_mcu
from farm.output import note, print_json, print_line
from farm.probe import Programmable, check_fits, open_probe
from farm.virtual.rack import ensure_up

MAX_ELF_BYTES = 64 << 20
_WAIT_S = 60.0


@dataclass(frozen=True)
class ElfFile:
    """Anybody's ELF: only its name and the bytes that it loads mean anything."""

    name: str
    sha256: str
    parts: tuple[tuple[int, bytes], ...]

    def segments(self) -> list[tuple[int, bytes]]:
        """(load address, bytes) of each part that is programmed."""
        return list(self.parts)


def run(args: Namespace) -> int:
    """Flash one board after the other; each is verified before the next begins."""
    rack = load_rack(args.boards_file)
    boards = select(rack, args.boards)
    image = _load(Path(args.elf))
    for board in boards:  # all before the first is touched
        _check_fits(image, board)
    flash_bytes = sum(len(data) for _, data in image.parts)
    rows = []
    for board in boards:
        note(f"{board.id}: flashing")
        with audited(rack, "flash", board, image_sha256=image.sha256, image=image.name):
            flash(board, image)
        rows.append(
            {
                "board": board.id,
                "board_type": board.type.name,
                "virtual": board.virtual,
                "flash_bytes": flash_bytes,
                "elf_sha256": image.sha256,
                "verified": True,
            }
        )
        if not args.json:
            print_line(f"{board.id}: {flash_bytes:,} bytes, verified")
    if args.json:
        print_json({"results": rows})
    return 0


def flash(board: Board, image: Programmable) -> None:
    """Program, verify and start one image on one board, holding its lease."""
    with lease(board, _WAIT_S) as held, renewing(held):
        if board.virtual:
            ensure_up(board)
        with open_probe(board, load_mcu(board.type.mcu)) as probe:
            probe.flash(image)
            probe.verify(image)
            held.check()
            probe.reset()


def _load(path: Path) -> ElfFile:
    data = _read(path)
    try:
        parts = tuple(load_segments(data))
    except ImageError as error:
        raise InventoryError(f"{path}: {error}") from error
    return ElfFile(path.name, hashlib.sha256(data).hexdigest(), parts)


def _check_fits(image: ElfFile, board: Board) -> None:
    try:
        check_fits(image, load_mcu(board.type.mcu))
    except ImageError as error:
        raise InventoryError(f"{board.id}: {error}") from error


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise InventoryError(f"{path}: no such file")
    if path.stat().st_size > MAX_ELF_BYTES:
        raise InventoryError(f"{path}: larger than {MAX_ELF_BYTES >> 20} MiB")
    return path.read_bytes()
