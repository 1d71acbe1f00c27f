"""Who does what: a desk hands out jobs, hands drive boards, and a crew hires them.

Threads and worker processes do it (driver.py, crew.py), or farm.simulation in its own time.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from farm.errors import BenchError
from farm.job import Job
from farm.measure import Measurement
from farm.rack.inventory import Board
from farm.scheduling.care import Care
from farm.scheduling.tickets import Ticket


class Desk(Protocol):
    """Where jobs are handed out, and where what became of them is told: the manager.

    Every method may be called from any thread.
    """

    @property
    def care(self) -> Care:
        """Where the health of boards is kept."""

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

    def take(self, board: Board) -> Ticket | None:
        """Take the job that was wanted; None when another board was faster."""

    def deadline_s(self, ticket: Ticket) -> float:
        """How long an attempt at this job may take from now."""

    def passes(self, board: Board) -> None:
        """The board cannot come for the job just now."""

    def away(self, board: Board, error: Exception) -> None:
        """The board cannot be used now: somebody else holds it, or it is not there."""

    def back(self, board: Board) -> None:
        """It can be used again."""

    def put_back(self, ticket: Ticket, board: Board, error: BenchError) -> None:
        """The board went away before it began the job."""

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


class Hand(Protocol):
    """Whoever drives one board."""

    def wake(self) -> None:
        """Ask the desk for work soon; it may be somebody else's by then."""

    def stop(self) -> None:
        """Let go of the board now and take no more work."""

    def end(self, timeout_s: float) -> None:
        """Wait until it has stopped."""


class Crew(Protocol):
    """Hires drivers and keeps the time."""

    def now_s(self) -> float:
        """Seconds that never jump."""

    def hire(self, board: Board, desk: Desk) -> Hand:
        """Somebody who drives the board for the desk, from the first `wake` on."""

    def call_at(self, at_s: float, act: Callable[[], None]) -> None:
        """Call `act` soon after that time, from anywhere; the latest call of this counts."""

    def close(self) -> None:
        """Call nobody any more."""
