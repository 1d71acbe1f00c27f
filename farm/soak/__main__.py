"""`nox -s soak`: virtual boards flashed and measured in turn for a long time; 1 on a leak."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from farm.cli import EXIT_INTERRUPTED, number
from farm.errors import FarmError
from farm.output import note, print_json
from farm.rack.inventory import load_rack
from farm.soak.census import Folders
from farm.soak.racks import write_rack
from farm.soak.report import line, table
from farm.soak.run import Plan, Soak
from farm.soak.verdict import Finding, judge
from farm.soak.work import networks, turns

EXIT_LEAK = 1


def main(words: list[str] | None = None) -> int:
    """Soak, report, judge; 0 when nothing leaked, 1 when something did, 130 after Ctrl-C."""
    args = _parser().parse_args(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # in the background, too
    try:
        with _own_folders() as folders:
            report = _soak(args, folders)
    except KeyboardInterrupt:
        note("soak: interrupted; nothing is left behind")
        return EXIT_INTERRUPTED
    except FarmError as error:
        note(f"soak: {error}")
        return error.exit_code
    _write(Path(args.out), report)
    if args.json:
        print_json(report)
    else:
        sys.stdout.write(table(report))
    return 0 if report["fine"] else EXIT_LEAK


def _soak(args: argparse.Namespace, folders: Folders) -> dict[str, Any]:
    rack = write_rack(folders.state / "boards.yaml", load_rack(args.boards_file), args.boards)
    given = networks(args.networks)
    at_once = min(args.at_once, args.boards)
    plan = Plan(args.minutes * 60, at_once, args.every, args.turns, args.faults)
    note(f"soak: {args.boards} boards, {len(given)} networks, {args.minutes:g} minutes")
    soak = Soak(rack, folders, plan)
    work = soak.run(turns(rack.boards, given), lambda sample: note(line(sample)))
    findings = judge(soak.samples, plan.at_once, work)
    errors = soak.tally.wrong + (soak.chaos.untrue if soak.chaos else soak.tally.errors)
    for error in errors:
        note(f"soak: {error}")
    return {
        "boards": len(rack.boards),
        "minutes": args.minutes,
        "at_once": plan.at_once,
        "cpus": os.cpu_count(),
        "fine": all(finding.fine for finding in findings),
        "findings": [_row(finding) for finding in findings],
        "work": asdict(work) | {"retries": soak.tally.retries},
        "errors": errors,
        "faults": soak.chaos.struck if soak.chaos else {},
        "samples": [sample.to_json() for sample in soak.samples],
    }


def _row(finding: Finding) -> dict[str, Any]:
    return asdict(finding) | {"value": round(finding.value, 2), "fine": finding.fine}


@contextmanager
def _own_folders() -> Iterator[Folders]:
    """State and temporary files of this soak and its processes alone; removed at the end.

    That also is how its processes are told from others: by their environment.
    """
    with tempfile.TemporaryDirectory(prefix="tr-soak-") as home:
        folders = Folders(Path(home, "state"), Path(home, "tmp"))
        folders.state.mkdir()
        folders.temporary.mkdir()
        os.environ["XDG_STATE_HOME"] = str(folders.state)
        os.environ["TMPDIR"] = str(folders.temporary)
        yield folders


def _write(folder: Path, report: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "soak.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (folder / "soak.txt").write_text(table(report), encoding="utf-8")
    note(f"soak: written to {folder}/soak.json and soak.txt")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="farm.soak", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=number(0.01, 10_000), default=30.0, help="how long (30)")
    add("--boards", type=number(1, 200, int), default=24, help="how many boards are up (24)")
    add("--at-once", type=number(1, 64, int), default=4, help="boards measured at a time (4)")
    add("--every", type=number(0.1, 3600), default=60.0, help="seconds from look to look (60)")
    add("--turns", type=number(0, 10**6, int), default=0, help="of each board; 0: no limit")
    add("--networks", type=number(2, 100, int), default=8, help="images that take turns (8)")
    add("--faults", action="store_true", help="every second job of a board meets a fault")
    add("--boards-file", default=None, help="whose types of boards are used (boards.yaml)")
    add("--out", default="runs/soak", help="folder for soak.json and soak.txt (runs/soak)")
    add("--json", action="store_true", help="print one JSON object instead of a table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
