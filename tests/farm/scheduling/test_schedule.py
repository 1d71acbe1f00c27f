"""Which board takes which job: priority, turns, images, scarce boards, retries, no starvation."""

import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.scheduling.job_queue import BATCH
from farm.scheduling.schedule import OLDEST_EVERY, OTHER_BOARD_S, Schedule, Task

BOARDS = ("a", "b", "c")


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def schedule(clock):
    return Schedule(BOARDS, clock)


def put(schedule, *tasks, on=BOARDS):
    group = schedule.group(on)
    return [schedule.put(task, group) for task in tasks]


def drain(schedule, board, limit=10_000):
    """Every task in the order in which one board takes them."""
    taken = []
    while (task := schedule.take(board)) and len(taken) < limit:
        schedule.done(board)
        taken.append(task)
    return taken


def test_tasks_go_by_priority_then_by_deadline_then_by_age(schedule):
    late, early, first, urgent = Task(), Task(), Task(expires_s=50.0), Task(priority=3)
    put(schedule, early, late, first, urgent)
    assert drain(schedule, "a") == [urgent, first, early, late]


def test_submitters_take_turns_whatever_each_has_waiting(schedule):
    put(schedule, *(Task(submitter="many", image=str(i)) for i in range(60)))
    put(schedule, *(Task(submitter="few", image=str(i)) for i in range(10)))
    order = [task.submitter for task in drain(schedule, "a")]
    assert Counter(order[:21])["few"] in (9, 10)


def test_a_submitter_who_comes_late_gets_no_more_than_his_turn(schedule):
    put(schedule, *(Task(submitter="old", image=str(i)) for i in range(100)))
    first = [schedule.take("a") for _ in range(40) if not schedule.done("a")]
    put(schedule, *(Task(submitter="new", image=str(i)) for i in range(100)))
    order = [task.submitter for task in drain(schedule, "a")][:40]
    assert len(first) == 40
    assert 15 <= Counter(order)["new"] <= 22


def test_one_who_submits_one_by_one_gets_his_turn_and_no_more(schedule):
    put(schedule, *(Task(submitter="many", image=str(i)) for i in range(40)))
    order = []
    for _ in range(30):
        if "one" not in [t.submitter for t in schedule._of_task]:
            put(schedule, Task(submitter="one", image="one"))
        order.append(schedule.take("a").submitter)
        schedule.done("a")
    assert 13 <= Counter(order)["one"] <= 17


def test_a_board_goes_on_with_the_image_that_it_holds_but_not_for_ever(schedule):
    put(schedule, *(Task(image=str(i % 2)) for i in range(4 * BATCH)))
    images = "".join(task.image for task in drain(schedule, "a"))
    runs = [len(run) for run in images.replace("01", "0 1").replace("10", "1 0").split()]
    assert max(runs) <= BATCH + 1
    assert len(runs) <= 4 * BATCH * 2 // OLDEST_EVERY + 6


def test_an_idle_board_that_others_need_is_left_to_them(schedule):
    schedule.group(["a"])
    schedule.group(["a", "b"])
    assert not any(schedule.has_work(board) for board in BOARDS)
    assert put(schedule, Task(), Task(), Task()) == ["c", "b", "a"]


def test_a_task_goes_to_the_idle_board_that_holds_its_image(schedule):
    put(schedule, Task(image="x"))
    schedule.take("b")
    schedule.done("b")
    assert not any(schedule.has_work(board) for board in ("a", "c", "b"))
    assert put(schedule, Task(image="x")) == ["b"]


def test_a_scarce_board_does_first_what_only_it_can_do(schedule):
    wide = [Task() for _ in range(3)]
    narrow = [Task() for _ in range(3)]
    put(schedule, *wide)
    put(schedule, *narrow, on="a")
    assert drain(schedule, "a")[:3] == narrow
    put(schedule, *(Task() for _ in range(3)))
    assert schedule.take("b") is not None


def test_a_failed_task_goes_to_another_board_for_a_while(schedule, clock):
    task = Task(failed_on={"a"})
    assert put(schedule, task) == [None]
    assert not schedule.has_work("a")
    assert schedule.ring() == ([], [])
    clock.now_s = schedule.alarm_s()
    assert clock.now_s == OTHER_BOARD_S
    assert schedule.ring() == ([], ["a"])
    assert schedule.take("a") is task
    assert schedule.alarm_s() == float("inf")


def test_a_failed_task_goes_back_at_once_when_no_other_board_is_left(schedule):
    task = Task(failed_on={"a"})
    put(schedule, task)
    assert not schedule.has_work("a")
    schedule.remove_board("b")
    assert schedule.remove_board("c") == ([], ["a"])
    assert schedule.take("a") is task


def test_a_task_is_taken_out_at_its_deadline(schedule, clock):
    task = Task(expires_s=9.0)
    put(schedule, task)
    clock.now_s = 9.0
    assert schedule.ring() == ([task], [])
    assert schedule.take("a") is None
    assert not schedule.remove(task)


