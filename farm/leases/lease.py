"""Who holds which board: one process at a time, and never one that is dead.

    with lease(board, wait_s=60.0) as held:                   # this board
    with lease_any(boards, count=2, wait_s=60.0) as held:     # two of these, both or none

A board hangs off exactly one host, so a kernel `flock` on this host is the whole truth: it
goes with its process, at once, whatever kills it. The database row beside it says who holds
the board until when, and carries the fencing token: every grant and every forced release raises
it, so a holder that finds a larger token has lost the board and must stop. A lease renews itself
while its process runs; a process that is stopped for lease_rows.TTL_S is killed as soon as
somebody waits for its board, because two processes must never drive one probe.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from farm.errors import BenchError, BoardsBusyError, FarmError
from farm.leases import lock_files
from farm.leases.fencing import Fence
from farm.leases.hung import end_the_hung
from farm.leases.lease_rows import Holder, Rows, Waiter, opened
from farm.leases.lock_files import Place, opened_lock, place_of, try_lock
from farm.leases.quarantine import quarantine, quarantine_reason, refuse_quarantined, restore
from farm.leases.waiting import Request, allowed, precedes
from farm.rack.inventory import Board, normal_uid

__all__ = [
    "Holder",
    "Lease",
    "Turn",
    "exclusive",
    "holder",
    "lease",
    "lease_any",
    "others_wait",
    "quarantine",
    "quarantine_reason",
    "refuse_quarantined",
    "release",
    "renewing",
    "repair_lease",
    "restore",
    "step_out",
    "waiters",
]
RENEW_S = 1.0
_POLL_S = 0.005  # of the one who is next: a board is handed over within this
_MOST_POLL_S = 0.02  # of those far behind
_HERE_S = 0.5  # how often one who waits says so
_LOG = logging.getLogger(__name__)


@dataclass
class Turn:
    """A place in the line of a board that outlives a wait: who comes back with it stands there.

    0: not in line yet. It is passed by when nobody came back with it for lease_rows.LINE_TTL_S.
    """

    number: int = 0


@dataclass(frozen=True)
class Lease:
    """A board held by this process, until the context ends, `lost` is set or `check` refuses."""

    board: Board
    token: int
    lost: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)
    _doing: list[str] = field(default_factory=list, compare=False, repr=False)
    _file: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)  # of its lock

    def tell(self, doing: str) -> None:
        """Let whoever looks at the rack know what the board is at; shown with the next renewal."""
        self._doing[:] = [doing]

    @property
    def fence(self) -> Fence:
        """What results made under this lease are stored with."""
        return Fence(normal_uid(self.board.probe), self.token)

    def check(self) -> None:
        """Raise BenchError when the board was taken from this holder; renew otherwise.

        FarmError when the database cannot be used now: the lock still holds.
        """
        place, uid = place_of(self.board), self.fence.uid
        if lock_files.touch(place, uid) != self._file:  # then another process can lock another one
            raise BenchError("the file of its lock was deleted; start again", self.board.id)
        with opened(place) as rows:
            mine = rows.renew(uid, self.token, " ".join(self._doing))
        if not mine:
            raise BenchError("the lease was released by an operator; start again", self.board.id)


@contextmanager
def lease(
    board: Board,
    wait_s: float = 60.0,
    *,
    priority: int = 0,
    purpose: str = "",
    turn: Turn | None = None,
) -> Iterator[Lease]:
    """Hold a board; BoardsBusyError when others hold it for all of `wait_s`.

    turn: a place in line that is kept then; `step_out` gives it up. NoBoardError for a quarantined
    board, also when that happened while this waited for it.
    """
    refuse_quarantined(board)
    with _leased([board], 1, wait_s, priority, purpose, turn) as held:
        refuse_quarantined(board)
        yield held[0]


def step_out(board: Board, turn: Turn) -> None:
    """Stand in the board's line no longer."""
    number, turn.number = turn.number, 0
    if number:
        with opened(place_of(board)) as rows:
            rows.leave(number)


@contextmanager
def repair_lease(board: Board, wait_s: float = 60.0) -> Iterator[Lease]:
    """Hold a board in service or out of it, to see whether it may come back."""
    with _leased([board], 1, wait_s, 0, "repair") as held:
        yield held[0]


