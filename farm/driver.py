"""The thread that keeps one board busy: it takes jobs, works them off and reports back.

A job that fails costs a rung of the ladder (farm.recovery), the next failure in a row the next
rung; behind the last one the board is quarantined.
"""

import importlib
import logging
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, cast

from engine.errors import EngineError
from farm.board_worker import BoardWorker
from farm.errors import BenchError, BoardsBusyError, FarmError, NoBoardError
from farm.golden.health import Finding
from farm.inventory import Board
from farm.job import Job
from farm.lease import quarantine, quarantine_reason
from farm.log import about
from farm.measure import Measurement
from farm.tickets import Ticket

if TYPE_CHECKING:
    from farm.recovery import Rung  # imported at the first failure: it needs much

_HOLD_SLICE_S = 0.5  # one try for the lease; between two the queue is looked at again
_RECOVER_HOLD_S = 10.0
_GOLDEN_S = 120.0
_MAX_FAILURES_IN_A_ROW = 3  # of a ladder without rungs
_LOG = logging.getLogger(__name__)


class Desk(Protocol):
    """What a driver needs of the manager; every method may be called from any driver."""

    def waiting(self) -> int:
        """How many jobs wait for a board."""

    def working(self) -> Mapping[str, Job]:
        """The jobs that are with a board now, by its id."""

    def aside(self) -> Mapping[str, str]:
        """The boards that get no more jobs, and why."""

    def wants(self, board: Board) -> bool:
        """Whether there is a job that this board may take; if not, it is woken for the next."""

    def urgency(self, board: Board) -> int:
        """The priority of the most urgent job that waits for this board."""

    def holds(self, board: Board, token: int) -> None:
        """The board is held by its worker, under that fencing token."""

    def golden_job(self, board: Board) -> Job | None:
        """The golden program, if the board has to run it before its next job."""

    def golden(self, board: Board, m: Measurement) -> Finding:
        """The board ran it: it may go on, has to run it again, or is quarantined."""

    def take(self, board: Board) -> Ticket | None:
        """Take the job that was wanted; None when another board was faster."""

    def deadline_s(self, ticket: Ticket) -> float:
        """How long an attempt at this job may take from now."""

    def passes(self, board: Board) -> None:
        """The board cannot come for the job just now."""

    def board_busy(self, board: Board, why: str) -> None:
        """Somebody else holds the board."""

    def set_aside(self, board: Board, why: str) -> None:
        """The board takes no more jobs of this desk."""

    def recovered(self, board: Board, rung: str, seconds: float, outcome: str) -> None:
        """A rung of the ladder was tried."""

    def stage(self, ticket: Ticket, board: Board, stage: str) -> None:
        """A job began a stage."""

    def measured(self, ticket: Ticket, board: Board, m: Measurement) -> None:
        """A job ended with a result."""

    def bench_failed(self, ticket: Ticket, board: Board, error: BenchError) -> None:
        """A job failed through no fault of its own."""

    def refused(self, ticket: Ticket, board: Board, error: Exception) -> None:
        """A job that this board still has can never work, on any board."""


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
        self._stopped = False
        self._failures_in_a_row = 0

    def wake(self) -> None:
        """Look for work."""
        self._woken.set()

    def stop(self) -> None:
        """Kill the worker now and start no other; the thread then ends by itself."""
        with self._lock:
            self._stopped = True
            if self._worker is not None:
                self._worker.kill()
        self._woken.set()

    def end(self, timeout_s: float) -> None:
        """Wait for the thread's end, unless this is the thread."""
        if self is not threading.current_thread():
            self.join(timeout_s)

    def run(self) -> None:
        """Work until there is nothing more to do; a board that stops says so."""
        reason = "its driver stopped; see the traceback"
        try:
            while self._wait_for_work():
                with about(board=self.board.id):
                    goes_on = self._serve()
                if not goes_on:
                    break
            reason = ""
        finally:
            self._drop_worker()
            if reason:
                self._desk.set_aside(self.board, reason)

    def _wait_for_work(self) -> bool:
        """Block until a job waits for this board; False when stopped."""
        while not self._stopped:
            self._woken.wait()  # ends with `wake` and with `stop`
            self._woken.clear()
            if not self._stopped and self._desk.wants(self.board):
                self._woken.set()  # and look again afterwards
                return True
        return False

    def _serve(self) -> bool:
        """Hold the board and work off one job; False when the board is out of service."""
        try:
            worker = self._held_worker(_HOLD_SLICE_S)
            finding = self._health(worker)
        except BoardsBusyError as error:
            self._desk.board_busy(self.board, str(error))
            return True
        except NoBoardError as error:
            reason = quarantine_reason(self.board)
            self._desk.set_aside(self.board, f"quarantined: {reason}" if reason else str(error))
            return False
        except BenchError as error:
            self._desk.passes(self.board)
            return self._count_failure(error)
        except (OSError, FarmError, EngineError) as error:  # no process, memory, store, compiler
            self._desk.set_aside(self.board, f"cannot be driven from here: {error}")
            return False
        if finding != "good":
            return finding == "again"
        ticket = self._desk.take(self.board)
        return ticket is None or self._work(worker, ticket)

    def _health(self, worker: BoardWorker) -> Finding:
        """Run the golden program if it is due."""
        job = self._desk.golden_job(self.board)
        if job is None:
            return "good"
        return self._desk.golden(self.board, worker.measure(job, _GOLDEN_S, lambda _: None))

    def _work(self, worker: BoardWorker, ticket: Ticket) -> bool:
        error: Exception = FarmError(f"{ticket.job.name}: lost by its board's driver")
        try:
            with about(lease=worker.token, job=ticket.job.name):
                failure = self._measure(worker, ticket)
            if failure is not None:
                self._desk.bench_failed(ticket, self.board, failure)
                return self._count_failure(failure)
        except (FarmError, EngineError) as refusal:
            error = refusal
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
            self._desk.measured(ticket, self.board, m)
        except BenchError as failure:
            _LOG.warning("attempt %d failed: %s", len(ticket.failures) + 1, failure)
            return failure
        return None

    def _count_failure(self, error: BenchError) -> bool:
        """Drop the worker and climb a rung; False when there is no rung left."""
        self._drop_worker()  # a fresh process holds no broken probe session
        self._failures_in_a_row += 1
        rungs = _rungs(self._ladder)
        if self._failures_in_a_row <= len(rungs):
            self._climb(rungs[self._failures_in_a_row - 1], self._failures_in_a_row - 1)
            return not self._stopped
        if self._failures_in_a_row < _MAX_FAILURES_IN_A_ROW:
            return True
        why = f"failed {self._failures_in_a_row} times; last: {error}"
        if rungs and not self._stopped:
            quarantine(self.board, why)
            _LOG.error("quarantined: %s", why)
            why = f"quarantined: {why}"
        self._desk.set_aside(self.board, why)
        return False

    def _climb(self, rung: "Rung", number: int) -> None:
        """Try a rung; whether it helped is for the next job to show."""
        started_s = time.monotonic()
        try:
            worker = self._held_worker(_RECOVER_HOLD_S)
            outcome = f"done: {worker.recover(number, rung.deadline_s)}"
        except (FarmError, OSError) as error:
            outcome = f"failed: {error}"
            self._drop_worker()
        seconds = time.monotonic() - started_s
        _LOG.warning("recovery by %s, %.1f s: %s", rung.name, seconds, outcome)
        self._desk.recovered(self.board, rung.name, seconds, outcome)

    def _held_worker(self, wait_s: float) -> BoardWorker:
        """A worker that holds the board."""
        with self._lock:
            if self._stopped:
                raise NoBoardError("the manager is closing")
            if self._worker is None:
                self._worker = BoardWorker(self.board, self._runner, self._ladder)
            worker = self._worker
        token = worker.hold(wait_s, self._desk.urgency(self.board))
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
