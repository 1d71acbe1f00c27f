"""`tinyrack flash`: program an ELF file on boards and verify it by reading it back."""

from argparse import Namespace
from pathlib import Path

from farm.commands.audited import audited
from farm.elf_file import ElfFile, check_runs, load_elf
from farm.errors import ImageError, InventoryError
from farm.leases.lease import lease, refuse_quarantined, renewing
from farm.mcus import load_mcu
from farm.measure import Scalar
from farm.output import note, print_json, print_line
from farm.probe import Programmable, open_probe
from farm.rack.inventory import Board, load_rack
from farm.rack.rack_checks import selected
from farm.virtual.rack import ensure_up
from farm.wear import wear_of, worn_warning

_WAIT_S = 60.0


def run(args: Namespace) -> int:
    """Flash one board after the other; each is verified before the next begins."""
    rack = load_rack(args.boards_file)
    boards = selected(rack, args.boards)
    image = load_elf(Path(args.elf))
    for board in boards:  # all before the first is touched
        _check(image, board)
        refuse_quarantined(board)
    flash_bytes = sum(len(data) for _, data in image.parts)
    rows = []
    for board in boards:
        note(f"{board.id}: flashing")
        what: dict[str, Scalar] = {"image": image.name, "build_id": image.build_id}
        with audited(rack, "flash", board, image_sha256=image.sha256, **what):
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
        if worn := _worn(board):
            note(f"warning: {worn}")
        if not args.json:
            print_line(f"{board.id}: {flash_bytes:,} bytes, verified")
    if args.json:
        print_json({"results": rows})
    return 0


def flash(board: Board, image: Programmable) -> None:
    """Program, verify and start one image on one board, holding its lease."""
    with lease(board, _WAIT_S, purpose=f"flash {image.name}") as held, renewing(held):
        if board.virtual:
            ensure_up(board)
        with open_probe(board, load_mcu(board.type.mcu)) as probe:
            probe.flash(image)
            probe.verify(image)
            held.check()
            probe.reset()


def _worn(board: Board) -> str:
    percent = wear_of(board).percent(load_mcu(board.type.mcu).rated_erases)
    return worn_warning(board, percent)


def _check(elf: ElfFile, board: Board) -> None:
    try:
        check_runs(elf, load_mcu(board.type.mcu))
    except ImageError as error:
        raise InventoryError(f"{board.id}: {error}") from error
