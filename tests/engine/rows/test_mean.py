"""Kernels of mean give the reference's bytes, on the host and on both cores, in place too."""

import itertools

import numpy as np
import pytest
from graph_strategies import inputs_of, operators
from hypothesis import given, settings
from kernel_call import on_arm, on_host

from engine import reference
from engine.dispatch import choose
from engine.graph import Graph, Op, Quant, Tensor
from engine.options import Mean
from engine.rows.mean import MAX_FAST_COUNT, ROWS, reduction

CPUS = ("cortex-m4", "cortex-m7")
ENTRIES = tuple(row.c_name for row in ROWS)
AXES = [axes for count in (1, 2, 3) for axes in itertools.combinations(range(3), count)]


def mean(shape, axes, output=None):
    source = Quant(0.05, -7)
    out = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    tensors = (Tensor("a", shape, source), Tensor("out", out, output or source))
    op = Op("mean", "mean", ("a",), "out", options=Mean(axes))
    return Graph("net", tensors, (op,), ("a",), ("out",))


def check(graph, x):
    """Every kernel that takes the mean; their names."""
    op, wanted = graph.ops[0], reference.run(graph, x)
    rows = [row for row in ROWS if row.accepts(graph, op)]
    for row in rows:
        np.testing.assert_array_equal(on_host(row, graph, x), wanted)
        for overlap in (row.lead_bytes(graph, op), 5):
            np.testing.assert_array_equal(on_host(row, graph, x, overlap), wanted)
        for cpu in CPUS:
            np.testing.assert_array_equal(on_arm(cpu, row, graph, x, ENTRIES), wanted)
    return [row.c_name for row in rows]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(operators("mean"))
def test_means_equal_the_reference(graph):
    check(graph, inputs_of(graph)["a"])


@pytest.mark.parametrize("value", [-128, 127])
@pytest.mark.parametrize("shape", [(15, 17, 9), (16, 16, 8)])
def test_means_of_the_most_that_16_bits_hold_are_exact(shape, value):
    graph = mean(shape, (0, 1), Quant(0.07, 100))
    names = check(graph, np.full(shape, value, np.int8))
    fits = shape[0] * shape[1] <= MAX_FAST_COUNT
    assert names == (["tr_reduce_mean"] if fits else []) + ["tr_reduce_mean_plain"]


@pytest.mark.parametrize("axes", AXES)
def test_axes_of_a_mean_become_five(axes):
    graph = mean((5, 6, 7), axes)
    five = reduction(graph, graph.ops[0])
    assert five.outputs == graph.tensor("out").size
    assert five.outputs * five.count == graph.tensor("a").size


def test_a_global_pool_is_done_four_channels_a_word():
    graph = mean((7, 7, 10), (0, 1))
    row = choose(graph, graph.ops[0])
    assert row.c_name == "tr_reduce_mean"
    assert row.features(graph, graph.ops[0]) == {
        "calls": 1, "quads": 2, "words": 98, "singles": 2, "taps": 98,
    }  # fmt: skip


def test_the_plain_twin_counts_what_it_sums_up():
    graph = mean((5, 6, 7), (0, 2))
    row = choose(graph, graph.ops[0], plain=True)
    assert row.c_name == "tr_reduce_mean_plain"
    assert row.features(graph, graph.ops[0]) == {
        "calls": 1, "outputs": 6, "rows": 30, "taps": 210,
    }  # fmt: skip
