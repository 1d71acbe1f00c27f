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
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from farm.cli import EXIT_INTERRUPTED, number
from farm.errors import FarmError, InventoryError
from farm.output import note, print_json
from farm.rack.inventory import Rack, load_rack
from farm.soak.audit import account
from farm.soak.census import Folders
from farm.soak.ordeal import End, Violence, endure
from farm.soak.ordeal_work import Ordeal, given, jobs
from farm.soak.racks import write_rack
from farm.soak.strikes import Log, by_kind
from farm.soak.verdict import Finding
from farm.store import Store
from farm.store.query import Wanted

EXIT_BROKEN = 1


def main(words: Sequence[str] | None = None) -> int:
    """Endure, audit, report; 0 when nothing was lost, doubled, wrong, untrue or stuck."""
    args = _parser().parse_args(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # in the background, too
    try:
        report = _audited(Path(args.audit)) if args.audit else _endured(args)
    except KeyboardInterrupt:
        note("ordeal: interrupted; nothing is left behind")
        return EXIT_INTERRUPTED
    except FarmError as error:
        note(f"ordeal: {error}")
        return error.exit_code
    out = args.out or args.audit
    if out:
        Path(out, "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    if args.json:
        print_json(report)
    else:
        sys.stdout.write(table(report))
    if not report["fine"]:
        return EXIT_BROKEN
    return 0 if report["over"] else EXIT_INTERRUPTED


def table(report: dict[str, Any]) -> str:
    """The report as lines and a table of the findings."""
    numbers = {key: value for key, value in report.items() if type(value) in (int, float)}
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
    lines += ["", *(f"{count} failed: {why}" for why, count in report["reasons"].items())]
    return "\n".join([*lines, *report["details"]]) + "\n"


def _endured(args: argparse.Namespace) -> dict[str, Any]:
    with _own_folders(args.out) as folders:
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
        return _report(ordeal, rack, endure(ordeal, rack, folders, violence, note))


def _audited(out: Path) -> dict[str, Any]:
    """What is kept of an ordeal that was cut off, still goes on, or is to be judged again."""
    state = out.absolute() / "state"
    if not (state / "ordeal.json").exists():
        raise InventoryError(f"{out} holds no ordeal; name a folder that `--out` has filled")
    kept = Ordeal.load(state / "ordeal.json")
    os.environ["XDG_STATE_HOME"] = str(state)
    os.environ.pop("TINYRACK_STORE", None)
    ordeal = replace(kept, rack=str(state / "boards.yaml"), log=str(state / "struck.jsonl"))
    return _report(ordeal, load_rack(ordeal.rack), End.load(state))


def _report(ordeal: Ordeal, rack: Rack, end: End) -> dict[str, Any]:
    struck = Log(Path(ordeal.log)).read()
    lives = max([end.lives, *(each.life for each in struck)])
    wanted = [job.id for job in jobs(rack, given(ordeal.networks), ordeal.jobs)]
    with Store() as store:
        flagged = {str(row.columns["job_id"]) for row in store.rows(Wanted(flagged=True))}
        found = account(store.all(), wanted, struck, ordeal.retries, flagged)
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
        "steps": sum(_steps(struck, life) for life in range(1, lives + 1)),
        "lives": lives,
        "recoveries": recoveries,
        "restored_boards": end.restored,
        "seconds": round(end.seconds, 1),
        "jobs_a_minute": round(ended / max(1.0, end.seconds) * 60, 1),
        "struck": by_kind(each for each in struck if each.life),
        "findings": [asdict(each) for each in findings],
        "reasons": dict(found.reasons.most_common()),
        "details": details[:50],
        "over": end.over,
        "fine": all(each.fine for each in findings),
    }


def _steps(struck: Sequence[Any], life: int) -> int:
    """As many as were counted when the last line of that life was written."""
    return max((each.steps for each in struck if each.life == life), default=0)


@contextmanager
def _own_folders(out: str) -> Iterator[Folders]:
    """State and temporary files of this ordeal and its processes alone.

    All are removed at the end, but what is in the folder `out`, which must be a new one.
    """
    if out and Path(out, "state").exists():
        raise InventoryError(f"{out} holds an ordeal already; `--audit {out}`, or another folder")
    with tempfile.TemporaryDirectory(prefix="tr-ord-") as home:
        state = Path(out or home).absolute() / "state"
        folders = Folders(state, Path(home, "tmp"))
        folders.state.mkdir(parents=True)
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
    add("--manager-kill", type=number(0.1, 10**6), default=150.0, help="mean s to the next (150)")
    add("--most-kills", type=number(0, 10**6, int), default=10**6, help="of either (no limit)")
    add("--minutes", type=number(0.01, 10_000), default=240.0, help="at most so long (240)")
    add("--seed", type=number(0, 10**9, int), default=1, help="of faults and kills (1)")
    add("--boards-file", default=None, help="whose types of boards are used (boards.yaml)")
    add("--out", default="", help="new folder for report.json and all that it is made of (none)")
    add("--audit", default="", help="run nothing: judge what is in that folder of --out again")
    add("--json", action="store_true", help="print one JSON object instead of a table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
