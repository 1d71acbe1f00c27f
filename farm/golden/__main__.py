"""Write the table of golden cycles of the virtual boards: `python -m farm.golden`.

Rows of real boards ("silicon") are kept as they are: a person adds them, from `tinyrack results
golden` of boards known to be good.
"""

import sys
from pathlib import Path

import yaml

from farm.golden.baseline import SILICON, TABLE, kind
from farm.golden.check import run_golden
from farm.rack.board import Board, BoardType
from farm.rack.inventory import load_rack, rack_path
from farm.virtual import rack

_DEADLINE_S = 120.0
_HEAD = """\
# What the golden image costs on boards in order; `python -m farm.golden` writes the rows of virtual
# boards anew and keeps those of silicon. Cycles hold for one image, and so for one compiler.
"""


def main() -> int:
    """Measure the golden image on one virtual board a type of boards.yaml, and write the table."""
    old = yaml.safe_load(TABLE.read_text(encoding="utf-8")) or [] if TABLE.exists() else []
    rows = [row for row in old if row["timing_model"] == SILICON]
    rows += [_row(each) for each in load_rack(rack_path()).types.values()]
    _write(TABLE, rows)
    sys.stdout.write(f"{len(rows)} rows in {TABLE}\n")
    return 0


def _row(board_type: BoardType) -> dict[str, object]:
    board = Board(f"golden-{board_type.name}", board_type, f"virtual:GOLDEN-{board_type.mcu}")
    try:
        m = run_golden(board, _DEADLINE_S)
    finally:
        rack.down([board.probe_uid])
    return {
        "mcu": board_type.mcu,
        "timing_model": kind(m),
        "image_sha256": m.image_sha256,
        "compiler": str(m.provenance["compiler"]),
        "cycles": m.cycles,
    }


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text(_HEAD + yaml.safe_dump(rows, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
