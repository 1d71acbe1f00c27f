"""The constants that kernels read."""

from dataclasses import replace

import numpy as np
import pytest
from conv_cases import one
from graph_strategies import operators
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.graph import Graph
from engine.tables import (
    FAST_ACC_LIMIT,
    channel_columns,
    channel_count,
    channels,
    weight_bytes,
    weight_rows,
)

MANY = settings(max_examples=60, deadline=None, derandomize=True)
KINDS = ("conv2d", "depthwise_conv2d", "fully_connected")


@MANY
@given(st.sampled_from(KINDS).flatmap(operators))
def test_sizes_are_known_without_the_tables(graph):
    op = graph.ops[0]
    assert weight_bytes(op) == weight_rows(op).size
    assert all(len(column) == channel_count(op) for column in channel_columns(graph, op))


@MANY
@given(operators("depthwise_conv2d"))
def test_quads_of_depthwise_weights_hold_every_tap_of_their_channels(graph):
    op = graph.ops[0]
    rows = weight_rows(op)
    taps = op.kernel[0] * op.kernel[1]
    for y, x, channel in np.ndindex(op.weights.shape):
        tap = y * op.kernel[1] + x
        assert rows[channel // 4, 4 * tap + channel % 4] == op.weights[y, x, channel]
    assert rows.shape[1] == 4 * taps
    assert np.count_nonzero(rows) == np.count_nonzero(op.weights)


@MANY
@given(operators("conv2d"))
def test_rows_of_other_weights_end_in_zeros(graph):
    op = graph.ops[0]
    rows = weight_rows(op)
    inputs = op.weights[0].size
    assert rows.shape[1] == (inputs + 3) // 4 * 4
    np.testing.assert_array_equal(rows[:, :inputs], op.weights.reshape(-1, inputs))
    assert not rows[:, inputs:].any()


@MANY
@given(st.sampled_from(KINDS).flatmap(operators), st.integers(-128, 127))
def test_the_bias_holds_the_zero_point(graph, fill):
    """A constant input of the zero point gives the bias alone, on channels with weights."""
    op = graph.ops[0]
    zero = graph.tensor("a").quant.zero_point
    ends = channels(graph, op)
    axis = 2 if op.kind == "depthwise_conv2d" else 0
    weights = np.moveaxis(op.weights, axis, 0).reshape(len(op.bias), -1).astype(np.int64)
    alive = weights.any(axis=1)
    total = ends.bias + zero * weights.sum(axis=1)
    wrapped = (total - op.bias) % (1 << 32)
    assert not wrapped[alive].any()
    reached = np.abs(((fill - zero) * weights).sum(axis=1) + op.bias)
    assert (reached[alive] <= ends.acc_bound).all()


def test_the_ends_of_channels_are_worked_out_once():
    graph = one("conv2d", (3, 3, 4), 5)
    op = graph.ops[0]
    assert channels(graph, op) is channels(graph, op)


def test_the_same_operator_between_other_scales_ends_otherwise():
    graph = one("conv2d", (3, 3, 4), 5)
    op = graph.ops[0]
    source, output = graph.tensors
    finer = replace(output, quant=replace(output.quant, scale=0.01))
    other = Graph("net", (source, finer), (op,), ("in",), ("out",))
    assert not np.array_equal(channels(graph, op).multiplier, channels(other, op).multiplier)


@pytest.mark.parametrize("bias", [(1 << 30) - 1, 1 << 30])
def test_sums_that_may_leave_30_bits_are_not_fast(bias):
    graph = one("conv2d", (3, 3, 4), 5)
    op = replace(graph.ops[0], bias=np.full(5, bias, np.int32))
    large = Graph("net", graph.tensors, (op,), ("in",), ("out",))
    assert channels(large, op).acc_bound >= FAST_ACC_LIMIT
    assert not channels(large, op).fast
