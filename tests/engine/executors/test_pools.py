"""Pools against sums and maxima over slices, one output at a time."""

import numpy as np
from graph_strategies import inputs_of, operators
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.reference import run

SEEDS = st.integers(0, 2**32 - 1)
MANY = settings(max_examples=40, deadline=None, derandomize=True)


def average(cells):
    """C's division, which truncates, of a sum that was moved by half of the count."""
    total, count = int(cells.sum(dtype=int)), cells.size
    return (total + count // 2) // count if total > 0 else -((count // 2 - total) // count)


def expected(graph, x, of_cells):
    op = graph.ops[0]
    (rows, columns), clamp = op.kernel, op.clamp
    out = np.empty(graph.tensor("out").shape, np.int8)
    for row, column, channel in np.ndindex(out.shape):
        top = row * op.stride[0] - op.padding.top
        left = column * op.stride[1] - op.padding.left
        cells = x[max(top, 0) : top + rows, max(left, 0) : left + columns, channel]
        out[row, column, channel] = min(max(of_cells(cells), clamp[0]), clamp[1])
    return out


@MANY
@given(operators("average_pool2d", free=True), SEEDS)
def test_average_pool_leaves_padding_out_and_rounds_away_from_zero(graph, seed):
    x = inputs_of(graph, seed)["a"]
    np.testing.assert_array_equal(run(graph, x), expected(graph, x, average))


@MANY
@given(operators("max_pool2d", free=True), SEEDS)
def test_max_pool_leaves_padding_out(graph, seed):
    x = inputs_of(graph, seed)["a"]
    np.testing.assert_array_equal(run(graph, x), expected(graph, x, lambda cells: int(cells.max())))
