"""BoardManager: jobs in, measurements out, over all boards of the rack at once.

A job is looked up in the store first; else farm.scheduling decides which board takes it when. Every
board has a driver thread with a worker process of its own, started when there is work for it. A
bench failure (probe, console, dead worker, deadline) costs a retry, if possible on another board;
a wrong output or an image too big is a result. Results are stored before anybody sees them.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import replace

from farm.board_worker import DEFAULT_RUNNER
from farm.errors import BenchError, BoardsBusyError, ClockError, FarmError
from farm.job import MOST_PRIORITY, PRIORITIES, Event, Job, Purpose
from farm.leases.fencing import Fence
from farm.leases.waiting import HELD
from farm.mcus import load_mcu
from farm.measure import Measurement
from farm.rack.inventory import Board, Rack, normal_uid
from farm.scheduling.answers import answer
from farm.scheduling.away import Away
from farm.scheduling.care import Care
from farm.scheduling.crew import Threads
from farm.scheduling.outcome import Outcome, Teller, complete, expired_error, failure, given_up
from farm.scheduling.roles import Crew
from farm.scheduling.rota import Rota
from farm.scheduling.tickets import Share, Ticket, key_of
from farm.store import Store

__all__ = ["BoardManager", "Event", "Job"]

_CLOSE_S = 0.8
_MOST_PUT_BACK = 3
_LOOKS = 3  # into the store for one job, while results come in


class BoardManager:
    """Measures jobs on `boards`; a context manager whose end frees every board at once.

    wait_s bounds the wait for boards that others hold (then BoardsBusyError), retries the
    further attempts after a bench failure (then BenchError), job_deadline_s each attempt.
    `progress` is called from several threads, one call at a time. `runner` names what worker
    processes call for a job, or is a crew that drives boards in another way; boards that it drives
    show now and then that they are in order (farm.golden).
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
        runner: str | Crew = DEFAULT_RUNNER,
    ) -> None:
        self.rack, self.boards = rack, tuple(boards)
        self._job_deadline_s = job_deadline_s
        self._wait_s, self._retries = wait_s, retries
        self._own_store = store is None
        self.store = Store(rack=rack) if store is None else store
        self._teller = Teller(progress)
        self.care = Care(self.store, self._teller, checked=runner == DEFAULT_RUNNER)
        self._crew: Crew = Threads(runner) if isinstance(runner, str) else runner
        self._lock = threading.RLock()
        self._rota = Rota(self.boards, self._crew, self)
        self._schedule = self._rota.schedule
        self._tickets: dict[Share, Ticket] = {}
        self._open: set[Ticket] = set()
        self._working: dict[str, Ticket] = {}
        self._tokens: dict[str, int] = {}
        self._away = Away()
        self._results = 0  # so far
        self._closed = False

    def __enter__(self) -> "BoardManager":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def measure(self, jobs: Sequence[Job], *, again: bool = False) -> list[Measurement]:
        """Return one Measurement a job, in the order of the jobs; raises the first error."""
        futures = [self.submit(job, again=again) for job in jobs]
        return [future.result() for future in futures]  # bounded: each attempt has a deadline

    def submit(
        self,
        job: Job,
        *,
        again: bool = False,
        on: str = "",
        priority: int = 0,
        purpose: Purpose | None = None,
        submitter: str = "",
        deadline_s: float | None = None,
    ) -> "Future[Measurement]":
        """Queue a job, unless its result is stored or on its way.

        `again` measures anyway; `on` names the one board that must do it, and measures anyway.
        `priority` (-99 to 99; or waiting.HELD, for a board that this process holds and lends to
        the job) counts within the purpose (the job's own by default; golden before
        final before calibration before search); submitters take turns. After `deadline_s`
        seconds no attempt is begun; one that is has its whole time. The future raises BenchError,
        BoardsBusyError or ImageError; a wrong output or an image too big is a status. NoBoardError
        at once when no board could ever do it.
        """
        if abs(priority) > MOST_PRIORITY and priority != HELD:
            raise ValueError(f"{job.name}: priority is {priority}, not -99 to 99")
        job = job if purpose is None else replace(job, purpose=purpose)
        with self._lock:
            group = self._rota.group(job, on)
        ticket = Ticket(
            job=job,
            group=group,
            key=key_of(job, load_mcu(self.rack.types[job.board_type].mcu)),
            only=on,
            priority=PRIORITIES[job.purpose] + priority,
            submitter=submitter,
        )
        ticket.image = ticket.key[0]
        if deadline_s is not None:
            ticket.expires_s = self._crew.now_s() + deadline_s
        board = self._rota.board[group.seats[0].board]
        share, queued, looks = not (again or on), None, _LOOKS
        while queued is None:
            looks, seen = looks - 1, self._results
            if (known := answer(self.store, ticket, board, again=not share)) is not None:
                queued = ticket.join(job.name)
                self._teller.tell(job.name, queued, known)
            else:
                queued = self._queue(ticket, seen if looks else None, share=share)
        return queued

    def waiting(self) -> int:
        """How many jobs wait for a board."""
        with self._lock:
            return self._schedule.waiting

    def working(self) -> dict[str, Job]:
        """The jobs that are with a board now, by its id."""
        with self._lock:
            return {board: ticket.job for board, ticket in self._working.items()}

    def aside(self) -> dict[str, str]:
        """The boards that get no jobs of this manager now, and why."""
        with self._lock:
            return dict(self._rota.aside) | self._away.reasons()

    def close(self) -> None:
        """Kill all workers, which frees their boards; open futures raise FarmError."""
        with self._lock:
            self._closed = True
            self.care.close()
            hands = list(self._rota.hands.values())
            self._teller.close()
        for hand in hands:
            hand.stop()
        deadline_s = self._crew.now_s() + _CLOSE_S
        for hand in hands:
            hand.end(max(0.0, deadline_s - self._crew.now_s()))
        self._crew.close()  # behind the boards: it may wait for a database
        for ticket in tuple(self._open):
            self._resolve(ticket, FarmError(f"{ticket.job.name}: the board manager was closed"))
        if self._own_store:
            self.store.close()

    # What drivers call; see farm.scheduling.roles.Desk.

    def wants(self, board: Board) -> bool:
        """Whether there is a job that this board may take; if not, it is woken for the next."""
        with self._lock:
            return not self._closed and self._schedule.has_work(board.id)

    def urgency(self, board: Board) -> int:
        """The priority of the most urgent job that waits for this board."""
        with self._lock:
            return self._schedule.urgency(board.id)

    def holds(self, board: Board, token: int) -> None:
        """Tell the store of a new lease, so that it takes no result of an older one."""
        with self._lock:
            self._away.held(board.id)
        if self._tokens.get(board.id) != token:
            self.store.announce(Fence(normal_uid(board.probe), token))
            self._tokens[board.id] = token

    def take(self, board: Board) -> Ticket | None:
        """Take the job that was wanted; None when another board was faster."""
        with self._lock:
            while (ticket := self._schedule.take(board.id)) is not None and ticket.abandoned():
                self._forget(ticket)
                self._schedule.done(board.id)
            if ticket is None:
                return None
            self._working[board.id] = ticket
            ticket.taken_s = self._crew.now_s()
            ticket.queue_s = ticket.taken_s - ticket.since_s
        self._teller.emit(Event("started", ticket.job.name, board.id))
        return ticket

    def deadline_s(self, ticket: Ticket) -> float:
        """How long an attempt may take: as long for all, or short ones would blame their boards."""
        del ticket
        return self._job_deadline_s

    def stage(self, ticket: Ticket, board: Board, stage: str) -> None:
        """Tell the progress of a job."""
        self._teller.emit(Event("stage", ticket.job.name, board.id, stage))

    def passes(self, board: Board) -> None:
        """Send another board for the jobs of one that cannot come just now."""
        with self._lock:
            self._rota.wake(self._schedule.blocked(board.id))

    def away(self, board: Board, error: Exception) -> None:
        """Give up on jobs that waited long enough while no board could work on them."""
        self.passes(board)
        with self._lock:
            news = self._away.note(board.id, error)
            late = self._schedule.late(board.id, self._wait_s, self._away.patience_s)
            ended = [(ticket, self._away.error(ticket)) for ticket in late]
        self._resolve_all(ended)
        if isinstance(error, BoardsBusyError):
            return
        self.care.doubt(board)
        if news:
            self._teller.emit(Event("aside", "", board.id, str(error)))

    def back(self, board: Board) -> None:
        """The board can be used again."""
        with self._lock:
            self._away.forget(board.id)

    def put_back(self, ticket: Ticket, board: Board, error: BenchError) -> None:
        """Queue a job again whose board went away before it began; a few times at most."""
        ticket.put_back += 1
        ticket.failed_on.add(board.id)  # others first
        if ticket.put_back > _MOST_PUT_BACK or self._closed:
            self.bench_failed(ticket, board, error)
        else:
            self._done_with(board)
            self._begin(ticket)

    def set_aside(self, board: Board, why: str) -> None:
        """Use a board no more; what it was at, and jobs that no other board can do, fail."""
        with self._lock:
            lost = self._working.pop(board.id, None)
            self._rota.hands.pop(board.id, None)
            if self._closed:
                return
            stranded = self._rota.remove(board, why)
        ended: list[tuple[Ticket, Outcome]] = []
        if lost is not None:
            ended.append((lost, BenchError(f"{lost.job.name}: {why}", board.id)))
        ended += [(ticket, self._rota.none_left(ticket)) for ticket in stranded]
        self._resolve_all(ended)
        self._teller.emit(Event("aside", "", board.id, why))

    def measured(self, ticket: Ticket, board: Board, m: Measurement) -> None:
        """Complete a result, store it, and only then hand it out."""
        whole = complete(ticket, board, m, self._crew.now_s() - ticket.taken_s)
        if whole.status == "bench_failure":
            raise BenchError(whole.message or "unexplained bench failure", board.id)
        # Of the lease that it was made in, which may be over: FencedError, and it is tried again.
        token = whole.provenance.get("lease_token", 0)
        self.store.add(whole, fence=Fence(normal_uid(board.probe), int(token)))
        self.care.measured(board)
        self._done_with(board)
        self._resolve(ticket, whole)

    def bench_failed(self, ticket: Ticket, board: Board, error: BenchError) -> None:
        """Store the failure; queue the job again, first in line, while attempts are left."""
        if self._closed:
            self._done_with(board)
            return
        # The board keeps the job until all that may fail is done: a job of nobody would be lost.
        now_s = self._crew.now_s()
        final = len(ticket.failures) >= self._retries
        if isinstance(error, ClockError):
            self.care.doubt(board)  # what it measured before may have to be flagged
        token = self._tokens.get(board.id, 0)
        row = failure(ticket, board, str(error), now_s - ticket.taken_s, token, final=final)
        self.store.add(row)  # of whatever lease: it says nothing about the network
        ticket.failures.append(str(error))
        ticket.failed_on.add(board.id)
        if final or now_s >= ticket.expires_s:
            self._done_with(board)
            self._resolve(ticket, given_up(ticket.job, error, len(ticket.failures), board.id))
            return
        self._teller.emit(Event("retried", ticket.job.name, board.id, str(error)))
        self._done_with(board)
        self._begin(ticket)

    def refused(self, ticket: Ticket, board: Board, error: Exception) -> None:
        """End a job that can never work; nothing when this board no longer has it."""
        with self._lock:
            if self._working.get(board.id) is not ticket:
                return
        self._done_with(board)
        self._resolve(ticket, error)

    # Inner works.

    def _queue(
        self, ticket: Ticket, seen: int | None, *, share: bool
    ) -> "Future[Measurement] | None":
        """Queue a ticket, or join one for the same measurement that is on its way.

        None when there are other results than those `seen`: it may be among them.
        """
        with self._lock:
            if self._closed:
                raise FarmError("the board manager is closed")
            if seen not in (None, self._results):
                return None
            known = self._tickets.get(ticket.share) if share else None
            if known is not None:
                self._hurry(known, ticket)
                return known.join(ticket.job.name)
            self._rota.look_for_lifted_quarantines()
            if not ticket.group.in_service:
                raise self._rota.none_left(ticket)
            future = ticket.join(ticket.job.name)
            self._tickets[ticket.share] = ticket
            self._open.add(ticket)
        try:
            self._teller.emit(Event("queued", ticket.job.name))
        finally:  # whatever the display does: others may have joined the ticket by now
            self._begin(ticket)
        return future

    def _begin(self, ticket: Ticket) -> None:
        """Let boards take a ticket, or end it if the last of them was set aside meanwhile."""
        with self._lock:
            if self._closed:  # which ends it
                return
            if ticket.group.in_service:
                self._put(ticket)
                return
        self._resolve(ticket, self._rota.none_left(ticket))

    def _put(self, ticket: Ticket) -> None:
        self._rota.put(ticket)
        self._set_alarm()

    def _hurry(self, known: Ticket, ticket: Ticket) -> None:
        """Let a queued ticket serve one more asker, who may be more urgent or more patient."""
        priority = max(known.priority, ticket.priority)
        expires_s = max(known.expires_s, ticket.expires_s)
        if (priority, expires_s) == (known.priority, known.expires_s):
            return
        waits = self._schedule.remove(known)
        known.priority, known.expires_s = priority, expires_s
        if waits:
            self._put(known)

    def _set_alarm(self) -> None:
        at_s = self._schedule.alarm_s()
        if at_s != float("inf"):
            self._crew.call_at(at_s, self._ring)

    def _ring(self) -> None:
        with self._lock:
            if self._closed:
                return
            expired, woken = self._schedule.ring()
            self._rota.wake(woken)
            self._set_alarm()
        self._resolve_all([(ticket, expired_error(ticket)) for ticket in expired])

    def _done_with(self, board: Board) -> None:
        with self._lock:
            self._working.pop(board.id, None)
            self._schedule.done(board.id)

    def _forget(self, ticket: Ticket) -> None:
        self._open.discard(ticket)
        if self._tickets.get(ticket.share) is ticket:
            del self._tickets[ticket.share]

    def _resolve_all(self, ended: Sequence[tuple[Ticket, Outcome]]) -> None:
        with ExitStack() as all_end:  # also when a progress display fails at the first
            for ticket, outcome in reversed(ended):
                all_end.callback(self._resolve, ticket, outcome)

    def _resolve(self, ticket: Ticket, outcome: Outcome) -> None:
        with self._lock:
            if ticket not in self._open:
                return
            self._forget(ticket)
            self._results += 1
        self._teller.tell_all(ticket, outcome)
