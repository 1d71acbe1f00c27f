"""Who may take which board: nobody starves, nobody shares, and a scarce board is left alone."""

from dataclasses import replace
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from farm.leases.waiting import HELD, MOST_OVERTAKEN, Request, allowed, overtakes

UIDS = "abcd"


@st.composite
def lines(draw):
    """Up to six requests for up to four boards, and which of these are free."""
    requests = []
    for number in range(1, draw(st.integers(1, 6)) + 1):
        uids = tuple(draw(st.permutations(UIDS))[: draw(st.integers(1, 4))])
        wanted = draw(st.integers(1, len(uids)))
        requests.append(Request(number, uids, wanted, draw(st.integers(0, 2))))
    return requests, draw(st.sets(st.sampled_from(UIDS)))


@settings(derandomize=True, max_examples=100)
@given(lines())
def test_no_board_is_allowed_to_two_and_all_boards_are_free_and_wanted(line):
    requests, free = line
    taken = [uid for each in requests for uid in allowed(requests, each.number, free)]
    assert len(taken) == len(set(taken))
    assert set(taken) <= free
    for each in requests:
        got = allowed(requests, each.number, free)
        assert len(got) in (0, each.count)
        assert set(got) <= set(each.uids)


@settings(derandomize=True, max_examples=100)
@given(lines())
def test_the_first_of_all_has_what_is_free_of_its_boards(line):
    requests, free = line
    first = min(requests, key=lambda each: (-each.priority, each.number))
    enough = len(free & set(first.uids)) >= first.count
    assert bool(allowed(requests, first.number, free)) == enough


@settings(derandomize=True, max_examples=100)
@given(lines())
def test_everybody_is_served_in_the_end(line):
    requests, _ = line
    left = list(requests)
    while left:
        served = [each for each in left if allowed(left, each.number, UIDS)]
        assert served
        left = [each for each in left if each not in served]


@settings(derandomize=True, max_examples=40)
@given(lines(), st.lists(st.sampled_from(UIDS), max_size=30))
def test_nobody_is_overtaken_more_often_than_is_promised(line, freed):
    waiting, numbers = line[0], count(100)
    for uid in freed:  # and each time somebody urgent comes
        waiting.append(Request(next(numbers), tuple(UIDS), priority=9))
        served = next((each for each in waiting if allowed(waiting, each.number, uid)), None)
        if served is None:
            continue
        waiting.remove(served)
        passed = [each for each in waiting if overtakes(served, uid, each)]
        waiting = [replace(r, overtaken=r.overtaken + (r in passed)) for r in waiting]
        assert all(each.overtaken <= MOST_OVERTAKEN for each in waiting)


def test_who_holds_a_board_and_passes_it_on_is_before_all_and_overtakes_nobody():
    patient, own = Request(1, ("a",), overtaken=MOST_OVERTAKEN), Request(2, ("a",), priority=HELD)
    assert allowed([patient, own], 2, "a") == ("a",)
    assert not overtakes(own, "a", patient)


def test_a_board_that_somebody_needs_is_left_to_him():
    either, needs_a = Request(1, ("a", "b")), Request(2, ("a",))
    assert allowed([either, needs_a], 1, "ab") == ("b",)
    assert allowed([either, needs_a], 2, "ab") == ("a",)


def test_two_boards_are_collected_in_spite_of_those_who_want_one():
    both, one = Request(1, ("a", "b"), 2), Request(2, ("b",))
    assert allowed([both, one], 2, "b") == ()
    assert allowed([both, one], 1, "ab") == ("a", "b")


def test_higher_priorities_come_first():
    early, urgent = Request(1, ("a",)), Request(2, ("a",), priority=1)
    assert allowed([early, urgent], 1, "a") == ()
    assert allowed([early, urgent], 2, "a") == ("a",)
