"""A plan never lets two live things share a byte, and wastes as little as it can."""

from itertools import combinations, permutations

import numpy as np
from engine_nets import networks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.graph import Graph, Op, Quant, Tensor
from engine.packing import Block, lower_bound, pack, peak
from engine.plan import lifetimes, plan

MANY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
Q, OTHER = Quant(0.05, 0), Quant(0.04, 3)


def blocks_of(sizes_and_steps):
    return [
        Block(f"b{index}", size, first, first + length)
        for index, (size, first, length) in enumerate(sizes_and_steps)
    ]


some_blocks = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=5
).map(blocks_of)


def overlap(first, second):
    return first[0] < second[0] + second[1] and second[0] < first[0] + first[1]


def shares_in_place(graph, found, first, second):
    """Whether a chain of in-place adds hands the memory of one tensor to the other."""
    made_by = {op.output: op for op in graph.ops}
    for start, goal in ((first, second), (second, first)):
        reach = {start}
        while reach:
            if goal in reach:
                return True
            makers = [made_by[name] for name in reach if name in made_by]
            reach = {name for op in makers if op.name in found.in_place for name in op.inputs}
    return False


@MANY
@given(networks())
def test_no_two_live_things_overlap_but_in_place(graph):
    found = plan(graph)
    lives = lifetimes(graph)
    sizes = {name: graph.tensor(name).size for name in lives}
    for first, second in combinations(lives, 2):
        together = lives[first][0] <= lives[second][1] and lives[second][0] <= lives[first][1]
        spans = [(found.offsets[name], sizes[name]) for name in (first, second)]
        if together and overlap(*spans):
            assert shares_in_place(graph, found, first, second)
    for index, op in enumerate(graph.ops):
        if op.name not in found.scratch_offsets:
            continue
        scratch = (found.scratch_offsets[op.name], found.scratch_sizes[op.name])
        for name, (start, end) in lives.items():
            if start <= index <= end:
                assert not overlap(scratch, (found.offsets[name], sizes[name]))


@MANY
@given(networks())
def test_peak_is_the_end_of_the_highest_thing(graph):
    found = plan(graph)
    ends = [offset + graph.tensor(name).size for name, offset in found.offsets.items()]
    ends += [at + found.scratch_sizes[name] for name, at in found.scratch_offsets.items()]
    assert found.peak_bytes == max(ends, default=0)
    assert found.peak_bytes >= found.lower_bound_bytes
    assert all(at % 4 == 0 for at in (*found.offsets.values(), *found.scratch_offsets.values()))
    assert graph.input not in found.offsets
    assert graph.output not in found.offsets


@MANY
@given(networks())
def test_in_place_adds_lie_over_an_input_that_nobody_reads_later(graph):
    found = plan(graph)
    lives = lifetimes(graph)
    for index, op in enumerate(graph.ops):
        if op.name in found.in_place:
            under = [n for n in op.inputs if found.offsets.get(n) == found.offsets[op.output]]
            assert any(lives[name][1] == index for name in under)


@given(some_blocks)
def test_packing_of_few_blocks_is_optimal(blocks):
    """Against every order of placement: some order always gives an optimum."""
    best = min(peak(blocks, place_in(order)) for order in permutations(blocks))
    assert peak(blocks, pack(blocks)) == best >= lower_bound(blocks)


def place_in(order):
    """The slow and obvious way: the first multiple of four where nothing live is in the way."""
    offsets = {}
    for block in order:
        at = 0
        while any(
            overlap((at, block.size), (offsets[other.name], other.size))
            for other in order
            if other.name in offsets and block.meets(other)
        ):
            at += 4
        offsets[block.name] = at
    return offsets


def residual_graph():
    """in -> a -> b -> c, c = a + b, then a pointwise to the output."""
    one = np.ones((1, 1, 4), np.int8)
    scales, bias = np.full(4, 0.5), np.zeros(4, np.int32)
    names = ("in", "a", "b", "c", "out")
    tensors = tuple(
        Tensor(name, (5, 5, 4), quant)
        for name, quant in zip(names, (Q, Q, OTHER, Q, Q), strict=True)
    )

    def depthwise(name, source, output):
        arrays = {"weights": one, "weight_scales": scales, "bias": bias}
        return Op("depthwise_conv2d", name, (source,), output, **arrays)

    ops = (
        depthwise("first", "in", "a"),
        depthwise("second", "a", "b"),
        Op("add", "add", ("a", "b"), "c"),
        depthwise("last", "c", "out"),
    )
    return Graph("residual", tensors, ops, ("in",), ("out",))


def test_residual_add_reuses_the_memory_of_an_input():
    found = plan(residual_graph(), plain=True)
    assert found.in_place == {"add"}
    assert found.offsets["c"] in (found.offsets["a"], found.offsets["b"])
    assert found.peak_bytes == 200


def test_the_same_graph_gives_the_same_plan():
    assert plan(residual_graph()) == plan(residual_graph())


def test_a_large_problem_ends_at_once():
    """The search is bounded by nodes: 60 blocks are packed by greedy orders alone."""
    rng = np.random.default_rng(1)
    steps = rng.integers(0, 40, 60)
    blocks = [
        Block(f"b{index}", int(rng.integers(1, 9000)), int(step), int(step + rng.integers(0, 9)))
        for index, step in enumerate(steps)
    ]
    assert peak(blocks, pack(blocks)) <= 1.3 * lower_bound(blocks)
