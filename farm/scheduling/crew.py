"""Threads: what drives boards and keeps the time outside of simulations; see roles.Crew."""

import threading
import time
from collections.abc import Callable

from farm.board_worker import DEFAULT_LADDER, DEFAULT_RUNNER, NO_LADDER
from farm.desks import Publisher
from farm.leases.lock_files import place_of
from farm.rack.inventory import Board
from farm.scheduling.driver import Driver
from farm.scheduling.roles import Desk, Hand

_LONGEST_WAIT_S = 3600.0  # Python refuses waits of centuries, and deadlines may be that far away


class Threads:
    """A thread for each board, and one for the time that starts when something is timed."""

    def __init__(self, runner: str = DEFAULT_RUNNER, ladder: str = "") -> None:
        """`ladder`: names rungs; those of farm.ladder by default, if the runner drives boards."""
        own = DEFAULT_LADDER if runner == DEFAULT_RUNNER else NO_LADDER
        self._runner, self._ladder = runner, ladder or own
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._due: tuple[float, Callable[[], None]] | None = None
        self._closed = False
        self._publisher: Publisher | None = None

    def now_s(self) -> float:
        """Seconds of the host's monotonic clock."""
        return time.monotonic()

    def hire(self, board: Board, desk: Desk) -> Hand:
        """A thread that drives the board through a worker process."""
        if self._publisher is None:
            self._publisher = Publisher(place_of(board), lambda: _facts(desk))
            self._publisher.start()
        driver = Driver(board, desk, self._runner, self._ladder)
        driver.start()
        return driver

    def call_at(self, at_s: float, act: Callable[[], None]) -> None:
        """Call `act` soon after that time."""
        with self._changed:
            self._due = at_s, act
            self._keep_time()
            self._changed.notify_all()

    def close(self) -> None:
        """End the thread that keeps the time."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._publisher is not None:
            self._publisher.stop()

    def _keep_time(self) -> None:
        """See to it that there is a thread while something is timed."""
        if self._due is not None and self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            while (act := self._next()) is not None:
                act()
        finally:  # an act that fails ends this thread, and not the next alarm
            with self._changed:
                self._thread = None
                self._keep_time()

    def _next(self) -> Callable[[], None] | None:
        """What is due, when it is; None when closed."""
        with self._changed:
            while not self._closed:
                left_s = self._due[0] - self.now_s() if self._due else None
                if self._due and left_s is not None and left_s <= 0:
                    (_, act), self._due = self._due, None
                    return act
                # Ends with the next call_at or with close, too.
                self._changed.wait(None if left_s is None else min(left_s, _LONGEST_WAIT_S))
        return None


def _facts(desk: Desk) -> dict[str, int]:
    """What a manager is at, in numbers."""
    working, aside = len(desk.working()), len(desk.aside())
    return {"waiting": desk.waiting(), "working": working, "boards aside": aside}
