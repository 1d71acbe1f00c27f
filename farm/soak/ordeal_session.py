"""`nox -s ordeal`: jobs while boards fail and processes are killed; 1 if one is lost or wrong."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from farm.cli import EXIT_INTERRUPTED, number
from farm.errors import FarmError
from farm.inventory import Rack, load_rack
from farm.output import note, print_json
from farm.soak.audit import account
from farm.soak.census import Folders
from farm.soak.ordeal import End, Violence, endure
from farm.soak.ordeal_work import Ordeal, given, jobs
from farm.soak.racks import write_rack
from farm.soak.strikes import Log, by_kind
from farm.soak.verdict import Finding
from farm.store import Store

EXIT_BROKEN = 1


def main(words: Sequence[str] | None = None) -> int:
    """Endure, audit, report; 0 when nothing was lost, doubled, wrong, untrue or stuck."""
    args = _parser().parse_args(words)
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    try:
        with _own_folders() as folders:
            report = _endure(args, folders)
    except KeyboardInterrupt:
        note("ordeal: interrupted; nothing is left behind")
        return EXIT_INTERRUPTED
    except FarmError as error:
        note(f"ordeal: {error}")
        return error.exit_code
    if args.out:
        Path(args.out).mkdir(parents=True, exist_ok=True)
        Path(args.out, "ordeal.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    if args.json:
        print_json(report)
    else:
        sys.stdout.write(table(report))
    return 0 if report["fine"] else EXIT_BROKEN


def table(report: dict[str, Any]) -> str:
    """The report as lines and a table of the findings."""
    numbers = {key: value for key, value in report.items() if isinstance(value, int | float)}
    lines = [f"{key.replace('_', ' ')}: {value:,}" for key, value in numbers.items()]
    struck = ", ".join(f"{kind} {count}" for kind, count in report["struck"].items())
    lines += [
        f"struck: {struck}",
        "",
        "| finding | value | limit | |",
        "| --- | ---: | ---: | --- |",
    ]
    for each in report["findings"]:
        verdict = "fine" if each["value"] <= each["limit"] else "BROKEN"
        lines.append(f"| {each['what']} | {each['value']:g} | {each['limit']:g} | {verdict} |")
    return "\n".join([*lines, *report["details"]]) + "\n"


def _endure(args: argparse.Namespace, folders: Folders) -> dict[str, Any]:
    source = load_rack(args.boards_file)
    rack = write_rack(folders.state / "boards.yaml", source, args.boards)
    ordeal = Ordeal(
        rack=str(rack.path),
        log=str(folders.state / "struck.jsonl"),
        jobs=args.jobs,
        networks=args.networks,
        rate=args.rate / 100,
        seed=args.seed,
    )
    seconds = args.minutes * 60
    violence = Violence(args.worker_kill, args.manager_kill, seconds, args.most_kills)
    end = endure(ordeal, rack, folders, violence, note)
    return _report(ordeal, rack, end)


def _report(ordeal: Ordeal, rack: Rack, end: End) -> dict[str, Any]:
    struck = Log(Path(ordeal.log)).read()
    wanted = [job.id for job in jobs(rack, given(ordeal.networks), ordeal.jobs)]
    with Store() as store:
        found = account(store.all(), wanted, struck, ordeal.retries)
        recoveries = len(store.recoveries())
        store.verify()  # FarmError when the audit's chain is broken
    findings = found.findings(finished=end.finished)
    findings.append(Finding("boards that did not answer at the end", len(end.mute), 0))
    details = [*found.twice, *found.wrong, *found.too_often, *found.untrue, *end.mute]
    details += [f"{each.board}: {each.job}" for each in struck if each.kind == "mute"]
    ended = found.measured + found.failed
    return {
        "boards": len(rack.boards),
        "jobs": ordeal.jobs,
        "ended": ended,
        "measured": found.measured,
        "failed": found.failed,
        "not_reached": len(found.open),
        "attempts": found.attempts,
        "failed_attempts": found.failures,
        "steps": sum(_steps(struck, life) for life in range(1, end.lives + 1)),
        "lives": end.lives,
        "recoveries": recoveries,
        "restored_boards": end.restored,
        "seconds": round(end.seconds, 1),
        "jobs_a_minute": round(ended / max(1.0, end.seconds) * 60, 1),
        "struck": by_kind(each for each in struck if each.life),
        "findings": [asdict(each) for each in findings],
        "details": details[:50],
        "fine": all(each.fine for each in findings),
    }


def _steps(struck: Sequence[Any], life: int) -> int:
    """As many as were counted when the last line of that life was written."""
    return max((each.steps for each in struck if each.life == life), default=0)


@contextmanager
def _own_folders() -> Iterator[Folders]:
    """State and temporary files of this ordeal and its processes alone; removed at the end."""
    with tempfile.TemporaryDirectory(prefix="tr-ord-") as home:
        folders = Folders(Path(home, "state"), Path(home, "tmp"))
        folders.state.mkdir()
        folders.temporary.mkdir()
        os.environ["XDG_STATE_HOME"] = str(folders.state)
        os.environ["TMPDIR"] = str(folders.temporary)
        os.environ.pop("TINYRACK_STORE", None)
        yield folders


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="farm.soak.ordeal_session", description=__doc__)
    add = parser.add_argument
    add("--jobs", type=number(1, 10**6, int), default=10_000, help="how many (10000)")
    add("--boards", type=number(1, 200, int), default=16, help="virtual boards (16)")
    add("--networks", type=number(1, 20, int), default=3, help="images (3)")
    add("--rate", type=number(0, 100), default=5.0, help="percent of steps that meet a fault (5)")
    add("--worker-kill", type=number(0.1, 10**6), default=20.0, help="mean s to the next (20)")
    add("--manager-kill", type=number(0.1, 10**6), default=90.0, help="mean s to the next (90)")
    add("--most-kills", type=number(0, 10**6, int), default=10**6, help="of either (no limit)")
    add("--minutes", type=number(0.01, 10_000), default=240.0, help="at most so long (240)")
    add("--seed", type=number(0, 10**9, int), default=1, help="of faults and kills (1)")
    add("--boards-file", default=None, help="whose types of boards are used (boards.yaml)")
    add("--out", default="", help="folder for ordeal.json (none)")
    add("--json", action="store_true", help="print one JSON object instead of a table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
