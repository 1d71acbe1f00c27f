"""Health: when a board is due for a golden run, and what follows from one that went wrong."""

import threading
import time
from datetime import UTC, datetime
from typing import Literal

from farm.board import Board
from farm.golden.baseline import baseline
from farm.golden.verdict import as_run, judge
from farm.measure import Measurement
from farm.quarantine import quarantine
from farm.store import Store
from farm.store.history import GoldenRun

MOST_AGE_S = 1800.0
MOST_MEASUREMENTS = 100
MOST_FAILURES = 2
Finding = Literal["good", "again", "bad"]


class Health:
    """Of the boards of one manager; safe for threads.

    A board is due when its last good golden run is older than half an hour or 100 measurements
    ago. Two runs in a row that are wrong quarantine it, and flag what it measured since its last
    good one.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._good_s: dict[str, float] = {}
        self._measured: dict[str, int] = {}
        self._failures: dict[str, int] = {}

    def is_due(self, board: Board) -> bool:
        """Whether the board needs a golden run before its next job."""
        with self._lock:
            if board.id not in self._good_s:
                self._good_s[board.id] = time.monotonic() - _age_s(
                    self._store.last_good_golden(board.id)
                )
            old = time.monotonic() - self._good_s[board.id] > MOST_AGE_S
            return old or self._measured.get(board.id, 0) >= MOST_MEASUREMENTS

    def measured(self, board: Board) -> None:
        """Count a measurement of the board."""
        with self._lock:
            self._measured[board.id] = self._measured.get(board.id, 0) + 1

    def found(self, board: Board, m: Measurement) -> tuple[Finding, str]:
        """Store a golden run; whether the board may go on, must run again, or is quarantined."""
        earlier = [run for run in self._store.golden_runs() if run.board_type == m.board_type]
        verdict = judge(m, baseline(m, earlier))
        self._store.add_golden_run(as_run(m, verdict))
        with self._lock:
            self._failures[board.id] = 0 if verdict.ok else self._failures.get(board.id, 0) + 1
            if verdict.ok:
                self._good_s[board.id], self._measured[board.id] = time.monotonic(), 0
                return "good", verdict.why
            if self._failures[board.id] < MOST_FAILURES:
                return "again", verdict.why
            self._failures[board.id] = 0  # it begins anew when a person has restored the board
        count = self._store.flag_since_golden(board.id, verdict.why)
        why = f"{verdict.why} ({MOST_FAILURES} times in a row; {count} measurements flagged)"
        quarantine(board, why)
        return "bad", why


def _age_s(run: GoldenRun | None) -> float:
    """How long ago a stored run was; for ever where the clock makes no sense of it."""
    if run is None:
        return float("inf")
    age_s = (datetime.now(UTC) - datetime.fromisoformat(run.utc)).total_seconds()
    return age_s if age_s >= 0 else float("inf")
