"""A crew in simulated time: the manager's own code runs, boards take as long as they are told.

The manager's calls cost real CPU time, and that passes in simulated time too: the manager does
one thing after the other, and a board whose job has ended waits until its turn has come.
"""

import heapq
import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from farm.errors import BenchError
from farm.rack.inventory import Board
from farm.scheduling.roles import Desk
from farm.scheduling.tickets import Ticket
from farm.simulation.work import measurement_of


@dataclass(frozen=True)
class Pace:
    """How long jobs take, in seconds, evenly between two bounds, and which part of them fails."""

    shortest_s: float = 5.0
    longest_s: float = 15.0
    failing: float = 0.01


@dataclass
class Tally:
    """What was counted; simulated seconds but for the CPU's."""

    started: int = 0
    failed: int = 0
    other_image: int = 0  # jobs that found another image on their board
    idle_s: float = 0.0  # of all boards, before each of their jobs
    last_start_s: float = 0.0
    cpu_s: float = 0.0  # of the manager, since the first event


class SimulatedCrew:
    """A Crew of farm.scheduling whose time passes in `run` and by the CPU time of the manager."""

    def __init__(self, pace: Pace, seed: int = 1) -> None:
        self.pace, self.tally = pace, Tally()
        self._random = random.Random(seed)
        self._clock_s = 0.0
        self._numbers = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def now_s(self) -> float:
        """Simulated seconds."""
        return self._clock_s

    def hire(self, board: Board, desk: Desk) -> "SimulatedBoard":
        """One more board."""
        return SimulatedBoard(board, desk, self)

    def call_at(self, at_s: float, act: Callable[[], None]) -> None:
        """Let something happen at that time, or when the manager has time for it."""
        heapq.heappush(self._events, (at_s, next(self._numbers), act))

    def close(self) -> None:
        """Nothing happens any more."""
        self._events.clear()

    def run(self) -> None:
        """Let time pass until nothing more will happen."""
        while self._events:
            at_s, _, act = heapq.heappop(self._events)
            self._clock_s = max(self._clock_s, at_s)
            self.charge(act)

    def charge(self, act: Callable[[], None]) -> None:
        """Do something of the manager's; the CPU time that it takes passes."""
        started_s = time.process_time()
        act()
        cost_s = time.process_time() - started_s
        self._clock_s += cost_s
        self.tally.cpu_s += cost_s

    def takes_s(self) -> float | None:
        """How long the next job will take; None if it fails, after the shortest time."""
        if self._random.random() < self.pace.failing:
            return None
        return self._random.uniform(self.pace.shortest_s, self.pace.longest_s)


class SimulatedBoard:
    """Takes one job after the other; a farm.scheduling.roles.Hand."""

    def __init__(self, board: Board, desk: Desk, crew: SimulatedCrew) -> None:
        self._board, self._desk, self._crew = board, desk, crew
        self._image = ""
        self._free_s = 0.0
        self._busy = False

    def wake(self) -> None:
        """Look for work when the manager has nothing else to do."""
        self._crew.call_at(self._crew.now_s(), self._look)

    def stop(self) -> None:
        """Take no more work."""
        self._busy = True

    def end(self, timeout_s: float) -> None:
        """There is nothing to wait for."""

    def _look(self) -> None:
        if self._busy or not self._desk.wants(self._board):
            return
        ticket = self._desk.take(self._board)
        if ticket is None:
            return
        self._busy = True
        self._crew.call_at(self._crew.now_s(), lambda: self._start(ticket))

    def _start(self, ticket: Ticket) -> None:
        """The job begins now that the manager has let go of it."""
        now_s, tally = self._crew.now_s(), self._crew.tally
        tally.started += 1
        tally.idle_s += now_s - self._free_s
        tally.last_start_s = now_s
        tally.other_image += ticket.image != self._image
        self._image = ticket.image
        takes_s = self._crew.takes_s()
        self._free_s = now_s + (takes_s or self._crew.pace.shortest_s)
        self._crew.call_at(self._free_s, lambda: self._end(ticket, failed=takes_s is None))

    def _end(self, ticket: Ticket, *, failed: bool) -> None:
        self._busy = False
        if failed:
            self._crew.tally.failed += 1
            error = BenchError("it failed, as simulated", self._board.id)
            self._desk.bench_failed(ticket, self._board, error)
        else:
            m = measurement_of(ticket.job, self._board)
            self._desk.measured(ticket, self._board, m)
        self._look()
