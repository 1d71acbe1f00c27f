"""Waiting tasks in some order, of which any may leave from the middle."""

import heapq
import math
from dataclasses import dataclass, field
from typing import Generic, TypeVar

_SPARE = 16  # entries of tasks that left, before they are swept out


@dataclass(eq=False)
class Task:
    """One job, as far as scheduling goes.

    A larger `priority` goes first. `expires_s` is when it is of no use any more, `since_s` since
    when it waits, both by the schedule's clock. `order` says how early it came and stays through
    retries. `place` is its present place in the lines, 0 when it waits nowhere.
    """

    image: str = ""
    priority: int = 0
    submitter: str = ""
    expires_s: float = math.inf
    failed_on: set[str] = field(default_factory=set)
    order: int = 0
    since_s: float = 0.0
    place: int = 0


T = TypeVar("T", bound=Task)


class Line(Generic[T]):
    """Tasks by a key, then by age; one that left through another line is skipped.

    Every call is O(log n), amortised.
    """

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, int, T]] = []

    def put(self, task: T, key: float = 0.0) -> None:
        """Add a task that has its `order` and `place`; the smallest key is the first."""
        heapq.heappush(self._entries, (key, task.order, task.place, task))

    def first(self) -> T | None:
        """The first task that still waits where it was put, or None."""
        while self._entries:
            _, _, place, task = self._entries[0]
            if task.place == place:
                return task
            heapq.heappop(self._entries)
        return None

    def drop_first(self) -> None:
        """Forget what `first` has just returned; it stays in its other lines."""
        heapq.heappop(self._entries)

    def sweep(self, waiting: int) -> None:
        """Forget those that left, if they are many; `waiting` is the number of the others."""
        if len(self._entries) > 2 * waiting + _SPARE:
            self._entries = [entry for entry in self._entries if entry[3].place == entry[2]]
            heapq.heapify(self._entries)
