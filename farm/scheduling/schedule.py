"""Which board takes which job next; pure, with the clock that it is given.

A group is a set of boards that can do a kind of job: those of a type, those of them with a tag,
or one. Every group has one queue. A board that is free takes, of the groups that it is in:

1. what has the highest priority; of equals, what the fewest boards can do;
2. in that group, first what failed elsewhere, then what `farm.scheduling.job_queue` says;
3. but every `OLDEST_EVERY`-th time the oldest task that it can do, whatever else waits. So a task
   in front of which k older ones wait is taken before the boards that can do it have taken
   OLDEST_EVERY * (k + 1 + boards) others: nobody starves.

A task that failed on a board goes to another one, for `OTHER_BOARD_S` or while there is one. No
board is idle while something waits that it may do; of several idle boards, the one takes a task
that is in the largest groups only, so that a scarce board stays free for what needs it.
Decisions are O(log n) in the tasks and in the boards; a new group costs O(its boards) once.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Generic

from farm.scheduling.idle_boards import IdleBoards, Seat
from farm.scheduling.job_queue import JobQueue
from farm.scheduling.waiting_line import Line, T, Task

__all__ = ["OLDEST_EVERY", "OTHER_BOARD_S", "Group", "Schedule", "Task"]

OLDEST_EVERY = 8
OTHER_BOARD_S = 5.0


class Group(Generic[T]):
    """Boards that can do the same jobs, and the jobs that wait for one of them."""

    def __init__(self, seats: Sequence[Seat], now_s: float) -> None:
        self.seats = tuple(seats)
        self.queue: JobQueue[T] = JobQueue()
        self.retries: list[T] = []  # few: a board that goes on failing is set aside
        self.idle = IdleBoards()
        self.in_service = sum(seat.in_service for seat in seats)
        self.working = sum(seat.working for seat in seats)
        self.worked_s = now_s

    @property
    def waiting(self) -> int:
        """How many tasks wait."""
        return self.queue.size + len(self.retries)


class Schedule(Generic[T]):
    """All boards, groups and waiting tasks of one manager, who locks it."""

    def __init__(self, boards: Iterable[str], now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._seats = {board: Seat(board) for board in boards}
        self._groups: dict[frozenset[str], Group[T]] = {}
        self._of_board: dict[str, list[Group[T]]] = {board: [] for board in self._seats}
        self._of_task: dict[T, Group[T]] = {}
        self._expiring: Line[T] = Line()
        self._delayed: Line[T] = Line()
        self._count = 0

    @property
    def waiting(self) -> int:
        """How many tasks wait."""
        return len(self._of_task)

    def group(self, boards: Iterable[str]) -> Group[T]:
        """The group of exactly these boards."""
        members = frozenset(boards)
        if members not in self._groups:
            self._groups[members] = self._new_group([self._seats[b] for b in sorted(members)])
        return self._groups[members]

    def put(self, task: T, group: Group[T]) -> str | None:
        """Queue a task, new or failed; the idle board that should come for it, if any."""
        self._count += 1
        task.place = self._count
        task.order = task.order or self._count
        task.since_s = self._now_s()
        self._of_task[task] = group
        if task.failed_on:
            group.retries.append(task)
            self._delayed.put(task, task.since_s + OTHER_BOARD_S)
        else:
            group.queue.put(task)
        if task.expires_s != math.inf:
            self._expiring.put(task, task.expires_s)
        return self._wake(group, task)

    def has_work(self, board: str) -> bool:
        """Whether there is a task that this board may take; if not, the board is idle now."""
        seat = self._seats[board]
        self._not_idle(seat)
        if not seat.in_service:
            return False
        if any(g.queue.size or self._retry(g, seat) for g in self._of_board[board]):
            return True
        self._count += 1
        seat.idle_since = self._count
        for group in self._of_board[board]:
            group.idle.put(seat)
        return False

    def urgency(self, board: str) -> int:
        """The highest priority of what waits for this board, 0 when nothing does."""
        groups = self._of_board[board]
        tops = [group.queue.top() for group in groups if group.queue.size]
        return max(tops + [task.priority for group in groups for task in group.retries], default=0)

    def take(self, board: str) -> T | None:
        """Give a task to a board, which then is working until `done`; None if none is for it."""
        seat = self._seats[board]
        task = self._choose(seat) if seat.in_service else None
        if task is None:
            return None
        self._not_idle(seat)
        seat.held.gives(task.submitter, task.image)
        seat.given += 1
        seat.working = True
        for group in self._of_board[board]:
            group.working += 1
        return task

    def done(self, board: str) -> None:
        """The board works no more on what it took; nothing if it did not work."""
        seat = self._seats[board]
        if seat.working:
            seat.working = False
            for group in self._of_board[board]:
                group.working -= 1
                group.worked_s = self._now_s()

    def blocked(self, board: str) -> list[str]:
        """A board cannot come for its work just now: the idle boards that should instead."""
        return self._wake_all(self._of_board[board])

    def remove_board(self, board: str) -> tuple[list[T], list[str]]:
        """Give a board no more tasks: those that no other can do, taken out, and who to wake."""
        seat = self._seats[board]
        self.done(board)
        self._not_idle(seat)
        if seat.in_service:
            seat.in_service = False
            for group in self._of_board[board]:
                group.in_service -= 1
        dead = [group for group in self._of_board[board] if not group.in_service]
        stranded = [task for task, group in self._of_task.items() if group in dead] if dead else []
        for task in stranded:
            self.remove(task)
        return stranded, self._wake_all(self._of_board[board])

    def restore_board(self, board: str) -> None:
        """Give tasks to a board again."""
        seat = self._seats[board]
        if not seat.in_service:
            seat.in_service = True
            for group in self._of_board[board]:
                group.in_service += 1

    def remove(self, task: T) -> bool:
        """Take a task out; False when a board had it first."""
        group = self._of_task.pop(task, None)
        if group is None:
            return False
        self._expiring.sweep(len(self._of_task))
        self._delayed.sweep(len(self._of_task))
        if task in group.retries:
            group.retries.remove(task)
            task.place = 0
        else:
            group.queue.remove(task)
        return True

    def late(
        self, board: str, most_s: float, patience_s: Callable[[Group[T]], float] | None = None
    ) -> list[T]:
        """What waited so long while no board of its group worked; taken out.

        patience_s: how long that is for a group, where it is less than `most_s`.
        """
        found: list[T] = []
        now_s = self._now_s()
        for group in self._of_board[board]:
            wait_s = min(most_s, patience_s(group)) if patience_s else most_s
            if group.working or now_s - group.worked_s < wait_s:
                continue
            found += [task for task in group.retries if now_s - task.since_s >= wait_s]
            while (task := group.queue.oldest()) and now_s - task.since_s >= wait_s:
                group.queue.remove(task)
                self._of_task.pop(task)
                found.append(task)
        for task in found:
            self.remove(task)
        return found

    def alarm_s(self) -> float:
        """When `ring` has something to do, by the clock; infinity when nothing is timed."""
        expiring, delayed = self._expiring.first(), self._delayed.first()
        return min(
            expiring.expires_s if expiring else math.inf,
            delayed.since_s + OTHER_BOARD_S if delayed else math.inf,
        )

    def ring(self) -> tuple[list[T], list[str]]:
        """What has expired, taken out, and the boards that may take a task again."""
        expired: list[T] = []
        woken: list[str | None] = []
        now_s = self._now_s()
        while (task := self._expiring.first()) and task.expires_s <= now_s:
            self.remove(task)
            expired.append(task)
        while (task := self._delayed.first()) and task.since_s + OTHER_BOARD_S <= now_s:
            self._delayed.drop_first()
            woken.append(self._wake(self._of_task[task], task))
        return expired, [board for board in woken if board is not None]

    def _new_group(self, seats: Sequence[Seat]) -> Group[T]:
        group: Group[T] = Group(seats, self._now_s())
        for seat in seats:
            rarer = not seat.rarity or len(seats) < seat.rarity
            seat.rarity = len(seats) if rarer else seat.rarity
            self._of_board[seat.board].append(group)
            if seat.idle_since:
                for other in self._of_board[seat.board] if rarer else (group,):
                    other.idle.put(seat)
        return group

    def _not_idle(self, seat: Seat) -> None:
        if seat.idle_since:
            seat.idle_since = 0
            for group in self._of_board[seat.board]:
                group.idle.left(seat)

    def _may_take(self, group: Group[T], task: T, seat: Seat) -> bool:
        """A failed task goes to a board that has not failed it, for a while, if there is one."""
        if seat.board not in task.failed_on or self._now_s() - task.since_s >= OTHER_BOARD_S:
            return True
        failed = sum(self._seats[board].in_service for board in task.failed_on)
        return failed >= group.in_service

    def _retry(self, group: Group[T], seat: Seat) -> T | None:
        able = [task for task in group.retries if self._may_take(group, task, seat)]
        return min(able, key=lambda task: (-task.priority, task.order)) if able else None

    def _choose(self, seat: Seat) -> T | None:
        groups = self._of_board[seat.board]
        retries = {id(g): task for g in groups if (task := self._retry(g, seat))}
        able = [g for g in groups if g.queue.size or id(g) in retries]
        if not able:
            return None
        oldest = seat.given % OLDEST_EVERY == OLDEST_EVERY - 1

        def rank(group: Group[T]) -> tuple[int, ...]:
            retry, queue = retries.get(id(group)), group.queue
            if oldest:
                ages = [task.order for task in (retry, queue.oldest()) if task is not None]
                return (min(ages),)
            tops = [retry.priority] if retry else []
            return (-max(tops + ([queue.top()] if queue.size else [])), group.in_service)

        return self._take_of(min(able, key=rank), seat, retries, oldest=oldest)

    def _take_of(self, group: Group[T], seat: Seat, retries: dict[int, T], *, oldest: bool) -> T:
        retry, queue = retries.get(id(group)), group.queue
        first = queue.oldest() if oldest else None
        if retry is not None and (
            not queue.size
            or (retry.order < first.order if first else retry.priority >= queue.top())
        ):
            self.remove(retry)
            return retry
        task = queue.take(seat.held, oldest=oldest)
        self._of_task.pop(task)
        self._expiring.sweep(len(self._of_task))
        return task

    def _wake(self, group: Group[T], task: T) -> str | None:
        seat = group.idle.best(task, even_failed=False)
        if seat is None and task.failed_on:
            seat = group.idle.best(task, even_failed=True)
            seat = seat if seat and self._may_take(group, task, seat) else None
        if seat is None:
            return None
        self._not_idle(seat)
        return seat.board

    def _wake_all(self, groups: Sequence[Group[T]]) -> list[str]:
        """One idle board for each group with something waiting."""
        woken: list[str | None] = []
        for group in groups:
            tasks = (task for task in (*group.retries, group.queue.oldest()) if task is not None)
            boards = (self._wake(group, task) for task in tasks)
            woken += [next((board for board in boards if board is not None), None)]
        return [board for board in woken if board is not None]
