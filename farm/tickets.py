"""The queue of jobs: who waits for what, which board may take it, who gets the result."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from farm.job import Job
from farm.measure import Measurement

Key = tuple[str, str, str, str]  # image key, board type, SHA-256 of input and of output

# A job that failed on one board waits this long for another one before the same may try again.
OTHER_BOARD_S = 5.0


@dataclass(eq=False)
class Ticket:
    """One job in the queue, with everyone who asked for the same measurement."""

    job: Job
    key: Key
    only: str = ""  # the id of the one board that may take it; any of its type if empty
    waiting: list[tuple[str, "Future[Measurement]"]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    failed_on: set[str] = field(default_factory=set)
    since_s: float = field(default_factory=time.monotonic)

    def join(self, name: str) -> "Future[Measurement]":
        """Return a new future for one more asker, who calls the network `name`."""
        future: Future[Measurement] = Future()
        self.waiting.append((name, future))
        return future

    def age_s(self) -> float:
        """Seconds since it was queued, or queued again."""
        return time.monotonic() - self.since_s

    def abandoned(self) -> bool:
        """True when everyone who asked has cancelled."""
        return all(future.cancelled() for _, future in self.waiting)


class TicketQueue:
    """The waiting tickets of one board type, first come first served; locked by its owner."""

    def __init__(self) -> None:
        self._waiting: list[Ticket] = []

    def __iter__(self) -> Iterator[Ticket]:
        return iter(tuple(self._waiting))

    def put(self, ticket: Ticket, *, first: bool = False) -> None:
        """Queue a ticket behind the others, or before them when it is tried again."""
        ticket.since_s = time.monotonic()
        self._waiting.insert(0 if first else len(self._waiting), ticket)

    def peek(self, board_id: str, others: Sequence[str]) -> Ticket | None:
        """The first ticket that this board may take; `others` are its working siblings."""
        for ticket in self._waiting:
            if _may_take(ticket, board_id, others):
                return ticket
        return None

    def take(self, board_id: str, others: Sequence[str]) -> Ticket | None:
        """Remove and return what `peek` shows."""
        ticket = self.peek(board_id, others)
        if ticket is not None:
            self._waiting.remove(ticket)
        return ticket

    def remove(self, ticket: Ticket) -> bool:
        """Take one ticket out; False when a board had it first."""
        if ticket not in self._waiting:
            return False
        self._waiting.remove(ticket)
        return True


def _may_take(ticket: Ticket, board_id: str, others: Sequence[str]) -> bool:
    """A failed job goes to a board that has not failed it, while there is one."""
    if ticket.only:
        return ticket.only == board_id
    if board_id not in ticket.failed_on or ticket.age_s() > OTHER_BOARD_S:
        return True
    return all(other in ticket.failed_on for other in others)
