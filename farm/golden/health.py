"""Health: when a board is due for a golden run, and what follows from one that went wrong."""

import math
import threading
import time
from datetime import UTC, datetime
from typing import Literal

from farm.golden.baseline import baseline
from farm.golden.verdict import as_run, judge
from farm.leases.quarantine import quarantine, quarantine_reason
from farm.measure import Measurement
from farm.rack.board import Board
from farm.store import Store
from farm.store.audit import Who
from farm.store.history import GoldenRun

MOST_AGE_S = 1800.0
MOST_MEASUREMENTS = 100
MOST_FAILURES = 2
Finding = Literal["good", "again", "bad"]


class Health:
    """Of the boards of one manager; safe for threads.

    A board is due when its last golden run was wrong, half an hour ago or 100 measurements ago. A
    wrong run flags what it measured since its last good one, and is repeated; two in a row
    quarantine it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._good_s: dict[str, float] = {}
        self._measured: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self._flagged: dict[str, int] = {}

    def is_due(self, board: Board) -> bool:
        """Whether the board needs a golden run before its next job."""
        with self._lock:
            if board.id not in self._good_s:
                last = self._store.last_golden(board.id)
                self._good_s[board.id] = time.monotonic() - _age_s(last)
            old = time.monotonic() - self._good_s[board.id] > MOST_AGE_S
            return old or self._measured.get(board.id, 0) >= MOST_MEASUREMENTS

    def doubt(self, board: Board) -> None:
        """Let the board run it before its next job, however good it was a moment ago."""
        with self._lock:
            self._good_s[board.id] = -math.inf

    def measured(self, board: Board) -> None:
        """Count a measurement of the board."""
        with self._lock:
            self._measured[board.id] = self._measured.get(board.id, 0) + 1

    def found(self, board: Board, m: Measurement) -> tuple[Finding, str]:
        """Store a golden run; whether the board may go on, must run again, or is quarantined."""
        known = baseline(m, ())
        if known is None:  # else there is no need to read every run that there ever was
            earlier = [run for run in self._store.golden_runs() if run.board_type == m.board_type]
            known = baseline(m, earlier)
        return self._follow(board, as_run(m, judge(m, known)))

    def off(self, board: Board, why: str, token: int | None) -> tuple[Finding, str]:
        """The same of a run that came to nothing, because the board's clock is wrong."""
        kind, virtual = board.type.name, board.virtual
        run = GoldenRun(board=board.id, board_type=kind, virtual=virtual, ok=False,
                        lease_token=token, detail=why)  # fmt: skip
        return self._follow(board, run)

    def _follow(self, board: Board, run: GoldenRun) -> tuple[Finding, str]:
        if not run.ok and board.id not in self._flagged:  # what comes later is not measured
            self._flagged[board.id] = self._store.flag_since_golden(board.id, run.detail)
        self._store.add_golden_run(run)  # behind the flags: who ends in between runs it again
        if run.ok:
            with self._lock:
                self._good_s[board.id], self._measured[board.id] = time.monotonic(), 0
            self._begin_anew(board)
            return "good", run.detail
        failures = self._failures[board.id] = self._failures.get(board.id, 0) + 1
        flagged = f"{self._flagged[board.id]} measurements flagged"
        if failures < MOST_FAILURES:
            return "again", f"{run.detail} ({flagged})"
        why = f"{run.detail} ({failures} times in a row; {flagged})"
        put_out_of_service(self._store, board, why, run.lease_token)
        self._begin_anew(board)  # when a person has restored it
        return "bad", why

    def _begin_anew(self, board: Board) -> None:
        self._failures.pop(board.id, None)
        self._flagged.pop(board.id, None)


def put_out_of_service(store: Store, board: Board, why: str, token: int | None = None) -> None:
    """Quarantine a board and say so in the audit; one that a person took out keeps that reason."""
    if quarantine_reason(board) is None:
        quarantine(board, why)
    store.audit(Who.me(), "quarantine", board.id, token=token, result=why)


def _age_s(run: GoldenRun | None) -> float:
    """How long ago a stored run was; for ever if it was wrong, or lies in the future."""
    if run is None or not run.ok:
        return math.inf
    age_s = (datetime.now(UTC) - datetime.fromisoformat(run.utc)).total_seconds()
    return age_s if age_s >= 0 else math.inf
