"""The tasks that wait for one group of boards: by priority, fair, and image by image.

Within a priority, submitters take turns: whoever was given the least since the line began is
next (start-time fair queueing, counted in jobs). Within a submitter, tasks go by their deadline
and then by age. A board that holds the image of another task of the same submitter gets that
one first, `BATCH` times in a row at most, so that it is not flashed for nothing.
"""

import heapq
from dataclasses import dataclass
from typing import Generic

from farm.scheduling.waiting_line import Line, T

BATCH = 16


@dataclass
class Held:
    """What a board was given last: whose task, of which image, how often in a row."""

    submitter: str = ""
    image: str = ""
    in_a_row: int = 0

    def gives(self, submitter: str, image: str) -> None:
        """Note one more task."""
        same = (submitter, image) == (self.submitter, self.image)
        self.submitter, self.image = submitter, image
        self.in_a_row = self.in_a_row + 1 if same else 1


class JobQueue(Generic[T]):
    """O(log n) for each call, and O(priorities in use)."""

    def __init__(self) -> None:
        self.size = 0
        self._levels: dict[int, _Level[T]] = {}
        self._by_age: Line[T] = Line()

    def put(self, task: T) -> None:
        """Add a task that has its `order` and `place`."""
        self._levels.setdefault(task.priority, _Level()).put(task)
        self._by_age.put(task)
        self.size += 1

    def top(self) -> int:
        """The highest priority of those that wait; only for a queue that is not empty."""
        return max(self._levels)

    def take(self, held: Held, *, oldest: bool = False) -> T:
        """Remove and return what a board with that image should do next, or the oldest task."""
        task = self._by_age.first() if oldest else self._levels[self.top()].choose(held)
        assert task is not None, "only of a queue that is not empty"
        self._levels[task.priority].charge(task.submitter)
        self._left(task)
        return task

    def oldest(self) -> T | None:
        """The task that came first, or None."""
        return self._by_age.first()

    def remove(self, task: T) -> None:
        """Take out a task that waits here."""
        self._left(task)

    def _left(self, task: T) -> None:
        task.place = 0
        level = self._levels[task.priority]
        level.left(task)
        if not level.size:
            del self._levels[task.priority]
        self.size -= 1
        self._by_age.sweep(self.size)


class _Lane(Generic[T]):
    """The tasks of one submitter and one priority."""

    def __init__(self) -> None:
        self.size = 0
        self._by_deadline: Line[T] = Line()
        self._of_image: dict[str, Line[T]] = {}

    def put(self, task: T) -> None:
        self._by_deadline.put(task, task.expires_s)
        self._of_image.setdefault(task.image, Line()).put(task, task.expires_s)
        self.size += 1

    def first(self, image: str) -> T | None:
        line = self._of_image.get(image)
        return None if line is None else line.first()

    def next(self) -> T | None:
        return self._by_deadline.first()

    def left(self, task: T) -> None:
        self.size -= 1
        self._by_deadline.sweep(self.size)
        if self._of_image[task.image].first() is None:
            del self._of_image[task.image]


class _Level(Generic[T]):
    """The tasks of one priority: a lane for each submitter, and whose turn it is."""

    def __init__(self) -> None:
        self.size = 0
        self._lanes: dict[str, _Lane[T]] = {}
        self._given: dict[str, int] = {}  # jobs given to each submitter, late ones lifted
        self._turns: list[tuple[int, str]] = []  # (given, submitter); stale ones are skipped
        self._now = 0

    def put(self, task: T) -> None:
        who = task.submitter
        if who not in self._lanes:
            self._lanes[who] = _Lane()
            self._given[who] = max(self._given.get(who, 0), self._now)
            heapq.heappush(self._turns, (self._given[who], who))
        self._lanes[who].put(task)
        self.size += 1

    def choose(self, held: Held) -> T:
        """The next task; the caller charges it and takes it out."""
        lane = self._lanes.get(held.submitter)
        if lane is not None and held.in_a_row < BATCH:
            task = lane.first(held.image)
            if task is not None:
                return task
        task = self._lanes[self._turn()].next()
        assert task is not None, "a lane is dropped with its last task"
        return task

    def charge(self, who: str) -> None:
        """Count one job given to a submitter who has some waiting."""
        self._now = self._given[self._turn()]
        self._given[who] += 1
        heapq.heappush(self._turns, (self._given[who], who))

    def left(self, task: T) -> None:
        self.size -= 1
        lane = self._lanes[task.submitter]
        lane.left(task)
        if not lane.size:
            del self._lanes[task.submitter]

    def _turn(self) -> str:
        """The submitter with waiting tasks who was given the least."""
        while True:  # ends: every lane has a turn
            given, who = self._turns[0]
            if who in self._lanes and self._given[who] == given:
                return who
            heapq.heappop(self._turns)
