"""Rows of mean, and its kernels where their sums are largest."""

import itertools

import numpy as np
import pytest
from given_cases import check_on
from kernel_machines import MACHINES

from engine.dispatch import choose
from engine.graph import Graph, Op, Quant, Tensor
from engine.options import Mean
from engine.rows.mean import reduction

AXES = [axes for count in (1, 2, 3) for axes in itertools.combinations(range(3), count)]


def mean(shape, axes, output=None):
    source = Quant(0.05, -7)
    out = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    tensors = (Tensor("a", shape, source), Tensor("out", out, output or source))
    op = Op("mean", "mean", ("a",), "out", options=Mean(axes))
    return Graph("net", tensors, (op,), ("a",), ("out",))


def full(shape, value):
    return mean(shape, (0, 1), Quant(0.07, 100)), np.full(shape, value, np.int8)


@pytest.mark.parametrize("name", MACHINES)
def test_means_of_the_most_that_16_bits_hold_are_exact(name):
    within = check_on(name, [full((15, 17, 9), value) for value in (-128, 127)])
    assert within == ["tr_reduce_mean", "tr_reduce_mean_plain"] * 2
    beyond = check_on(name, [full((16, 16, 8), value) for value in (-128, 127)])
    assert beyond == ["tr_reduce_mean_plain"] * 2


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
