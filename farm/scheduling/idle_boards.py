"""The boards of one group that have nothing to do, those first that others need least."""

import heapq
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

from farm.scheduling.job_queue import Held

_SPARE = 16  # entries that mean nothing any more, before they are swept out


@dataclass(eq=False)
class Seat:
    """One board as the schedule sees it.

    `rarity` is the size of the smallest group that it is in: what few boards can do waits for
    these few. `idle_since` counts, and is 0 while the board is not idle.
    """

    board: str
    rarity: int = 0
    in_service: bool = True
    working: bool = False
    idle_since: int = 0
    held: Held = field(default_factory=Held)
    given: int = 0  # tasks so far


_Entry = tuple[int, int, Seat]  # -rarity, idle_since, the board


class _Wanted(Protocol):
    @property
    def image(self) -> str: ...

    @property
    def failed_on(self) -> Collection[str]: ...


class IdleBoards:
    """O(log n) a call, but for boards that failed the wanted task, which are passed over."""

    def __init__(self) -> None:
        self._seats: list[_Entry] = []
        self._with_image: dict[str, dict[str, Seat]] = {}
        self._idle: set[str] = set()

    def put(self, seat: Seat) -> None:
        """Add a board that has just become idle, or whose rarity has just changed."""
        heapq.heappush(self._seats, (-seat.rarity, seat.idle_since, seat))
        self._with_image.setdefault(seat.held.image, {})[seat.board] = seat
        self._idle.add(seat.board)
        if len(self._seats) > 2 * len(self._idle) + _SPARE:
            self._seats = [entry for entry in self._seats if _holds(entry)]
            heapq.heapify(self._seats)

    def left(self, seat: Seat) -> None:
        """Note that a board is idle no more."""
        self._idle.discard(seat.board)
        same = self._with_image.get(seat.held.image, {})
        same.pop(seat.board, None)
        if not same:
            self._with_image.pop(seat.held.image, None)

    def best(self, task: _Wanted, *, even_failed: bool) -> Seat | None:
        """The board that should do the task: not scarce if possible, then one with its image."""
        passed: list[_Entry] = []
        found = None
        while self._seats and found is None:
            entry = self._seats[0]
            seat = entry[2]
            if not _holds(entry):
                heapq.heappop(self._seats)
            elif even_failed or seat.board not in task.failed_on:
                found = seat
            else:
                passed.append(heapq.heappop(self._seats))
        for entry in passed:
            heapq.heappush(self._seats, entry)
        return None if found is None else self._with_the_image(task, found, even_failed=even_failed)

    def _with_the_image(self, task: _Wanted, best: Seat, *, even_failed: bool) -> Seat:
        for seat in self._with_image.get(task.image, {}).values():
            if seat.rarity >= best.rarity and (even_failed or seat.board not in task.failed_on):
                return seat
        return best


def _holds(entry: _Entry) -> bool:
    """Whether the board still is idle, since then, and as rare."""
    rarity, idle_since, seat = entry
    return (-rarity, idle_since) == (seat.rarity, seat.idle_since)
