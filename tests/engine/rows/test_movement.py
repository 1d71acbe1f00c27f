"""Rows of what moves bytes: walks, leads and counts."""

import numpy as np
import pytest
from given_cases import check_on
from graph_strategies import operators
from hypothesis import given, settings
from kernel_machines import MACHINES

from engine import reference
from engine.dispatch import choose
from engine.graph import Graph, Op, Quant, Tensor
from engine.options import Concat, Pad, Transpose
from engine.rows.movement import describe_pad, describe_walk

Q = Quant(0.1, 3)
MANY = settings(max_examples=60, deadline=None, derandomize=True)
FILL = -1


def graph_of(kind, shapes, out, options=None):
    names = [f"x{index}" for index in range(len(shapes))]
    tensors = [Tensor(name, shape, Q) for name, shape in zip(names, shapes, strict=True)]
    op = Op(kind, kind, tuple(names), "out", options=options)
    return Graph("net", (*tensors, Tensor("out", out, Q)), (op,), tuple(names), ("out",))


def sources(graph):
    """The input's element behind each of the output, FILL where there is none."""
    op = graph.ops[0]
    tensors = [graph.tensor(name) for name in op.inputs]
    numbers = 1000 + np.arange(tensors[0].size).reshape(1, *tensors[0].shape)
    moved = reference.EXECUTORS[op.kind](op, [numbers], tensors, graph.tensor(op.output))
    return np.where(moved < 1000, FILL, moved - 1000).reshape(-1)


def least_lead(graph):
    """Bytes that the input must lie above the output, which is written byte by byte."""
    read = [at if at != FILL else 1 << 40 for at in sources(graph).tolist()]
    later = np.minimum.accumulate(read[::-1])[::-1]
    written = np.arange(1, len(read))
    return max(0, int((written - later[1:]).max(initial=0)))


def lead_of(graph):
    return choose(graph, graph.ops[0]).lead_bytes(graph, graph.ops[0])


@MANY
@given(operators("pad"))
def test_the_lead_of_a_pad_is_the_least(graph):
    assert lead_of(graph) == least_lead(graph)


@MANY
@given(operators("resize_nearest"))
def test_the_lead_of_a_resize_is_the_least_of_whole_pixels(graph):
    channels = graph.tensor("out").shape[2]
    assert least_lead(graph) <= lead_of(graph) <= least_lead(graph) + channels


@pytest.mark.parametrize("kind", ["slice", "transpose"])
def test_walks_share_memory_where_they_only_go_forward(kind):
    seen = set()

    @MANY
    @given(operators(kind))
    def check(graph):
        forward = bool((np.diff(sources(graph)) > 0).all())
        assert lead_of(graph) == (0 if forward else None)
        seen.add(forward)

    check()
    assert seen == {False, True}


@pytest.mark.parametrize(
    ("view", "order", "sizes", "steps"),
    [
        ((4, 5, 6), (0, 1, 2), "{1, 1, 120}", "{0, 0, 1}"),
        ((4, 5, 6), (2, 0, 1), "{1, 6, 20}", "{0, 1, 6}"),
        ((4, 5, 6), (1, 0, 2), "{5, 4, 6}", "{6, 30, 1}"),
        ((4, 1, 6), (1, 2, 0), "{1, 6, 4}", "{0, 1, 6}"),
    ],
)
def test_a_transpose_walks_over_as_few_axes_as_can_be(view, order, sizes, steps):
    turned = Transpose(view, order)
    graph = graph_of("transpose", [view], turned.shape, turned)
    fields = describe_walk(graph, graph.ops[0]).fields
    assert fields == {"sizes": sizes, "start": 0, "steps": steps}


@pytest.mark.parametrize(
    ("before", "after", "sizes", "runs"),
    [
        ((1, 1, 0), (1, 2, 0), "{1, 4, 30}", 4),
        ((1, 0, 0), (3, 0, 0), "{1, 1, 120}", 1),
        ((0, 0, 1), (0, 0, 0), "{4, 5, 6}", 20),
        ((0, 0, 0), (0, 0, 0), "{1, 1, 120}", 1),
    ],
)
def test_a_pad_copies_runs_as_long_as_can_be(before, after, sizes, runs):
    out = tuple(np.add(np.add(before, (4, 5, 6)), after).tolist())
    graph = graph_of("pad", [(4, 5, 6)], out, Pad(before, after, 7))
    row, op = choose(graph, graph.ops[0]), graph.ops[0]
    assert describe_pad(graph, op).fields["sizes"] == sizes
    counts = row.features(graph, op)
    assert counts["runs"] == runs
    assert 4 * counts["words"] + counts["bytes"] == 120
    assert counts["filled"] == graph.tensor("out").size - 120


def many_inputs(axis):
    """A concat of 64 inputs, and their values."""
    rng = np.random.default_rng(axis)
    shapes = [[3, 2, 5] for _ in range(64)]
    for index, shape in enumerate(shapes):
        shape[axis] = 1 + index % 3
    out = [3, 2, 5]
    out[axis] = sum(shape[axis] for shape in shapes)
    graph = graph_of("concat", [tuple(shape) for shape in shapes], tuple(out), Concat(axis))
    x = {n: rng.integers(-128, 128, graph.tensor(n).shape).astype(np.int8) for n in graph.inputs}
    return graph, x


@pytest.mark.parametrize("name", MACHINES)
def test_sixty_four_inputs_are_joined(name):
    assert check_on(name, [many_inputs(axis) for axis in range(3)]) == ["tr_concat"] * 3


@pytest.mark.parametrize("size", [1, 3, 4, 5, 256])
def test_a_reshape_copies_words_then_bytes(size):
    graph = graph_of("reshape", [(1, size, 1)], (size, 1, 1))
    counts = choose(graph, graph.ops[0]).features(graph, graph.ops[0])
    assert counts == {"calls": 1, "runs": 1, "words": size // 4, "bytes": size % 4}
    assert lead_of(graph) == 0
