"""Keeper: boards held for tests from one test to the next, and lent to workers in between.

A worker process drives a board under a lease of its own, so a board is lent to it by letting go
at the moment at which that worker, by its priority, is the next in line; and it is taken back
by standing in line, before everybody else, while the worker still has it. A board that no test
uses is let go when somebody waits for it.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from farm.errors import BenchError, BoardsBusyError, FarmError
from farm.leases.lease import Lease, lease_any, waiters
from farm.leases.waiting import HELD
from farm.rack.inventory import Board

LENT_PRIORITY = HELD  # of jobs on a board that this process lends
_BACK_PRIORITY = HELD + 1
_LOOK_S = 0.05  # how often it is asked who waits, where that matters
_REST_S = 1.0
_SLICE_S = 5.0
_END_S = 5.0


class Keeper:
    """`count` of `boards`, held by a thread of its own from `ready` until `close`."""

    def __init__(self, boards: Sequence[Board], count: int, wait_s: float) -> None:
        self.boards: tuple[Board, ...] = ()
        self.tokens: dict[str, int] = {}
        self.started_s = time.monotonic()
        self._wanted, self._count, self._wait_s = boards, count, wait_s
        self._leases: tuple[Lease, ...] = ()
        self._changed = threading.Condition()
        self._in_use, self._lent, self._over = True, False, False
        self._error: FarmError | None = None
        self._thread = threading.Thread(target=self._run, name="boards of tests", daemon=True)

    def ready(self) -> "Keeper":
        """Wait until the boards are held; raises BoardsBusyError or NoBoardError."""
        self._thread.start()
        with self._changed:
            while not self._leases and self._error is None and self._thread.is_alive():
                self._changed.wait(_REST_S)  # ends with the lease's own deadline
        if not self._leases:
            raise self._error or BenchError("what holds boards for tests has ended; see above why")
        return self

    @property
    def alive(self) -> bool:
        """Whether the boards are still this process's; False when they were given back or lost."""
        return self._thread.is_alive() and not any(held.lost.is_set() for held in self._leases)

    @property
    def serves(self) -> bool:
        """Whether a test uses the boards now, and they are still this process's."""
        with self._changed:
            return self._in_use and not self._over and self.alive

    def check(self) -> None:
        """Raise BenchError when an operator has released one of the boards."""
        for held in self._leases:
            held.check()

    def use(self, *, now: bool) -> bool:
        """Begin or end a test that needs the boards; False when they are gone already."""
        with self._changed:
            self._in_use = now
            self._changed.notify_all()
            return self.alive and not self._over

    @contextmanager
    def lent(self, wait_s: float) -> Iterator[None]:
        """Let a worker have the boards; they are this process's again afterwards.

        The worker's job has LENT_PRIORITY. Raises BoardsBusyError when they do not come back.
        """
        self._lend(now=True)
        try:
            yield
        except FarmError:
            self._lend(now=False)
            self._await_back(wait_s)  # the worker may be gone, and with it its lease
            raise
        finally:
            self._lend(now=False)  # the worker has the boards for a while; this waits behind it

    def close(self) -> float:
        """Give the boards back; the seconds for which they were held."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(_END_S + _SLICE_S)
        return time.monotonic() - self.started_s

    def _lend(self, *, now: bool) -> None:
        with self._changed:
            self._lent = now
            self._changed.notify_all()

    def _await_back(self, wait_s: float) -> None:
        deadline = time.monotonic() + wait_s
        with self._changed:
            while not self._leases and self._thread.is_alive():
                if time.monotonic() > deadline:
                    ids = ", ".join(board.id for board in self.boards)
                    raise BoardsBusyError(f"{ids} did not come back after a measurement")
                self._changed.wait(_LOOK_S)

    def _run(self) -> None:
        try:
            with lease_any(self._wanted, self._count, self._wait_s, purpose="tests") as held:
                self._hold(held)
            while not self._over:
                self._take_back()
        except FarmError as error:
            self._error = error
        finally:
            with self._changed:
                self._changed.notify_all()

    def _take_back(self) -> None:
        """One try for the boards that were lent, once they are wanted again."""
        with self._changed:
            while self._lent and not self._over:
                self._changed.wait(_REST_S)  # ends with what the worker does, which has deadlines
        if self._over:
            return
        boards = self.boards
        try:
            with lease_any(
                boards, len(boards), _SLICE_S, priority=_BACK_PRIORITY, purpose="tests"
            ) as held:
                self._hold(held)
        except BoardsBusyError:
            return  # the worker measures again

    def _hold(self, leases: tuple[Lease, ...]) -> None:
        """Hold until it is over, or somebody else shall have the boards."""
        with self._changed:
            self._leases = leases
            self.boards = tuple(held.board for held in leases)
            self.tokens = {held.board.id: held.token for held in leases}
            self._changed.notify_all()
        while not self._shall_let_go():
            with self._changed:
                busy = self._in_use and not self._lent
                self._changed.wait(_REST_S if busy else _LOOK_S)
        with self._changed:
            self._leases = ()

    def _shall_let_go(self) -> bool:
        with self._changed:
            if self._over or (self._in_use and not self._lent):
                return self._over
            lent = self._lent
        line = [waiter for board in self.boards for waiter in waiters(board)]
        if lent:
            return any(waiter.request.priority == LENT_PRIORITY for waiter in line)
        with self._changed:
            self._over = self._over or (bool(line) and not self._in_use and not self._lent)
            return self._over
