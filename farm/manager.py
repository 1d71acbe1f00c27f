"""BoardManager: jobs in, measurements out, over all boards of the rack at once.

A job is looked up in the store first; else it waits in the queue of its board type. Every
board has a driver thread with a worker process of its own, started at the first job of its
type. A bench failure (probe, console, dead worker, deadline) costs a retry, if possible on
another board; a wrong output or an image too big is a result. Results are stored before
anybody sees them.
"""

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack

from farm.board_worker import DEFAULT_RUNNER
from farm.driver import Driver
from farm.errors import BenchError, BoardsBusyError, FarmError, InventoryError, NoBoardError
from farm.image import image_key
from farm.inventory import Board, Rack
from farm.job import Event, Job
from farm.lease import quarantine_reason
from farm.mcus import load_mcu
from farm.measure import Measurement
from farm.outcome import complete, failure, settle
from farm.store import Store
from farm.tickets import Key, Ticket, TicketQueue
from farm.virtual.parts import load_part

__all__ = ["BoardManager", "Event", "Job"]

_CLOSE_S = 0.8


class BoardManager:
    """Measures jobs on `boards`; a context manager whose end frees every board at once.

    wait_s bounds the wait for boards that others hold (then BoardsBusyError), retries the
    further attempts after a bench failure (then BenchError), job_deadline_s each attempt.
    `progress` is called from several threads, one call at a time.
    """

    def __init__(
        self,
        rack: Rack,
        boards: Sequence[Board],
        store: Store | None = None,
        wait_s: float = 60.0,
        retries: int = 2,
        progress: Callable[[Event], None] | None = None,
        *,
        job_deadline_s: float = 120.0,
        runner: str = DEFAULT_RUNNER,
    ) -> None:
        self.rack, self.boards = rack, tuple(boards)
        self.runner, self.job_deadline_s = runner, job_deadline_s
        self._wait_s, self._retries, self._progress = wait_s, retries, progress
        self._own_store = store is None
        self.store = Store() if store is None else store
        self._changed = threading.Condition()
        self._progress_lock = threading.RLock()
        self._queues = {board.type.name: TicketQueue() for board in self.boards}
        self._tickets: dict[Key, Ticket] = {}
        self._open: set[Ticket] = set()
        self._drivers: dict[str, Driver] = {}
        self._working: dict[str, Ticket] = {}
        self._aside: dict[str, str] = {}
        self._closed = False
        for board_type in self._queues:
            self._refuse_mixed(board_type)

    def __enter__(self) -> "BoardManager":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def measure(self, jobs: Sequence[Job], *, again: bool = False) -> list[Measurement]:
        """Return one Measurement a job, in the order of the jobs; raises the first error."""
        futures = [self.submit(job, again=again) for job in jobs]
        return [future.result() for future in futures]  # bounded: each attempt has a deadline

    def submit(self, job: Job, *, again: bool = False, on: str = "") -> "Future[Measurement]":
        """Queue a job, unless its result is stored or on its way.

        `again` measures anyway; `on` names the one board that must do it, and measures anyway.
        The future raises BenchError, BoardsBusyError or ImageError; a wrong output or an
        image too big is a status. NoBoardError at once when no board could ever do it.
        """
        if job.board_type not in self._queues:
            have = ", ".join(self._queues) or "none"
            raise NoBoardError(f"no board of type {job.board_type!r} is selected (have: {have})")
        ticket = Ticket(job, self._key(job), on)
        if again or on:
            return self._queue(ticket, share=False)
        stored = self._stored(job, ticket.key)
        if stored is None:
            return self._queue(ticket, share=True)
        future = ticket.join(job.name)
        self._tell(job.name, future, stored)
        return future

    def close(self) -> None:
        """Kill all workers, which frees their boards; open futures raise FarmError."""
        with self._changed:
            self._closed = True
            drivers = list(self._drivers.values())
            self._changed.notify_all()
        for driver in drivers:
            driver.stop()
        deadline = time.monotonic() + _CLOSE_S
        for driver in drivers:
            if driver is not threading.current_thread():
                driver.join(max(0.0, deadline - time.monotonic()))
        for ticket in tuple(self._open):
            self._resolve(ticket, FarmError(f"{ticket.job.name}: the board manager was closed"))
        if self._own_store:
            self.store.close()

    # What drivers call; see farm.driver.Desk.

    def wait_for_work(self, board: Board) -> bool:
        """Block until there is a job that this board may take; False when closed."""
        with self._changed:
            while not self._closed:
                queue = self._queues[board.type.name]
                if queue.peek(board.id, self._siblings(board)) is not None:
                    return True
                # A ticket kept for another board becomes free by time alone.
                self._changed.wait(1.0 if any(queue) else None)
            return False

    def take(self, board: Board) -> Ticket | None:
        """Take the job that wait_for_work promised; None when another board was faster."""
        with self._changed:
            ticket = self._queues[board.type.name].take(board.id, self._siblings(board))
            if ticket is not None and not ticket.abandoned():
                self._working[board.id] = ticket
            elif ticket is not None:
                self._forget(ticket)
                ticket = None
        if ticket is not None:
            self._emit(Event("started", ticket.job.name, board.id))
        return ticket

    def stage(self, ticket: Ticket, board: Board, stage: str) -> None:
        """Tell the progress of a job."""
        self._emit(Event("stage", ticket.job.name, board.id, stage))

    def board_busy(self, board: Board, why: str) -> None:
        """Give up on jobs that waited long enough while no board of their type could work."""
        with self._changed:
            working = self._working.keys() & {b.id for b in self._of_type(board.type.name)}
            queue = self._queues[board.type.name]
            late = [
                ticket
                for ticket in queue
                if ticket.age_s() >= self._wait_s
                and (ticket.only == board.id if ticket.only else not working)
                and queue.remove(ticket)
            ]
        for ticket in late:
            self._resolve(ticket, BoardsBusyError(f"{ticket.job.name}: {why}"))

    def set_aside(self, board: Board, why: str) -> None:
        """Use a board no more; what it was at, and jobs that no other board can do, fail."""
        with self._changed:
            lost = self._working.pop(board.id, None)
            self._aside.setdefault(board.id, why)
            if self._closed:
                return
            siblings = self._of_type(board.type.name)
            nobody = all(b.id in self._aside for b in siblings)
            queue = self._queues[board.type.name]
            stranded = [t for t in queue if (nobody or t.only == board.id) and queue.remove(t)]
            self._changed.notify_all()
        if lost is not None:
            self._resolve(lost, BenchError(f"{lost.job.name}: {why}", board.id))
        for ticket in stranded:
            self._resolve(ticket, self._none_left([board] if ticket.only else siblings, ticket))

    def measured(self, ticket: Ticket, board: Board, m: Measurement) -> None:
        """Complete a result, store it, and only then hand it out."""
        whole = complete(ticket, board, m)
        if whole.status == "bench_failure":
            raise BenchError(whole.message or "unexplained bench failure", board.id)
        self.store.add(whole)
        self._done_with(board)
        self._resolve(ticket, whole)

    def bench_failed(self, ticket: Ticket, board: Board, error: BenchError) -> None:
        """Store the failure; queue the job again, first in line, while attempts are left."""
        if self._closed:
            self._done_with(board)
            return
        # The board keeps the job until all that may fail is done: a job of nobody would be lost.
        self.store.add(failure(ticket, board, str(error)))
        ticket.failures.append(str(error))
        ticket.failed_on.add(board.id)
        if len(ticket.failures) > self._retries:
            self._done_with(board)
            advice = f"`tinyrack boards` shows its health (failure {len(ticket.failures)})"
            self._resolve(ticket, BenchError(f"{ticket.job.name}: {error}; {advice}", board.id))
            return
        self._emit(Event("retried", ticket.job.name, board.id, str(error)))
        self._done_with(board)
        with self._changed:
            self._queues[ticket.job.board_type].put(ticket, first=True)
            self._changed.notify_all()

    def refused(self, ticket: Ticket, board: Board, error: Exception) -> None:
        """End a job that can never work; nothing when this board no longer has it."""
        with self._changed:
            if self._working.get(board.id) is not ticket:
                return
        self._done_with(board)
        self._resolve(ticket, error)

    # Inner works.

    def _queue(self, ticket: Ticket, *, share: bool) -> "Future[Measurement]":
        """Queue a ticket, or join one for the same measurement that is on its way."""
        with self._changed:
            if self._closed:
                raise FarmError("the board manager is closed")
            known = self._tickets.get(ticket.key) if share else None
            if known is not None:
                return known.join(ticket.job.name)
            future = ticket.join(ticket.job.name)
            self._start_drivers(ticket)
            self._tickets[ticket.key] = ticket
            self._open.add(ticket)
            self._queues[ticket.job.board_type].put(ticket)
            self._changed.notify_all()
        self._emit(Event("queued", ticket.job.name))
        return future

    def _start_drivers(self, ticket: Ticket) -> None:
        """Start what can work on this ticket; raise when nothing can."""
        able = [b for b in self._of_type(ticket.job.board_type) if ticket.only in ("", b.id)]
        usable = [board for board in able if self._usable(board)]
        if not usable:
            raise self._none_left(able, ticket)
        for board in usable:
            if board.id not in self._drivers:
                self._drivers[board.id] = Driver(board, self)
                self._drivers[board.id].start()

    def _of_type(self, board_type: str) -> list[Board]:
        return [board for board in self.boards if board.type.name == board_type]

    def _usable(self, board: Board) -> bool:
        if board.id not in self._aside and board.id not in self._drivers:
            reason = quarantine_reason(board)
            if reason is not None:
                self._aside[board.id] = f"quarantined: {reason}"
        return board.id not in self._aside

    def _none_left(self, able: Sequence[Board], ticket: Ticket) -> FarmError:
        reasons = [self._aside.get(board.id, "") for board in able]
        why = "; ".join(f"{b.id} {r}" for b, r in zip(able, reasons, strict=True) if r)
        what = ticket.only or f"{ticket.job.board_type} board"
        message = f"{ticket.job.name}: no {what} is left in service ({why or 'not selected'})"
        quarantined = all(reason.startswith("quarantined") for reason in reasons)
        return NoBoardError(message) if quarantined else BenchError(message)

    def _siblings(self, board: Board) -> list[str]:
        same = (b.id for b in self._of_type(board.type.name))
        return [i for i in same if i != board.id and i not in self._aside]

    def _done_with(self, board: Board) -> None:
        with self._changed:
            self._working.pop(board.id, None)
            for ticket in self._queues[board.type.name]:
                ticket.since_s = max(ticket.since_s, time.monotonic())

    def _forget(self, ticket: Ticket) -> None:
        self._open.discard(ticket)
        if self._tickets.get(ticket.key) is ticket:
            del self._tickets[ticket.key]

    def _resolve(self, ticket: Ticket, outcome: Measurement | Exception) -> None:
        with self._changed:
            if ticket not in self._open:
                return
            self._forget(ticket)
            waiting = tuple(ticket.waiting)
        with ExitStack() as all_are_told:  # also when a progress display fails at the first
            for name, future in reversed(waiting):
                all_are_told.callback(self._tell, name, future, outcome)

    def _tell(
        self, name: str, future: "Future[Measurement]", outcome: Measurement | Exception
    ) -> None:
        if isinstance(outcome, Exception):
            event = Event("failed", name, detail=str(outcome))
        else:
            outcome = dataclasses.replace(outcome, name=name)
            event = Event("done", name, outcome.board, outcome.status, outcome)
        if isinstance(outcome, Measurement) and outcome.source == "stored":
            event = dataclasses.replace(event, detail="stored")
        try:
            self._emit(event)
        finally:  # a progress display that fails must not keep the result
            settle(future, outcome)

    def _emit(self, event: Event) -> None:
        if self._progress is not None and not self._closed:
            with self._progress_lock:
                self._progress(event)

    def _key(self, job: Job) -> Key:
        mcu = load_mcu(self.rack.types[job.board_type].mcu)
        key = image_key(job.model, mcu, job.board_type, job.compiler)
        return key, job.board_type, job.input_sha256, job.expected_sha256

    def _stored(self, job: Job, key: Key) -> Measurement | None:
        virtual = next(b.virtual for b in self.boards if b.type.name == job.board_type)
        table = load_part(self.rack.types[job.board_type].mcu).timing_model if virtual else None
        found = self.store.find(*key, virtual=virtual, timing_model=table)
        return dataclasses.replace(found, name=job.name) if found else None

    def _refuse_mixed(self, board_type: str) -> None:
        kinds = {board.virtual for board in self.boards if board.type.name == board_type}
        if len(kinds) > 1:
            raise InventoryError(
                f"the selected {board_type} boards are both real and virtual; select one kind, "
                "because their results must not mix"
            )
