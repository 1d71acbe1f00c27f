"""`nox -s emulation`: what flashing, connecting, computing and idling cost, part by part."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from farm.cli import EXIT_INTERRUPTED
from farm.emulation.figures import Row, figures
from farm.emulation.work import works
from farm.errors import FarmError
from farm.output import note, print_json, print_table
from farm.rack.inventory import Board, BoardType, load_rack
from farm.virtual import rack, registry

_COLUMNS = ("type", "step", "client s", "daemon s", "wall s", "what follows")


def main(words: list[str] | None = None) -> int:
    """Measure, print; the farm's exit code when a board fails."""
    args = _parser().parse_args(words)
    try:
        types = load_rack(args.boards_file).types.values()
        chosen = [each for each in types if args.type in ("", each.name)]
        given = works(args.networks)
        rows: list[Row] = []
        for number, each in enumerate(chosen):
            note(f"emulation: {each.name}")
            with _board(each, number) as board:
                rows += figures(board, given, args.rounds, args.idle_s)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except FarmError as error:
        note(f"emulation: {error}")
        return error.exit_code
    if args.json:
        print_json({"results": rows})
    else:
        print_table("the cost of virtual boards", _COLUMNS, [_cells(row) for row in rows])
    return 0


@contextmanager
def _board(kind: BoardType, number: int) -> Iterator[Board]:
    """A board of its own, of which nothing stays."""
    board = Board(f"emulation-{number}", kind, f"virtual:TR-EMULATION-{number}")
    try:
        yield board
    finally:
        rack.down([board.probe_uid])
        for suffix in ("flash", "log"):
            registry.state_file(board.probe_uid, suffix).unlink(missing_ok=True)


def _cells(row: Row) -> tuple[str, ...]:
    costs = (f"{row[key]:.3f}" if key in row else "" for key in _SECONDS)
    return (row["board_type"], row["step"], *costs, _remark(row))


_SECONDS = ("client_cpu_s", "daemon_cpu_s", "wall_s")


def _remark(row: Row) -> str:
    if "instructions_per_s" in row:
        millions, macs = row["instructions_per_s"] / 1e6, row["macs_per_s"] / 1e6
        return f"{millions:.0f} M instructions/s, {60 / macs:.2f} s for 60 M MACs"
    if "rss_bytes" in row:
        rss, pss = row["rss_bytes"] / 1e6, row["pss_bytes"] / 1e6
        return (
            f"RSS {rss:.0f} MB, PSS {pss:.0f} MB, {row['wakeups']} wake-ups in {row['seconds']:g} s"
        )
    return f"{row['cpu_s']:.3f} s of CPU, median of {row['rounds']}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nox -s emulation --", description=__doc__)
    parser.add_argument("--networks", nargs="*", default=[], help="networks instead of kernels")
    parser.add_argument("--type", default="", help="one board type instead of all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--idle-s", type=float, default=10.0)
    parser.add_argument("--boards-file", default=None)
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
