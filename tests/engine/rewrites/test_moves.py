"""Reshapes and transposes meet, merge and vanish."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rewrite_nets import Net, applied, assert_same, kinds, random_net, refused, same_if_applied

from engine.graph import Graph, Quant, Tensor
from engine.options import Transpose
from engine.rewrite import rewrite

Q = Quant(0.05, -7)
MOVES = ("reshape", "transpose", "relu", "fully_connected", "requantize")


def net_of(shape):
    net = Net(1, shape)
    net.tensors[0] = Tensor("in", shape, Q)
    return net


def transpose(net, source, order):
    options = Transpose(net.tensor(source).shape, order)
    return net.append("transpose", (source,), options.shape, Q, options=options)


def reshape(net, source, shape):
    return net.append("reshape", (source,), shape, Q)


def test_a_dense_layer_needs_no_flattening():
    net = net_of((2, 3, 4))
    net.grow("fully_connected", reshape(net, "in", (1, 1, 24)))
    changed = applied("skip_reshapes", net.graph())
    assert kinds(changed) == ["fully_connected"]


def test_a_convolution_needs_its_reshape():
    net = net_of((2, 3, 4))
    net.grow("conv2d", reshape(net, "in", (3, 2, 4)))
    assert refused("skip_reshapes", net.graph())


def test_a_reshape_that_is_an_output_stays_for_its_caller_only():
    net = net_of((2, 3, 4))
    net.grow("fully_connected", reshape(net, "in", (1, 1, 24)))
    graph = net.graph()
    both = Graph("net", graph.tensors, graph.ops, graph.inputs, ("t0", "t1"))
    changed = applied("skip_reshapes", both)
    assert [op.inputs for op in changed.ops] == [("in",), ("in",)]


def test_transposes_join():
    net = net_of((2, 3, 4))
    transpose(net, transpose(net, "in", (1, 2, 0)), (0, 2, 1))
    changed = applied("merge_transposes", net.graph())
    assert [op.options for op in changed.ops] == [Transpose((2, 3, 4), (1, 0, 2))]


def test_a_transpose_and_its_inverse_are_no_move():
    net = net_of((2, 3, 4))
    net.grow("softmax", transpose(net, transpose(net, "in", (1, 2, 0)), (2, 0, 1)))
    graph = net.graph()
    result = rewrite(graph, ["merge_transposes", "remove_no_ops"])
    assert kinds(result.graph) == ["softmax"]
    assert_same(graph, result.graph)


def test_transposes_of_other_views_stay():
    net = net_of((2, 3, 4))
    options = Transpose((4, 3, 2), (1, 0, 2))
    net.append("transpose", (transpose(net, "in", (1, 2, 0)),), (3, 4, 2), Q, options=options)
    assert refused("merge_transposes", net.graph())


def test_a_transpose_takes_over_the_reshape_behind():
    net = net_of((2, 3, 4))
    reshape(net, transpose(net, "in", (2, 0, 1)), (8, 1, 3))
    changed = applied("merge_transposes", net.graph())
    assert kinds(changed) == ["transpose"]
    assert changed.tensor(changed.output).shape == (8, 1, 3)


def test_a_transpose_of_axes_of_one_is_a_reshape():
    net = net_of((1, 3, 4))
    net.grow("softmax", transpose(net, "in", (1, 0, 2)))
    assert kinds(applied("merge_transposes", net.graph())) == ["reshape", "softmax"]


@pytest.mark.parametrize("kind", ["relu", "requantize", "logistic", "hard_swish"])
def test_functions_rise_above_moves(kind):
    net = net_of((2, 3, 4))
    last = net.grow(kind, transpose(net, "in", (2, 0, 1)))
    net.grow("conv2d", last)
    changed = applied("sink_moves", net.graph())
    assert kinds(changed) == [kind, "transpose", "conv2d"]


def test_a_move_that_two_read_stays_above():
    net = net_of((2, 3, 4))
    moved = transpose(net, "in", (2, 0, 1))
    net.grow("relu", moved)
    net.grow("relu", moved)
    assert refused("sink_moves", net.graph())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1 << 32))
def test_no_output_changes(seed):
    graph = random_net(seed, MOVES, most=6)
    for name in ("skip_reshapes", "merge_transposes", "sink_moves"):
        same_if_applied(name, graph)
