"""Constant and unread channels go, everything else stays, and no output changes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rewrite_nets import KINDS, Net, assert_same, planted_net, random_net

from engine.graph import Graph, Padding, Quant
from engine.rewrites.channel_rules import RULES
from engine.rewrites.channels import drop_channels
from engine.shapes import OP_KINDS

ZERO = Quant(0.05, 0)


def test_every_kind_has_a_rule():
    assert set(RULES) == set(OP_KINDS)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1 << 32))
def test_no_output_changes(seed):
    check(random_net(seed))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1 << 32))
def test_no_output_changes_behind_constant_channels(seed):
    check(planted_net(seed))


def check(graph):
    changed = drop_channels(graph)
    if changed is not None:
        assert_same(graph, changed)
        assert drop_channels(changed) is None


def test_channels_go_behind_every_kind_that_can_let_them():
    """So that the tests above do not pass because nothing ever changes."""
    cut = set()
    for seed in range(250):
        graph = planted_net(seed)
        changed = drop_channels(graph)
        for op in graph.ops if changed is not None else ():
            if graph.tensor(op.output).shape != changed.tensor(op.output).shape:
                cut.add(op.kind)
    assert cut >= set(KINDS) - {"fully_connected", "mean"}


def kernel(net, source, rows, dead=(), value=500):
    """A 1x1 convolution of tensor `source`, its rows `dead` without weights."""
    net.tensors[0] = replace(net.tensors[0], shape=(3, 3, net.tensors[0].shape[2]))
    weights = net.rng.integers(1, 20, (rows, 1, 1, net.tensor(source).shape[2])).astype(np.int8)
    bias = net.rng.integers(-100, 100, rows).astype(np.int32)
    weights[list(dead)], bias[list(dead)] = 0, value
    return {"weights": weights, "weight_scales": np.full(rows, 0.01), "bias": bias}


def chain(*kinds, value=500, dead=(1, 2), **attributes):
    """Two convolutions, 4 channels with some constant ones between, and `kinds` between them."""
    net = Net(1, (3, 3, 2))
    last = net.append("conv2d", ("in",), (3, 3, 4), ZERO, **kernel(net, "in", 4, dead, value))
    for kind in kinds:
        last = net.append(kind, (last,), (3, 3, 4), ZERO)
    last = net.append("conv2d", (last,), (3, 3, 2), ZERO, **kernel(net, last, 2))
    graph = net.graph()
    return Graph(
        graph.name, graph.tensors, (*graph.ops[:-1], replace(graph.ops[-1], **attributes)),
        graph.inputs, graph.outputs,
    )  # fmt: skip


@pytest.mark.parametrize(
    "kinds", [(), ("relu",), ("max_pool2d", "average_pool2d"), ("requantize",)]
)
def test_constant_channels_become_a_share_of_the_bias(kinds):
    graph = chain(*kinds)
    changed = drop_channels(graph)
    assert [tensor.shape[2] for tensor in changed.tensors[1:-1]] == [2] * (len(kinds) + 1)
    assert (changed.ops[-1].bias != graph.ops[-1].bias).all()
    assert_same(graph, changed)


def padded(value):
    """The second convolution 3x3 and padded."""
    graph = chain(value=value)
    last = graph.ops[-1]
    wide = replace(
        last, kernel=(3, 3), padding=Padding(1, 1, 1, 1), weights=np.ones((2, 3, 3, 4), np.int8)
    )
    return Graph("net", graph.tensors, (graph.ops[0], wide), graph.inputs, graph.outputs)


def test_a_constant_off_the_zero_point_stays_before_padding():
    assert drop_channels(padded(500)) is None


def test_a_constant_at_the_zero_point_goes_before_padding():
    graph = padded(0)
    changed = drop_channels(graph)
    assert changed.ops[1].weights.shape == (2, 3, 3, 2)
    assert_same(graph, changed)


def test_a_share_that_leaves_no_room_in_the_bias_stays():
    full = np.array([(1 << 31) - 1, 0], np.int32)
    assert drop_channels(chain(bias=full)) is None


def test_outputs_and_inputs_keep_their_channels():
    net = Net(1, (3, 3, 2))
    net.append("conv2d", ("in",), (3, 3, 4), ZERO, **kernel(net, "in", 4, (0, 2)))
    assert drop_channels(net.graph()) is None


def test_a_channel_that_nobody_reads_goes():
    weights = np.full((2, 1, 1, 4), 3, np.int8)
    weights[..., 0] = 0
    graph = chain(dead=(), weights=weights)
    changed = drop_channels(graph)
    assert changed.ops[0].weights.shape[0] == 3
    assert_same(graph, changed)


def test_a_channel_that_another_operator_reads_stays():
    weights = np.full((2, 1, 1, 4), 3, np.int8)
    weights[..., 0] = 0
    graph = chain(dead=(), weights=weights)
    other = replace(graph.ops[1], name="other", output="t9", weights=weights[..., ::-1].copy())
    tensors = (*graph.tensors, replace(graph.tensors[-1], name="t9"))
    both = Graph("net", tensors, (*graph.ops, other), graph.inputs, (*graph.outputs, "t9"))
    assert drop_channels(both) is None


def test_one_channel_stays_where_none_is_needed():
    graph = chain(dead=(0, 1, 2, 3))
    changed = drop_channels(graph)
    assert changed.tensor("t0").shape == (3, 3, 1)
    assert_same(graph, changed)


def test_random_networks_cover_every_kind():
    seen = {op.kind for seed in range(60) for op in random_net(seed).ops}
    assert seen == set(KINDS)
