"""Means run before transposes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rewrite_nets import (
    Net,
    applied,
    assert_same,
    inputs_for,
    kinds,
    random_net,
    refused,
    same_if_applied,
)

from engine import reference
from engine.graph import Quant, Tensor
from engine.options import Mean, Transpose
from engine.rewrite import rewrite


def net_of(shape, quant):
    net = Net(1, shape)
    net.tensors[0] = Tensor("in", shape, quant)
    return net


def mean(net, source, axes, quant):
    shape = [1 if i in axes else size for i, size in enumerate(net.tensor(source).shape)]
    return net.append("mean", (source,), shape, quant, options=Mean(axes))


def transpose(net, source, order):
    tensor = net.tensor(source)
    options = Transpose(tensor.shape, order)
    return net.append("transpose", (source,), options.shape, tensor.quant, options=options)


def test_a_mean_names_its_axes_before_the_transpose():
    net = net_of((3, 4, 5), Quant(0.05, -7))
    mean(net, transpose(net, "in", (2, 0, 1)), (1, 2), Quant(0.04, 3))
    changed = applied("mean_before_transpose", net.graph())
    assert [op.options for op in changed.ops] == [Mean((0, 1)), Transpose((1, 1, 5), (2, 0, 1))]


def test_a_transpose_of_another_view_stays():
    net = net_of((3, 4, 5), Quant(0.05, -7))
    options = Transpose((4, 3, 5), (2, 1, 0))
    mean(
        net,
        net.append("transpose", ("in",), (5, 3, 4), Quant(0.05, -7), options=options),
        (1,),
        Quant(0.04, 3),
    )
    assert refused("mean_before_transpose", net.graph())


def test_a_mean_stays_where_the_transpose_must_stay_too():
    net = net_of((3, 4, 5), Quant(0.05, -7))
    moved = transpose(net, "in", (2, 0, 1))
    mean(net, moved, (1, 2), Quant(0.04, 3))
    net.grow("conv2d", moved)
    assert refused("mean_before_transpose", net.graph())


def test_transpose_and_two_means_keep_both_roundings_and_no_transpose():
    """What converters make of a global average pool of channels-first networks."""
    net = net_of((4, 6, 5), Quant(0.05, -7))
    rows = mean(net, transpose(net, "in", (2, 0, 1)), (2,), Quant(0.05, -7))
    net.grow("fully_connected", mean(net, rows, (1,), Quant(0.05, -7)))
    graph = net.graph()
    changed = rewrite(graph).graph
    assert "transpose" not in kinds(changed)
    assert kinds(changed)[-1] == "fully_connected"
    assert changed.tensor(changed.ops[0].output).shape == (4, 1, 5)
    assert_same(graph, changed)


@pytest.mark.parametrize("zero_point", [-128, 0, 5])
def test_a_mean_is_no_average_pool(zero_point):
    """Why no row makes one of the other: they round differently."""
    quant = Quant(0.05, zero_point)
    net = net_of((2, 2, 4000), quant)
    mean(net, "in", (0, 1), quant)
    net.append("average_pool2d", ("in",), (1, 1, 4000), quant, kernel=(2, 2))
    values = reference.run_all(net.graph(), inputs_for(net.graph()))
    assert (values["t0"] != values["t1"]).any()


@settings(max_examples=50, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1 << 32))
def test_no_output_changes(seed):
    graph = random_net(seed, ("mean", "transpose", "transpose"), most=4)
    same_if_applied("mean_before_transpose", graph)
