"""The thread that keeps one board busy: it takes jobs, works them off and reports back."""

import threading
from typing import Protocol

from engine.errors import EngineError
from farm.board_worker import BoardWorker
from farm.errors import BenchError, BoardsBusyError, FarmError, NoBoardError
from farm.inventory import Board
from farm.measure import Measurement
from farm.tickets import Ticket

_HOLD_SLICE_S = 0.5  # one try for the lease; between two the queue is looked at again
_MAX_FAILURES_IN_A_ROW = 3


class Desk(Protocol):
    """What a driver needs of the manager; every method may be called from any driver."""

    runner: str
    job_deadline_s: float

    def wait_for_work(self, board: Board) -> bool:
        """Block until there is a job that this board may take; False when the desk closed."""

    def take(self, board: Board) -> Ticket | None:
        """Take that job; None when another board was faster."""

    def board_busy(self, board: Board, why: str) -> None:
        """Somebody else holds the board."""

    def set_aside(self, board: Board, why: str) -> None:
        """The board takes no more jobs of this desk."""

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

    def __init__(self, board: Board, desk: Desk) -> None:
        super().__init__(name=f"board {board.id}", daemon=True)
        self.board = board
        self._desk = desk
        self._lock = threading.Lock()
        self._worker: BoardWorker | None = None
        self._stopped = False
        self._failures_in_a_row = 0

    def run(self) -> None:
        """Work until there is nothing more to do; a board that stops says so."""
        reason = "its driver stopped; see the traceback"
        try:
            while self._desk.wait_for_work(self.board):
                if not self._serve():
                    return
            reason = ""
        finally:
            self._drop_worker()
            if reason:
                self._desk.set_aside(self.board, reason)

    def stop(self) -> None:
        """Kill the worker now and start no other; the thread then ends by itself."""
        with self._lock:
            self._stopped = True
            if self._worker is not None:
                self._worker.kill()

    def _serve(self) -> bool:
        """Hold the board and work off one job; False when the board is out of service."""
        try:
            worker = self._live_worker()
            worker.hold(_HOLD_SLICE_S)
        except BoardsBusyError as error:
            self._desk.board_busy(self.board, str(error))
            return True
        except NoBoardError as error:
            self._desk.set_aside(self.board, str(error))
            return False
        except BenchError as error:
            return self._count_failure(error)
        except OSError as error:  # no process, no memory, no log file: a matter of this host
            self._desk.set_aside(self.board, f"has no worker: {error}")
            return False
        ticket = self._desk.take(self.board)
        return ticket is None or self._work(worker, ticket)

    def _work(self, worker: BoardWorker, ticket: Ticket) -> bool:
        error: Exception = FarmError(f"{ticket.job.name}: lost by its board's driver")
        try:
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
        try:
            m = worker.measure(
                ticket.job,
                self._desk.job_deadline_s,
                lambda stage: self._desk.stage(ticket, self.board, stage),
            )
            self._desk.measured(ticket, self.board, m)
        except BenchError as failure:
            return failure
        return None

    def _count_failure(self, error: BenchError) -> bool:
        self._drop_worker()  # a fresh process holds no broken probe session
        self._failures_in_a_row += 1
        if self._failures_in_a_row < _MAX_FAILURES_IN_A_ROW:
            return True
        self._desk.set_aside(self.board, f"failed {self._failures_in_a_row} times; last: {error}")
        return False

    def _live_worker(self) -> BoardWorker:
        with self._lock:
            if self._stopped:
                raise NoBoardError("the manager is closing")
            if self._worker is None:
                self._worker = BoardWorker(self.board, self._desk.runner)
            return self._worker

    def _drop_worker(self) -> None:
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()