@contextmanager
def lease_any(
    boards: Sequence[Board],
    count: int = 1,
    wait_s: float = 60.0,
    *,
    priority: int = 0,
    purpose: str = "",
) -> Iterator[tuple[Lease, ...]]:
    """Hold `count` of the boards, all or none; those that the fewest others want come first.

    Higher priorities are served sooner, equal ones in the order of their coming. Raises
    BoardsBusyError when so many did not come free in `wait_s`, NoBoardError for a quarantined one.
    """
    for board in boards:
        refuse_quarantined(board)
    with _leased(boards, count, wait_s, priority, purpose) as held:
        for each in held:  # it may have waited for long
            refuse_quarantined(each.board)
        yield held


@contextmanager
def _leased(
    boards: Sequence[Board],
    count: int,
    wait_s: float,
    priority: int,
    purpose: str,
    turn: Turn | None = None,
) -> Iterator[tuple[Lease, ...]]:
    places = {place_of(board): None for board in boards}
    if len(places) != 1 or not 1 <= count <= len(boards):
        raise ValueError(f"{count} of {len(boards)} boards, real and virtual ones apart")
    with ExitStack() as stack:
        (place,) = places
        rows = stack.enter_context(opened(place))
        request = Request(0, tuple(normal_uid(b.probe) for b in boards), count, priority)
        line = _Line(rows, place, boards, request, purpose, turn)
        held = stack.enter_context(_renewed())
        locked = stack.enter_context(_locked(line, wait_s))
        yield tuple(stack.enter_context(_granted(rows, b, purpose, held)) for b in locked)


@contextmanager
def exclusive(board: Board, wait_s: float) -> Iterator[None]:
    """Keep all others off a board, in service or not; BoardsBusyError after `wait_s`."""
    place, uid = place_of(board), normal_uid(board.probe)
    deadline = time.monotonic() + wait_s
    with opened_lock(place, uid) as descriptor:
        while not try_lock(place, uid, descriptor):
            if time.monotonic() >= deadline:
                raise BoardsBusyError(_busy([board], 1, wait_s))
            time.sleep(_POLL_S)  # the deadline is above
        yield


def holder(board: Board) -> Holder | None:
    """Who holds the board now, or None; the kernel's lock decides, the row only names."""
    return _holder(place_of(board), normal_uid(board.probe))


def holder_of_virtual(probe_uid: str) -> Holder | None:
    """Who holds the virtual board of that probe id, with or without its kind."""
    return _holder(lock_files.virtual_place(), normal_uid(probe_uid))


def waiters(board: Board) -> list[Waiter]:
    """Who waits for the board now, in the order of their coming."""
    uid = normal_uid(board.probe)
    with opened(place_of(board)) as rows:
        return [waiter for waiter in rows.line() if uid in waiter.request.uids]


def others_wait(board: Board) -> bool:
    """Whether somebody waits but this process and the one that started it."""
    own = os.getpid(), os.getppid()
    return any(waiter.pid not in own for waiter in waiters(board))


def release(board: Board, wait_s: float = 5.0) -> Holder | None:
    """Take the board from its holder, who is returned; None when nobody held it.

    Raises the fence, which a live holder notices at its next check; BoardsBusyError when
    it has not let go after `wait_s`.
    """
    place, uid = place_of(board), normal_uid(board.probe)
    held = holder(board)
    with opened(place) as rows:
        rows.revoke(uid)
    deadline = time.monotonic() + wait_s
    while held is not None and lock_files.is_locked(place, uid):
        if time.monotonic() > deadline:
            raise BoardsBusyError(f"{board.id}: {_named(held)} does not let go; end it")
        time.sleep(_MOST_POLL_S)  # the deadline is above
    return held


@contextmanager
def renewing(held: Lease) -> Iterator[threading.Event]:
    """The event that is set when the board was taken away; leases renew themselves."""
    yield held.lost


@dataclass(frozen=True)
class _Line:
    """One who waits: what for, and the connection that it asks with."""

    rows: Rows
    place: Place
    boards: Sequence[Board]
    request: Request
    purpose: str
    turn: Turn | None


@contextmanager
def _locked(line: _Line, wait_s: float) -> Iterator[list[Board]]:
    """The locks of `count` boards, waited for in line."""
    deadline = time.monotonic() + wait_s
    turn = line.turn or Turn()
    turn.number = line.rows.enter(line.request, line.purpose, turn.number)
    with ExitStack() as stack:
        got: list[Board] = []
        try:
            got = _wait(stack, line, turn.number, deadline)
            if not got:
                raise BoardsBusyError(_busy(line.boards, line.request.count, wait_s))
        finally:
            if got or line.turn is None:
                request, turn.number = replace(line.request, number=turn.number), 0
                uids = [normal_uid(board.probe) for board in got]
                _tidy(line.boards[0].id, lambda: line.rows.served(request, uids))
        yield got


