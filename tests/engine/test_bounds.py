"""Intervals hold for every input, and are points where a channel is constant."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rewrite_nets import KINDS, Net, inputs_for, random_net

from engine import reference
from engine.bounds import RULES, bounds, taps
from engine.graph import Graph, Op, Padding, Quant, Tensor
from engine.shapes import OP_KINDS

Q = Quant(0.05, -3)
NONE = Padding()


def conv(weights, bias, size=4, padding=NONE, **changes):
    """A network of one convolution; `changes` are of its scales and quantisation."""
    rows, kh, kw, cin = weights.shape
    rows_out = size + padding.top + padding.bottom - kh + 1
    columns_out = size + padding.left + padding.right - kw + 1
    quant = changes.pop("quant", Quant(0.05, 0))
    op = Op(
        "conv2d", "conv", ("in",), "out", kernel=(kh, kw), padding=padding,
        weights=weights.astype(np.int8), bias=np.array(bias, np.int32),
        weight_scales=np.full(rows, changes.pop("scale", 0.01)), **changes,
    )  # fmt: skip
    tensors = (
        Tensor("in", (size, size, cin), Q),
        Tensor("out", (rows_out, columns_out, rows), quant),
    )
    return Graph("net", tensors, (op,), ("in",), ("out",))


def of(graph, name="out"):
    interval = bounds(graph)[name]
    return interval.low.tolist(), interval.high.tolist()


def test_every_kind_has_a_rule():
    assert set(RULES) == set(OP_KINDS)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1 << 32))
def test_no_value_leaves_its_interval(kind, seed):
    net = Net(seed)
    net.grow(kind, net.grow("conv2d", "in"))
    graph = net.graph()
    check(graph)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1 << 32))
def test_no_value_leaves_its_interval_in_a_network(seed):
    check(random_net(seed))


def check(graph):
    known = bounds(graph)
    for name, values in reference.run_all(graph, inputs_for(graph)).items():
        assert (known[name].low <= values.min(axis=(0, 1, 2))).all()
        assert (values.max(axis=(0, 1, 2)) <= known[name].high).all()


def test_the_interval_of_one_convolution_is_reached():
    graph = conv(np.array([[[[3, -2]]], [[[0, 0]]]]), [0, 400])
    extreme = np.array([[-128, 127], [127, -128]], np.int8)
    seen = reference.run(graph, np.broadcast_to(extreme[:, None, None], (2, 4, 4, 2)))
    assert of(graph) == ([seen[..., 0].min(), 4], [seen[..., 0].max(), 4])


def test_a_saturated_channel_is_a_point():
    graph = conv(np.ones((2, 1, 1, 1)), [1 << 20, -(1 << 20)], clamp=(-5, 100))
    assert of(graph) == ([100, -5], [100, -5])


def test_a_sum_that_may_wrap_is_anything_but_one_without_weights_is_known():
    near = (1 << 31) - 1
    graph = conv(np.array([1, 0]).reshape(2, 1, 1, 1), [near, near], scale=1e-9)
    assert of(graph) == ([-128, 2], [127, 2])  # (2**31 - 1) * 1e-9


def test_a_constant_off_the_zero_point_is_not_one_behind_padding():
    graph = padded_behind_constant(value=90)
    assert not bounds(graph)["out"].points.any()
    assert bounds(padded_behind_constant(value=0))["out"].points.all()


def padded_behind_constant(value):
    first = conv(np.zeros((1, 1, 1, 1)), [value * 100], size=3).ops[0]
    second = conv(np.ones((1, 3, 3, 1)), [0], size=3, padding=Padding(1, 1, 1, 1)).ops[0]
    tensors = (
        Tensor("in", (3, 3, 1), Q), Tensor("a", (3, 3, 1), Quant(0.05, 0)),
        Tensor("out", (3, 3, 1), Quant(0.05, 0)),
    )  # fmt: skip
    ops = (replace(first, output="a"), replace(second, inputs=("a",), name="second"))
    return Graph("net", tensors, ops, ("in",), ("out",))


def test_taps_know_who_meets_the_padding():
    graph = conv(np.ones((1, 3, 3, 1)), [0], size=1, padding=Padding(1, 1, 1, 1))
    seen = taps(graph.ops[0], *graph.tensors)
    centre = [[False] * 3, [False, True, False], [False] * 3]
    assert seen.inside.tolist() == centre
    assert (~seen.outside).tolist() == centre


def test_padding_on_one_side_is_met_by_one_row_of_taps():
    graph = conv(np.ones((1, 3, 3, 1)), [0], size=5, padding=Padding(1, 0, 0, 0))
    assert taps(graph.ops[0], *graph.tensors).outside.any(axis=1).tolist() == [True, False, False]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1 << 32))
def test_taps_meet_what_a_walk_over_every_window_meets(seed):
    net = Net(seed)
    net.grow("depthwise_conv2d", "in")
    graph = net.graph()
    op, (source, output) = graph.ops[0], graph.tensors
    seen = taps(op, source, output)
    for row, column in np.ndindex(op.kernel):
        inside = [
            0 <= y * op.stride[0] + row * op.dilation[0] - op.padding.top < source.shape[0]
            and 0 <= x * op.stride[1] + column * op.dilation[1] - op.padding.left < source.shape[1]
            for y, x in np.ndindex(output.shape[:2])
        ]
        assert (seen.inside[row, column], seen.outside[row, column]) == (
            any(inside),
            not all(inside),
        )
