"""`tinyrack search`: a network for the boards, within the limits, proven on them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from farm.measure import Measurement
from farm.output import COST_COLUMNS, cost_row, print_error, print_json, print_line, print_table
from nas.candidate import Limits
from nas.config import KIB, SearchConfig
from nas.console import Stages
from nas.errors import InfeasibleError
from nas.search import Outcome, search

EXIT_OUT_OF_TOLERANCE = 1


def run(args: Namespace) -> int:
    """Search or go on with a search; 1 if int8 lost more accuracy than allowed on test images."""
    config = config_from(args)
    try:
        with Stages() as stages:
            outcome = search(config, Path(args.runs), args.name, args.fresh, stages)
    except InfeasibleError as error:
        if not args.json:
            raise
        return _print_infeasible(error)
    if args.json:
        print_json(to_json(outcome))
    else:
        _print(outcome)
    lost = lost_points(outcome.winner)
    if lost > config.accuracy_points:
        print_line(f"int8 loses {lost:.1f} points of accuracy, more than {config.accuracy_points}")
        return EXIT_OUT_OF_TOLERANCE
    return 0


def _print_infeasible(error: InfeasibleError) -> int:
    """As for any error, but with the limits as data too."""
    print_error(Namespace(json=False), str(error), error.exit_code)
    broken = [asdict(each) for each in error.broken]
    print_json({"error": str(error), "exit_code": error.exit_code, "broken_limits": broken})
    return error.exit_code


def config_from(args: Namespace) -> SearchConfig:
    """The configuration that the flags describe; 0 as a limit means none."""
    return SearchConfig(
        data=args.data,
        data_dir=Path(args.data_dir) if args.data_dir else None,
        boards=args.boards,
        boards_file=Path(args.boards_file) if args.boards_file else None,
        limits=Limits(
            sram_bytes=_bytes(args.sram),
            flash_bytes=_bytes(args.flash),
            latency_ms=args.latency or None,
        ),
        seed=args.seed,
        epochs=args.epochs,
        fine_tune_epochs=args.fine_tune_epochs,
    )


def _bytes(kib: float) -> int | None:
    """A limit; the smallest that is asked for is a byte, since 0 is none."""
    return max(1, round(kib * KIB)) if kib else None


def lost_points(winner: Mapping[str, Any]) -> float:
    """Accuracy on the test images that int8 costs, in points."""
    return 100 * float(winner["float_accuracy"] - winner["int8_accuracy"])


def to_json(outcome: Outcome) -> dict[str, Any]:
    """What --json prints."""
    return {"run": str(outcome.path), **outcome.winner}


def _print(outcome: Outcome) -> None:
    winner = outcome.winner
    rows = [cost_row(Measurement.from_json(row)) for row in winner["results"]]
    limits = winner["limits"]
    asked = [
        f"SRAM {limits['sram_bytes']:,} B" if limits["sram_bytes"] else "",
        f"flash {limits['flash_bytes']:,} B" if limits["flash_bytes"] else "",
        f"latency {limits['latency_ms']:g} ms" if limits["latency_ms"] else "",
    ]
    print_table(f"winner {winner['id']}", COST_COLUMNS, rows)
    print_line(f"limits: {', '.join(filter(None, asked)) or 'none'}")
    print_line(
        f"accuracy on untouched test images: int8 {100 * winner['int8_accuracy']:.2f} %, "
        f"float {100 * winner['float_accuracy']:.2f} %"
    )
    print_line(f"C library: {outcome.path / 'c'}; report: {outcome.path / 'report.html'}")
