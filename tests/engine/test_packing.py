"""A packing keeps apart what must be, and nobody finds a smaller one where it is proven."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.branch_and_bound import search
from engine.first_fit import climb, improve, orders, place
from engine.packing import Block, Share, problem, step_bounds
from engine.packing_search import pack
from engine.pressure import steps_of

MANY = settings(max_examples=120, deadline=None, derandomize=True)


@st.composite
def cases(draw, exact):
    """A few blocks, with shares between those that die and those that are born at one step."""
    blocks = draw(
        st.lists(
            st.builds(
                lambda size, first, length: Block(size, first, first + length),
                st.integers(1, 24), st.integers(0, 3), st.integers(0, 2),
            ),
            min_size=1, max_size=5,
        )
    )  # fmt: skip
    shares = {}
    for dying, one in enumerate(blocks):
        for born, two in enumerate(blocks):
            fits = one.last == two.first and one.first < two.last
            taken = any(blocks[pair[1]].first == two.first for pair in shares)
            if fits and not taken and one.first <= two.first and draw(st.booleans()):
                lead = draw(st.sampled_from([0, 0, 3, 4, 9]))
                shares[dying, born] = Share(lead, exact and draw(st.booleans()))
    return blocks, shares


def may_lie(blocks, shares, offsets, one, two, guard=0):
    """Whether two placed blocks may lie as they do."""
    if not blocks[one].meets(blocks[two]):
        return True
    low, high = sorted((one, two), key=lambda n: offsets[n])
    if offsets[low] + blocks[low].size + guard <= offsets[high]:
        return True
    for dying, born in ((one, two), (two, one)):
        share, distance = shares.get((dying, born)), offsets[dying] - offsets[born]
        if share and distance == share.lead and distance < blocks[born].size:
            return True
        if share and not share.exact and share.lead <= distance < blocks[born].size:
            return True
    return False


def fits(blocks, shares, limit, offsets=()):
    """Whether any offsets at all end at ``limit`` or below: tried one by one."""
    number = len(offsets)
    if number == len(blocks):
        return True
    for at in range(0, limit - blocks[number].size + 1, 4):
        tried = (*offsets, at)
        apart = all(may_lie(blocks, shares, tried, number, other) for other in range(number))
        if apart and fits(blocks, shares, limit, tried):
            return True
    return False


def check(blocks, shares, packed, guard=0):
    assert len(packed.offsets) == len(blocks)
    assert all(at >= guard and at % 4 == 0 for at in packed.offsets)
    ends = [at + block.size for at, block in zip(packed.offsets, blocks, strict=True)]
    assert packed.peak_bytes == max(ends) + guard >= packed.lower_bound_bytes
    for one in range(len(blocks)):
        for two in range(one):
            assert may_lie(blocks, shares, packed.offsets, one, two, guard)


@MANY
@given(cases(exact=False))
def test_the_packing_of_a_few_blocks_is_the_smallest_and_proven(case):
    blocks, shares = case
    packed = pack(blocks, shares)
    check(blocks, shares, packed)
    assert packed.lower_bound_bytes == packed.peak_bytes
    assert not fits(blocks, shares, packed.peak_bytes - 1)


@MANY
@given(cases(exact=True))
def test_the_bound_holds_where_shares_are_exact_too(case):
    blocks, shares = case
    packed = pack(blocks, shares)
    check(blocks, shares, packed)
    assert not fits(blocks, shares, packed.lower_bound_bytes - 1)


@MANY
@given(cases(exact=True))
def test_no_step_needs_less_than_its_bound(case):
    """Each step by itself is the smallest problem of all: only what lives there."""
    blocks, shares = case
    for step, bound in enumerate(step_bounds(blocks, shares)):
        here = [number for number, b in enumerate(blocks) if b.first <= step <= b.last]
        index = {number: place for place, number in enumerate(here)}
        alone = [Block(blocks[number].size, 0, 0) for number in here]
        over = {
            (index[one], index[two]): share
            for (one, two), share in shares.items()
            if blocks[two].first == step and one in index
        }
        assert bound == 0 or not fits(alone, over, bound - 1)


@MANY
@given(cases(exact=True), st.integers(1, 9))
def test_guards_lie_between_all_that_does_not_share(case, guard):
    blocks, shares = case
    check(blocks, shares, pack(blocks, shares, guard), guard)


@MANY
@given(cases(exact=False))
def test_the_search_finds_what_orders_of_placement_miss(case):
    blocks, shares = case
    task = problem(blocks, shares)
    tried = [task.peak(place(task, order)) for order in orders(task, step_bounds(blocks, shares))]
    steps = steps_of(blocks, shares, task.units)
    found = search(task, steps, range(len(blocks)), min(tried) + 1, max_nodes=10_000)
    assert found.is_best
    best = task.peak(found.offsets)
    assert best <= min(tried)
    assert not fits(blocks, shares, best - 1)


def test_a_search_that_runs_out_of_nodes_says_so():
    blocks = [Block(size, 0, 0) for size in (4, 8, 12, 16)]
    task = problem(blocks, {})
    found = search(task, steps_of(blocks, {}, task.units), range(4), 1000, max_nodes=3)
    assert found.offsets is None
    assert not found.is_best


@pytest.mark.parametrize(
    ("lead", "exact", "peak"),
    [(0, False, 40), (10, False, 44), (0, True, 40), (8, True, 40), (6, True, 72), (40, False, 72)],
)
def test_an_input_that_dies_lies_over_its_output_as_far_above_as_it_must(lead, exact, peak):
    """32 bytes over 40: a lead of 10 is 12 in whole words; exactly 6 is at no whole word."""
    blocks = [Block(32, 0, 1), Block(40, 1, 2)]
    packed = pack(blocks, {(0, 1): Share(lead, exact)})
    assert (packed.peak_bytes, packed.lower_bound_bytes) == (peak, peak)


def test_inputs_slide_upwards_from_output_to_output():
    """Each output below its input: the last one is at the bottom, whatever was first."""
    blocks = [Block(100, step, step + 1) for step in range(6)]
    shares = {(step, step + 1): Share(4) for step in range(5)}
    assert max(step_bounds(blocks, shares)) == 104
    packed = pack(blocks, shares)
    assert packed.peak_bytes == packed.lower_bound_bytes == 120


def test_a_block_hands_its_place_on_and_on():
    """Three in place, then one of more bytes that they must lie below or above."""
    blocks = [Block(40, 0, 1), Block(40, 1, 2), Block(40, 2, 3), Block(60, 3, 4), Block(8, 1, 3)]
    packed = pack(blocks, {(0, 1): Share(0, exact=True), (1, 2): Share(0, exact=True)})
    assert packed.offsets[0] == packed.offsets[1] == packed.offsets[2]
    assert packed.peak_bytes == packed.lower_bound_bytes == 108


def random_blocks(count, steps, life):
    rng = np.random.default_rng(1)
    starts = rng.integers(0, steps, count)
    return [
        Block(int(rng.integers(1, 9000)), int(start), int(start + rng.integers(0, life)))
        for start in starts
    ]


def test_a_large_problem_ends_near_its_bound():
    packed = pack(random_blocks(400, 200, 9), {})
    assert packed.peak_bytes <= 1.05 * packed.lower_bound_bytes


@pytest.mark.parametrize("step", [improve, climb])
def test_changed_orders_better_a_packing_and_agree_between_runs(step):
    blocks = random_blocks(60, 40, 9)
    task = problem(blocks, {})
    first = tuple(range(len(blocks)))
    target = max(step_bounds(blocks, {}))
    found = step(task, first, target, 200)
    assert task.peak(found) < task.peak(place(task, first))
    assert found == step(task, first, target, 200)
    assert fits_together(blocks, found)


def fits_together(blocks, offsets):
    pairs = [(one, two) for one in range(len(blocks)) for two in range(one)]
    return all(may_lie(blocks, {}, offsets, one, two) for one, two in pairs)
