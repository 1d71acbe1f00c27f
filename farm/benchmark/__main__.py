"""`nox -s bench`: measure the reference networks and the kernels, hold them against the record."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engine.errors import EngineError
from farm.benchmark import record_file
from farm.benchmark.cases import Case, kernels, networks
from farm.benchmark.goals import Goal, load_goals
from farm.benchmark.kinds import with_kernels
from farm.benchmark.measuring import Work, measured, one_group_a_core, suite
from farm.benchmark.page import networks_of, page
from farm.benchmark.peers import Peer, load_peers
from farm.benchmark.picture import picture
from farm.benchmark.record import KERNELS, Record
from farm.benchmark.revision import revision, steady
from farm.benchmark.verdict import LIMIT_PERCENT, Change, accepted, changes, slower_kernels
from farm.cli import EXIT_INTERRUPTED, exit_code
from farm.errors import FarmError
from farm.manager import BoardManager
from farm.output import note, print_json, print_line
from farm.rack.inventory import load_rack, select

ROOT = Path(__file__).parents[2]
EXIT_WORSE = 1


def main(words: list[str] | None = None) -> int:
    """0 when recorded; 1 when something is worse and not accepted; else the farm's exit codes."""
    args = _parser().parse_args(words)
    try:
        return _run(args)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except (FarmError, EngineError, OSError) as error:
        note(f"bench: {error}")
        return exit_code(error)


def _run(args: argparse.Namespace) -> int:
    docs = Path(args.docs)
    history = record_file.load(docs / "benchmarks.jsonl")  # before anything is measured
    peers = load_peers(ROOT / "docs" / "benchmarks-peers.csv")
    goals = load_goals(ROOT / "docs" / "benchmarks-goals.csv")
    if args.pages:
        _write_pages(docs, history, peers, goals)
        return 0
    commit = revision(ROOT)
    given, skipped = networks(Path(args.models))
    for reason in skipped:
        note(f"bench: {reason}")
    cases = [*given, *(() if args.no_kernels else kernels())]
    measurements = _measure(args, cases)
    commit = steady(commit, revision(ROOT))
    new = [replace(record, commit=commit) for record in measurements]
    found = changes(history, new)
    worse = [change for change in found if change.worse]
    held_up = bool(worse) and not args.accept
    for change in slower_kernels(history, new):
        note(f"bench: a kernel is slower than last time: {change}")
    if not held_up:
        new = list(accepted(new, found, args.accept))
        history = record_file.updated(history, new)
        record_file.save(docs / "benchmarks.jsonl", history)
        _write_pages(docs, history, peers, goals)
    text = page(record_file.updated(history, new), peers, goals)
    _print(args, text, new, found, skipped)
    for change in worse:
        note(f"bench: {'accepted' if args.accept else 'WORSE'}: {change}")
    if held_up:
        note(
            f"bench: {len(worse)} figures are more than {LIMIT_PERCENT} % worse than the record, "
            "which stays as it is; mend them, or say why with --accept REASON"
        )
    return EXIT_WORSE if held_up else 0


def _measure(args: argparse.Namespace, cases: Sequence[Case]) -> list[Record]:
    rack = load_rack(args.boards_file)
    groups = one_group_a_core(select(rack, args.boards))
    work = [Work(case, group) for case in cases for group in groups]
    boards = [board for group in groups for board in group]
    note(f"bench: {len(work)} measurements on {', '.join(board.id for board in boards)}")
    with BoardManager(rack, boards, None, args.wait) as manager:
        done = list(measured(manager, work, lambda text: note(f"bench: {text}")))
    single = [record for record in done if record.variant == KERNELS]
    types = dict.fromkeys(record.board_type for record in single)
    suites = [suite([r for r in single if r.board_type == name]) for name in types]
    return [record for record in done if record.variant != KERNELS] + suites


def _write_pages(
    docs: Path, history: Sequence[Record], peers: Sequence[Peer], goals: Sequence[Goal]
) -> None:
    record_file.write(docs / "benchmarks.md", page(history, peers, goals))
    record_file.write(docs / "benchmarks.svg", picture(networks_of(history), peers))
    note(f"bench: wrote {docs / 'benchmarks.md'} and its picture")
    kernel_page = docs / "kernels.md"
    if kernel_page.is_file():
        old = kernel_page.read_text(encoding="utf-8")
        made = with_kernels(old, record_file.latest(history))
        if made is None:
            note(f"bench: {kernel_page} has no marks for the table of kernels; it stays as it is")
        else:
            record_file.write(kernel_page, made)


def _print(
    args: argparse.Namespace,
    text: str,
    new: Sequence[Record],
    found: Sequence[Change],
    skipped: Sequence[str],
) -> None:
    if args.json:
        rows = [
            {"what": str(c), "metric": c.metric, "before": c.before, "after": c.after,
             "worse": c.worse}
            for c in found
        ]  # fmt: skip
        results = [record.to_json() for record in new]
        print_json({"results": results, "changes": rows, "skipped": list(skipped)})
        return
    print_line(text)
    for change in found:
        if not change.worse:
            print_line(f"{'better' if change.better else 'within the limit'}: {change}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nox -s bench -- record", description=__doc__, allow_abbrev=False
    )
    add = parser.add_argument
    add("--accept", default="", metavar="REASON", help="record what is worse, and why it may be")
    add("--pages", action="store_true", help="measure nothing: write the pages by the record")
    add("--no-kernels", action="store_true", help="networks only")
    add("--boards", default="all", metavar="SELECTOR", help="the first type of each core is used")
    add("--boards-file", default=None, metavar="FILE", help="the rack (default: boards.yaml)")
    models = ROOT.parent / "shared" / "models"
    add("--models", default=models, metavar="FOLDER", help=f"of the .tflite files ({models})")
    add("--docs", default=ROOT / "docs", metavar="FOLDER", help="where the record is kept")
    add("--wait", type=float, default=60.0, metavar="S", help="seconds to wait for busy boards")
    add("--json", action="store_true", help="print one JSON object")
    return parser


if __name__ == "__main__":
    sys.exit(main())
