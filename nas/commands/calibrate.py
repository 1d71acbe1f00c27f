"""`tinyrack calibrate`: fit the latency model of each board type and say how good it is."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from farm.manager import BoardManager
from farm.output import print_json, print_line, print_table
from farm.rack.inventory import load_rack
from farm.rack.rack_checks import selected
from nas.calibrate import Calibration, calibrate
from nas.console import Stages

COLUMNS = (
    *("type", "model", "networks ", "median % ", "p95 % "),
    *("within 5 % ", "within 10 % ", "Kendall tau "),
)


def run(args: Namespace) -> int:
    """One row a board type; the models are kept for later searches."""
    rack = load_rack(args.boards_file)
    boards = selected(rack, args.boards)
    board_types = sorted({board.type.name for board in boards})
    with Stages() as stages, BoardManager(rack, boards, wait_s=args.wait) as manager:
        results = [_calibrate(manager, each, args, stages) for each in board_types]
    if args.json:
        print_json({"results": [result.to_json() for result in results]})
        return 0
    rows = [row for result in results for row in _rows(result)]
    print_table("error on networks that were not fitted", COLUMNS, rows)
    if any(result.virtual for result in results):
        print_line("virtual boards: cycles of a timing model, not of silicon")
    return 0


def _calibrate(
    manager: BoardManager, board_type: str, args: Namespace, stages: Stages
) -> Calibration:
    with stages.counted(board_type) as progress:
        result = calibrate(manager, board_type, args.seed, args.quick, progress)
    result.save()
    return result


def _rows(result: Calibration) -> list[tuple[object, ...]]:
    value = result.to_json()
    kind = f"{result.board_type} (virtual)" if result.virtual else result.board_type
    count = len(result.rows)
    return [
        (kind, "kernel-aware", count, *_errors(value["heldout"])),
        ("", "MACs only", count, *_errors(value["macs_only"])),
    ]


def _errors(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"{row['median_error_percent']:.2f}",
        f"{row['p95_error_percent']:.2f}",
        f"{row['within_5_percent']:.0f}",
        f"{row['within_10_percent']:.0f}",
        f"{row['kendall_tau']:.3f}",
    )