def test_a_task_that_no_board_can_do_any_more_is_handed_back(schedule):
    mine, ours = Task(), Task()
    put(schedule, mine, on="a")
    put(schedule, ours)
    assert schedule.remove_board("a") == ([mine], [])
    schedule.restore_board("a")
    put(schedule, mine, on="a")
    assert drain(schedule, "a") == [mine, ours]


def test_a_task_is_late_only_while_no_board_of_its_group_works(schedule, clock):
    early, later = Task(), Task()
    put(schedule, early, later)
    schedule.take("a")
    clock.now_s = 60.0
    assert schedule.late("b", 30.0) == []
    schedule.done("a")
    clock.now_s = 89.0
    assert schedule.late("b", 30.0) == []
    clock.now_s = 90.0
    assert schedule.late("b", 30.0) == [later]
    assert schedule.waiting == 0


def test_whoever_cannot_come_sends_another(schedule):
    assert not any(schedule.has_work(board) for board in BOARDS)
    (woken,) = put(schedule, Task())
    other = schedule.blocked(woken)
    assert len(other) == 1
    assert other != [woken]


def test_any_of_a_hundred_thousand_tasks_is_given_at_the_same_price():
    def price_s(tasks: int) -> float:
        schedule = Schedule(BOARDS, time.monotonic)
        group = schedule.group(BOARDS)
        waiting = [Task(str(i % 97), i % 3, str(i % 11)) for i in range(tasks)]
        for task in waiting:
            schedule.put(task, group)
        started = time.process_time()
        for _ in range(500):
            schedule.take("a")
            schedule.done("a")
        return (time.process_time() - started) / 500

    few = min(price_s(1_000) for _ in range(3))
    assert price_s(100_000) < 8 * few + 1e-4


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"),
            st.sampled_from(["abc", "ab", "a", "c"]),
            st.integers(0, 2),
            st.sampled_from("xyz"),
            st.sampled_from("12"),
        ),
        st.tuples(st.just("take"), st.sampled_from(BOARDS)),
        st.tuples(st.just("end"), st.sampled_from(BOARDS)),
        st.tuples(st.just("fail"), st.sampled_from(BOARDS)),
        st.tuples(st.just("wait"), st.floats(0.1, 4.0)),
    ),
    max_size=60,
)


class Play:
    """A schedule and what must be true of it after each move."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.schedule = Schedule(BOARDS, self.clock)
        self.waiting, self.at, self.called = {}, {}, set()

    def put(self, boards, priority, image, submitter):
        task = Task(image, priority, submitter)
        self.waiting[task] = set(boards)
        self._queue(task, boards)

    def take(self, board):
        if board in self.at:
            return
        self.called.discard(board)
        if self.schedule.has_work(board):
            self.at[board] = self.schedule.take(board)
            assert board in self.waiting[self.at[board]]

    def end(self, board):
        if task := self._finished(board):
            del self.waiting[task]

    def fail(self, board):
        if task := self._finished(board):
            task.failed_on.add(board)
            self._queue(task, self.waiting[task])

    def wait(self, seconds):
        self.clock.now_s += seconds
        expired, woken = self.schedule.ring()
        assert not expired
        self.called.update(woken)

    def left(self):
        return [task for task in self.waiting if task not in self.at.values()]

    def check(self):
        assert self.schedule.waiting == len(self.waiting) - len(self.at)
        if self.called:  # somebody who was called comes before it is judged
            return
        idle = {board for board in BOARDS if self.schedule._seats[board].idle_since}
        for task in self.left():
            assert not (idle & self.waiting[task]) - task.failed_on, task

    def _queue(self, task, boards):
        board = self.schedule.put(task, self.schedule.group(boards))
        self.called.update([board] if board else [])

    def _finished(self, board):
        task = self.at.pop(board, None)
        if task is not None:
            self.schedule.done(board)
            self.called.add(board)
        return task


@settings(max_examples=60, deadline=None, derandomize=True)
@given(steps)
def test_nothing_is_lost_given_twice_or_left_beside_an_idle_board(moves):
    play = Play()
    for move, *what in moves:
        getattr(play, move)(*what)
        play.check()
    play.clock.now_s += OTHER_BOARD_S + 1
    for board in BOARDS:
        play.schedule.done(board)
    taken = [task for board in BOARDS for task in drain(play.schedule, board)]
    assert sorted(map(id, taken)) == sorted(map(id, play.left()))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("xy"), st.sampled_from("12"))))
def test_nobody_starves_whatever_comes_behind(rivals):
    schedule = Schedule(BOARDS, Clock())
    older = [Task(priority=5) for _ in range(4)]
    put(schedule, *older)
    mine = Task(priority=-5, submitter="mine")
    put(schedule, mine)
    bound = OLDEST_EVERY * (len(older) + 1 + len(BOARDS))
    others = [Task(image, priority, who) for priority, image, who in rivals] or [Task("z", 1)]
    for taken in range(bound + 1):
        rival = others[taken % len(others)]
        put(schedule, Task(rival.image, rival.priority, rival.submitter))
        board = BOARDS[taken % 3]
        if schedule.take(board) is mine:
            return
        schedule.done(board)
    raise AssertionError("it never came")
