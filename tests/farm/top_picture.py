"""The picture of `tinyrack top` in the documents, docs/top.svg: run this file to draw it anew.

The figures are made up, the drawing is the command's own.
"""

import io
import re
from pathlib import Path

from rich.console import Console

from farm.commands.top import shown
from farm.desks import DeskRow
from farm.leases.lease_rows import Holder
from farm.overview import BoardNow, Overview
from farm.rack.board import Board
from farm.rack.inventory import load_rack
from farm.store.history import GoldenRun

ROOT = Path(__file__).parents[2]
PATH = ROOT / "docs" / "top.svg"
COLUMNS = 140
_FONT_FROM_THE_NET = re.compile(r"@font-face \{.*?\}", re.DOTALL)


def picture() -> str:
    """The SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(shown(moment(), COLUMNS))
    text = _FONT_FROM_THE_NET.sub("", console.export_svg(title="tinyrack top", unique_id="top"))
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip()) + "\n"


def moment() -> Overview:
    """A search at work on two boards of four, while one is put out of service."""
    rows = (
        ("", held(4711, "calibrate-17: run", 8.0), 2, {"ok": 31}, {}),
        ("", held(4713, "recovery: slower debug clock", 3.2), 1,
         {"ok": 12, "bench_failure": 2}, {"session opened again": 1, "connect under reset": 1}),
        ("", None, 0, {"ok": 29}, {}),
        ("the golden image took 46301 cycles, +2.33 % off the 45247 of the table", None, 0,
         {"ok": 9}, {"mass erase": 1}),
    )  # fmt: skip
    boards = load_rack(ROOT / "boards.yaml").boards
    now = tuple(at_moment(board, *row) for board, row in zip(boards, rows, strict=True))
    desk = DeskRow(4702, "ann", {"waiting": 38, "working": 2, "boards aside": 1})
    return Overview("2026-11-23T08:15:30+00:00", now, (desk,))


def at_moment(board: Board, quarantine, holder, waiting, measured, recovered) -> BoardNow:
    """One board of the picture."""
    golden = GoldenRun(
        board=board.id, board_type=board.type.name, virtual=True, ok=not quarantine, utc=""
    )
    return BoardNow(board, quarantine, holder, waiting, None, golden, measured, recovered)


def held(pid: int, doing: str, seconds: float) -> Holder:
    """By a worker of a search."""
    return Holder(pid, "rack", 1, "", False, "ann", "jobs", doing, seconds)


if __name__ == "__main__":
    PATH.write_text(picture(), encoding="utf-8")
