"""`nox -s farm`: what the manager itself costs, over 1 to 1,000 simulated boards; 1 on a miss."""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from farm.cli import number
from farm.errors import FarmError
from farm.output import note, print_json
from farm.rack.inventory import load_rack
from farm.simulation.page import page
from farm.simulation.run import Figures, simulate
from farm.simulation.verdict import findings

EXIT_MISSED = 1
_BOARDS = (1, 10, 100, 1000)
_LEAST_JOBS = 1000


def main(words: Sequence[str] | None = None) -> int:
    """Simulate, print, judge; 0 when the manager keeps what docs/farm-figures.md promises."""
    args = _parser().parse_args(words)
    try:
        source = load_rack(args.boards_file)
    except FarmError as error:
        note(f"simulation: {error}")
        return error.exit_code
    with tempfile.TemporaryDirectory(prefix="tr-sim-") as home:
        os.environ["XDG_STATE_HOME"] = home  # no quarantine of this user's boards
        figures: list[Figures] = []
        for boards in args.boards:
            jobs = max(args.jobs, boards * args.turns)
            note(f"simulation: {boards} boards, {jobs} jobs")
            figures.append(simulate(source, boards, jobs))
    found = findings(figures)
    facts = {
        "utc": datetime.now(UTC).date().isoformat(),
        "host": f"{os.cpu_count()} {platform.machine()} CPUs, Python {platform.python_version()}",
        "figures": [each.to_json() for each in figures],
        "findings": [each.to_json() for each in found],
    }
    if args.out:
        Path(args.out).write_text(page(facts), encoding="utf-8")
    if args.json:
        print_json(facts)
    else:
        sys.stdout.write(page(facts))
    for each in found:
        if not each.met:
            note(f"simulation: missed: {json.dumps(each.to_json())}")
    return 0 if all(each.met for each in found) else EXIT_MISSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="farm.simulation", description=__doc__)
    add = parser.add_argument
    add("--boards", type=_sizes, default=_BOARDS, help="sizes of racks (1,10,100,1000)")
    add("--jobs", type=number(1, 10**6, int), default=_LEAST_JOBS, help="at least so many (1000)")
    add("--turns", type=number(1, 10**4, int), default=10, help="and so many of each board (10)")
    add("--boards-file", default=None, help="whose types of boards are used (boards.yaml)")
    add("--out", default="", help="also write the page there (docs/farm-figures.md)")
    add("--json", action="store_true", help="print one JSON object instead of the page")
    return parser


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(int(word) for word in text.split(","))
    if min(sizes) < 1:
        raise ValueError("a rack has at least one board")
    return sizes


if __name__ == "__main__":
    sys.exit(main())
