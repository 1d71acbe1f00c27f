"""The thread that keeps one board busy: it takes jobs, works them off and reports back.

A job that fails costs a rung of the ladder (farm.ladder), the next failure in a row the next
rung; behind the last one the board is quarantined.
"""

import importlib
import logging
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from engine.errors import EngineError
from farm.board_worker import BoardWorker
from farm.errors import (
    AwayError,
    BenchError,
    BoardsBusyError,
    ClockError,
    FarmError,
    NoBoardError,
    ProbeMissingError,
)
from farm.golden.health import Finding
from farm.leases.lease import quarantine_reason
from farm.log import about
from farm.rack.inventory import Board
from farm.scheduling.away import Absence
from farm.scheduling.roles import Desk
from farm.scheduling.tickets import Ticket

if TYPE_CHECKING:
    from farm.ladder.recovery import Rung  # imported at the first failure: it needs much

_HOLD_SLICE_S = 0.5  # one try for the lease; between two the queue is looked at again
_RECOVER_HOLD_S = 10.0
_GOLDEN_S = 120.0
_MAX_FAILURES_IN_A_ROW = 3  # of a ladder without rungs
_LOG = logging.getLogger(__name__)


class Driver(threading.Thread):
    """Drives one board through its worker process until the desk closes or the board fails."""

    def __init__(self, board: Board, desk: Desk, runner: str, ladder: str) -> None:
        super().__init__(name=f"board {board.id}", daemon=True)
        self.board = board
        self._desk = desk
        self._runner, self._ladder = runner, ladder
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._worker: BoardWorker | None = None
        self._over = threading.Event()
        self._failures_in_a_row = 0
        self._absence = Absence()

    def wake(self) -> None:
        """Look for work."""
        self._woken.set()

    def stop(self) -> None:
        """Kill the worker now and start no other; the thread then ends by itself."""
        with self._lock:
            self._over.set()
            if self._worker is not None:
                self._worker.kill()
        self._woken.set()

    def end(self, timeout_s: float) -> None:
        """Wait for the thread's end, unless this is the thread."""
        if self is not threading.current_thread():
            self.join(timeout_s)

    def run(self) -> None:
        """Work until there is nothing more to do; a board that stops says so."""
        reason = "its driver stopped; see the log"
        try:
            while self._wait_for_work():
                with about(board=self.board.id):
                    goes_on = self._serve()
                if not goes_on:
                    break
            reason = ""
        finally:
            if reason:  # nobody may see what a thread prints
                _LOG.error("%s: its driver stopped", self.board.id, exc_info=True)
            self._drop_worker()
            if reason:
                self._desk.set_aside(self.board, reason)

    def _wait_for_work(self) -> bool:
        """Block until a job waits for this board; False when stopped."""
        while not self._over.is_set():
            self._woken.wait()  # ends with `wake` and with `stop`
            self._woken.clear()
            if not self._over.is_set() and self._desk.wants(self.board):
                self._woken.set()  # and look again afterwards
                return True
        return False

    def _serve(self) -> bool:
        """Hold the board and work off one job; False when the board is out of service."""
        try:
            worker = self._held_worker(_HOLD_SLICE_S)
            finding = self._health(worker)
        except (OSError, FarmError, EngineError) as error:  # no process, memory, store, compiler
            return self._unusable(error)
        if finding != "good":
            return finding == "again"
        ticket = self._desk.take(self.board)
        return ticket is None or self._work(worker, ticket)

    def _unusable(self, error: Exception) -> bool:
        """What follows when a board could not be held or shown to be in order; False: no more."""
        if isinstance(error, BoardsBusyError):
            self._desk.away(self.board, error)
            return True
        if isinstance(error, NoBoardError):
            return self._refused(error)
        if isinstance(error, BenchError) and not isinstance(error, AwayError):
            self._desk.passes(self.board)
            return self._count_failure(error)
        return self._away(error)

    def _refused(self, refusal: NoBoardError) -> bool:
        """False when the board is quarantined."""
        try:
            reason = quarantine_reason(self.board)
        except FarmError as error:
            return self._away(error)
        if reason is not None:
            self._desk.set_aside(self.board, f"quarantined: {reason}")
            return False
        return self._away(refusal)

    def _away(self, error: Exception) -> bool:
        """Leave the jobs to others, and look again after a pause; False when stopped."""
        if self._over.is_set():
            return False
        if self._absence.begins(error):
            _LOG.warning("cannot be used, and is looked at again: %s", error)
        self._desk.away(self.board, error)
        if isinstance(error, ProbeMissingError) and not self._absence.climbed:
            self._absence.climbed = True
            self._climb_for_missing(error)
        self._over.wait(self._absence.pause_s())
        return not self._over.is_set()

    def _climb_for_missing(self, error: Exception) -> None:
        """The one rung that may bring a probe back, where something switches its power."""
        for number, rung in enumerate(_rungs(self._ladder)):
            if rung.brings_probe_back(self.board):
                self._climb(rung, number, error)

    def _back(self) -> None:
        """The board has been reached."""
        if self._absence.over():
            _LOG.warning("can be used again")
            self._desk.back(self.board)

    def _health(self, worker: BoardWorker) -> Finding:
        """Run the golden program if it is due."""
        job = self._desk.care.golden_job(self.board)
        if job is None:
            return "good"
        try:
            m = worker.measure(job, _GOLDEN_S, lambda _: None)
        except ClockError as error:
            finding, why = self._desk.care.golden_off(self.board, error, worker.token)
        else:
            finding, why = self._desk.care.golden(self.board, m)
        self._back()
        if finding == "bad":
            self._desk.set_aside(self.board, f"quarantined: {why}")
        return finding

    def _work(self, worker: BoardWorker, ticket: Ticket) -> bool:
        error: Exception = FarmError(f"{ticket.job.name}: lost by its board's driver")
        try:
            with about(lease=worker.token, job=ticket.job.name):
                failure = self._measure(worker, ticket)
            if isinstance(failure, AwayError):
                self._desk.put_back(ticket, self.board, failure)
                return self._away(failure)
            if failure is not None:
                self._desk.bench_failed(ticket, self.board, failure)
                return self._count_failure(failure)
        except (FarmError, EngineError) as refusal:
            error = refusal
            return True  # which says nothing about the board
        finally:
            self._desk.refused(ticket, self.board, error)
        self._failures_in_a_row = 0
        return True

    def _measure(self, worker: BoardWorker, ticket: Ticket) -> BenchError | None:
        """Have the worker do the job; how the bench failed, None when there is a result."""
        _LOG.info("attempt %d", len(ticket.failures) + 1)
        try:
            m = worker.measure(
                ticket.job,
                self._desk.deadline_s(ticket),
                lambda stage: self._desk.stage(ticket, self.board, stage),
            )
            self._back()  # before anybody sees the result
            self._desk.measured(ticket, self.board, m)
            _LOG.info("attempt %d: %s, %d cycles", len(ticket.failures) + 1, m.status, m.cycles)
        except AwayError as failure:
            return failure
        except BenchError as failure:
            _LOG.warning("attempt %d failed: %s", len(ticket.failures) + 1, failure)
            return failure
        return None

    def _count_failure(self, error: BenchError) -> bool:
        """Drop the worker and climb a rung; False when there is no rung left."""
        self._drop_worker()  # a fresh process holds no broken probe session
        if self._over.is_set():
            return False
        self._failures_in_a_row += 1
        rungs = _rungs(self._ladder)
        if self._failures_in_a_row <= len(rungs):
            number = self._failures_in_a_row - 1
            if not self._climb(rungs[number], number, error):
                self._failures_in_a_row -= 1
            return not self._over.is_set()
        if self._failures_in_a_row < _MAX_FAILURES_IN_A_ROW:
            return True
        return self._give_up(f"failed {self._failures_in_a_row} times; last: {error}", rungs)

    def _give_up(self, why: str, rungs: "Sequence[Rung]") -> bool:
        """Quarantine a board that no rung helped; one without a ladder is set aside."""
        if rungs:
            try:
                self._desk.care.quarantine(self.board, why)
            except FarmError as error:  # its next failure tries it again
                return self._away(error)
            _LOG.error("quarantined: %s", why)
            why = f"quarantined: {why}"
        self._desk.set_aside(self.board, why)
        return False

    def _climb(self, rung: "Rung", number: int, why: Exception) -> bool:
        """Try a rung; whether it helped is for the next job to show. False if it was not begun."""
        started_s = time.monotonic()
        try:
            worker = self._held_worker(_RECOVER_HOLD_S)
        except (FarmError, OSError) as error:  # closing, taken, quarantined, no worker
            _LOG.info("recovery by %s was not begun: %s", rung.name, error)
            return False
        token = worker.token
        try:
            outcome = f"done: {worker.recover(number, rung.deadline_s)}; after: {why}"
        except (FarmError, OSError) as error:
            outcome = f"failed: {error}; after: {why}"
            self._drop_worker()
        if self._over.is_set():  # then it failed because it was ended
            return False
        seconds = time.monotonic() - started_s
        with about(lease=token):
            _LOG.warning("recovery by %s, %.1f s: %s", rung.name, seconds, outcome)
        self._desk.care.recovered(self.board, rung.name, seconds, outcome, token)
        return True

    def _held_worker(self, wait_s: float) -> BoardWorker:
        """A worker that holds the board."""
        with self._lock:
            if self._over.is_set():
                raise NoBoardError("the manager is closing")
            if self._worker is None:
                self._worker = BoardWorker(self.board, self._runner, self._ladder)
            worker = self._worker
        try:
            token = worker.hold(wait_s, self._desk.urgency(self.board))
        except BenchError as error:  # it ended or hangs, and has not touched the board yet
            self._drop_worker()
            raise AwayError(str(error), self.board.id) from error
        self._desk.holds(self.board, token)
        return worker

    def _drop_worker(self) -> None:
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()


def _rungs(ladder: str) -> "tuple[Rung, ...]":
    module, _, name = ladder.partition(":")
    return cast("tuple[Rung, ...]", getattr(importlib.import_module(module), name))