def _wait(stack: ExitStack, line: _Line, number: int, deadline: float) -> list[Board]:
    """The boards, locked until `stack` ends; none when the deadline came first."""
    here_s = time.monotonic()
    while True:
        requests = _requests(line, number)
        if got := _try(stack, line, requests, number):
            return got
        now_s = time.monotonic()
        if now_s >= deadline:
            # Also here, for those whose waits are short: they come back.
            end_the_hung(line.rows, line.place, line.boards)
            return []
        if now_s - here_s > _HERE_S:
            here_s = now_s
            line.rows.still_here(number)
            end_the_hung(line.rows, line.place, line.boards)
        ahead = sum(precedes(each, requests[-1]) for each in requests)
        time.sleep(min(_MOST_POLL_S, _POLL_S * (1 + ahead)))  # the deadline is above


def _requests(line: _Line, number: int) -> list[Request]:
    """Everybody who waits, the request of that number last."""
    requests = {waiter.request.number: waiter.request for waiter in line.rows.line()}
    mine = requests.pop(number, None) or replace(line.request, number=number)
    return [*requests.values(), mine]


def _try(stack: ExitStack, line: _Line, requests: Sequence[Request], me: int) -> list[Board]:
    """The boards that may be taken now, if all of their locks could be had."""
    uids = {uid for request in requests for uid in request.uids}
    free = {uid for uid in uids if not lock_files.is_locked(line.place, uid)}
    by_uid = {normal_uid(board.probe): board for board in line.boards}
    chosen = allowed(requests, me, free)
    with ExitStack() as attempt:
        for uid in chosen:
            descriptor = attempt.enter_context(opened_lock(line.place, uid))
            if not try_lock(line.place, uid, descriptor):
                return []
        stack.enter_context(attempt.pop_all())
    return [by_uid[uid] for uid in chosen]


@contextmanager
def _granted(rows: Rows, board: Board, purpose: str, held: list[Lease]) -> Iterator[Lease]:
    """The row of a board whose lock is held; the lease is in `held` until its end."""
    uid, mine = normal_uid(board.probe), os.getpid()
    file = lock_files.touch(place_of(board), uid)
    new = Lease(board, rows.grant(uid, board.id, purpose), _file=file)
    held.append(new)
    try:
        yield new
    finally:
        held.remove(new)
        if os.getpid() == mine:  # not what a child was forked with
            _tidy(board.id, lambda: rows.clear(uid, new.token))


def _tidy(what: str, act: Callable[[], None]) -> None:
    """Take a row away that nobody needs: without a lock, or without its process, it says nothing.

    So a database that cannot be written now is no reason to fail, or to hide what failed.
    """
    try:
        act()
    except FarmError as error:
        _LOG.warning("%s: its row was left behind: %s", what, error)


@contextmanager
def _renewed() -> Iterator[list[Lease]]:
    """A list of leases that are renewed in the background.

    It begins before there are any: on a busy host a thread takes its time to start.
    """
    held: list[Lease] = []
    over = threading.Event()
    threading.Thread(target=_renew, args=(held, over), name="leases", daemon=True).start()
    try:
        yield held
    finally:
        over.set()


def _renew(held: list[Lease], over: threading.Event) -> None:
    while not over.wait(RENEW_S):
        for each in [lease for lease in held if not lease.lost.is_set()]:
            try:
                each.check()
            except BenchError:
                if each in held:  # not given back meanwhile
                    each.lost.set()
            except FarmError:
                continue  # the database is busy or full: the lock still holds, ask again


def _holder(place: Place, uid: str) -> Holder | None:
    if not lock_files.is_locked(place, uid):
        return None
    with opened(place) as rows:
        return rows.holder(uid)


def _busy(boards: Sequence[Board], count: int, wait_s: float) -> str:
    held = {board.id: found for board in boards if (found := holder(board))}
    who = ", ".join(f"{board} is held by {_named(by)}" for board, by in held.items())
    wanted = f"; {count} of {len(boards)} boards are wanted" if len(boards) > 1 else ""
    waited = f" (waited {wait_s:.0f} s)" if wait_s >= 1 else ""
    return (
        f"{who or f'{boards[0].id} is kept for others who wait'}{waited}{wanted}; "
        "wait longer or end what holds it"
    )


def _named(by: Holder) -> str:
    if not by.pid:
        return "another process"
    hangs = f", which hangs: {by.user} or root has to end it" if by.expired else ""
    return f"process {by.pid} of {by.user} on {by.host}{hangs}"
