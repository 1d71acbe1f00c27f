"""`tinyrack boards release|quarantine|restore`: who may use a board."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from engine.errors import EngineError
from farm.errors import BoardsBusyError, FarmError
from farm.golden.baseline import baseline
from farm.golden.check import run_golden
from farm.golden.verdict import Verdict, as_run, judge
from farm.ladder.slow_wires import full_speed
from farm.leases import lease
from farm.output import note, print_json, print_line
from farm.rack.board import Board
from farm.rack.inventory import load_rack
from farm.store import Store
from farm.store.audit import Who

_GOLDEN_S = 120.0


def release(args: Namespace) -> int:
    """Take a board from whoever holds it."""
    found = load_rack(args.boards_file)
    board = found.board(args.board)
    with Store(args.store, rack=found) as store:
        try:
            held = lease.release(board)
        except BoardsBusyError as error:  # its lease is over all the same
            store.audit(Who.me(), "release", board.id, result=str(error))
            raise
        store.audit(Who.me(), "release", board.id, result=f"process {held.pid}" if held else "")
    row = {"board": board.id, "released": held is not None, "holder": held and asdict(held)}
    _say(args, row, f"taken from process {held.pid}" if held else "nobody held it")
    return 0


def quarantine(args: Namespace) -> int:
    """Put a board out of service."""
    found = load_rack(args.boards_file)
    board = found.board(args.board)
    lease.quarantine(board, args.reason)
    with Store(args.store, rack=found) as store:
        store.audit(Who.me(), "quarantine", board.id, result=args.reason)
    row = {"board": board.id, "health": "quarantined", "reason": args.reason}
    _say(args, row, f"quarantined; `tinyrack boards restore {board.id}` puts it back")
    return 0


def restore(args: Namespace) -> int:
    """Put a board back into service, if a golden run at its full debug clock shows it in order."""
    found = load_rack(args.boards_file)
    board = found.board(args.board)
    if lease.quarantine_reason(board) is None:
        _say(args, {"board": board.id, "restored": False}, "was not quarantined")
        return 0
    with Store(args.store, rack=found) as store, _still_out(board):
        full_speed(board)
        verdict = None if args.force else _golden(board, store, args.wait)
        if verdict is None or verdict.ok:
            store.audit(Who.me(), "restore", board.id, result=verdict.why if verdict else "forced")
            lease.restore(board)
    seen = verdict.why if verdict else "without a golden run"
    row = {"board": board.id, "restored": verdict is None or verdict.ok, "golden": seen}
    if verdict is not None and not verdict.ok:
        _say(args, row, f"stays quarantined: {seen}; mend it, or `boards restore --force` it")
        return 1
    _say(args, row, f"back in service: {seen}")
    return 0


@contextmanager
def _still_out(board: Board) -> Iterator[None]:
    """Say of an error that keeps the board from being judged that nothing has changed."""
    try:
        yield
    except (FarmError, EngineError) as error:
        what = str(error).removeprefix(f"{board.id}: ")
        raise type(error)(f"{board.id} stays quarantined: {what}") from error


def _golden(board: Board, store: Store, wait_s: float) -> Verdict:
    """Run the golden image on a board that is out of service, and keep the run."""
    with lease.repair_lease(board, wait_s):
        m = run_golden(board, _GOLDEN_S, lambda stage: note(f"{board.id}: {stage}"))
    runs = [run for run in store.golden_runs() if run.board_type == m.board_type]
    verdict = judge(m, baseline(m, runs))
    store.add_golden_run(as_run(m, verdict))
    return verdict


def _say(args: Namespace, row: dict[str, Any], text: str) -> None:
    if args.json:
        print_json({"results": [row]})
    else:
        print_line(f"{row['board']}: {text}")
