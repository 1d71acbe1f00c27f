"""Pads go into windows that pad by themselves, and only where that changes nothing."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rewrite_nets import Net, applied, kinds, random_net, refused, same_if_applied

from engine.graph import Graph, Padding, Quant
from engine.options import Pad

WINDOWS = ("conv2d", "depthwise_conv2d", "max_pool2d")
ROW = "pad_in_windows"


def padded(kind="conv2d", value=-7, before=(1, 1, 0), after=(1, 0, 0), reader_clamp=(-128, 127)):
    """A pad of a 5x5 input with zero point -7, then a 3x3 window."""
    net = Net(2, (5, 5, 3))
    net.tensors[0] = replace(net.tensors[0], quant=Quant(0.05, -7))
    shape = [size + a + b for size, a, b in zip((5, 5, 3), before, after, strict=True)]
    last = net.append("pad", ("in",), shape, Quant(0.05, -7), options=Pad(before, after, value))
    read(net, kind, last, reader_clamp)
    return net


def read(net, kind, name, clamp=(-128, 127)):
    height, width, channels = net.tensor(name).shape
    options, quant = {}, net.tensor(name).quant
    if kind in ("conv2d", "depthwise_conv2d"):
        shape = (channels, 3, 3, channels) if kind == "conv2d" else (3, 3, channels)
        options, quant = net.weights(shape, channels), None
    options["clamp"] = clamp
    return net.append(
        kind, (name,), (height - 2, width - 2, channels), quant, kernel=(3, 3), **options
    )


@pytest.mark.parametrize("kind", ["conv2d", "depthwise_conv2d"])
def test_convolutions_pad_with_their_zero_point(kind):
    changed = applied(ROW, padded(kind).graph())
    assert kinds(changed) == [kind]
    assert changed.ops[0].padding == Padding(1, 1, 1, 0)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("conv2d", {"value": 0}),
        ("conv2d", {"before": (3, 0, 0)}),
        ("conv2d", {"after": (0, 0, 1)}),
        ("average_pool2d", {}),
        ("max_pool2d", {"value": -127}),
    ],
)
def test_a_pad_stays_where_its_window_cannot_do_the_same(kind, options):
    assert refused(ROW, padded(kind, **options).graph())


def test_a_max_pool_takes_pads_that_nothing_can_be_below():
    assert kinds(applied(ROW, padded("max_pool2d", value=-128).graph())) == ["max_pool2d"]
    assert kinds(applied(ROW, padded("max_pool2d", -20, reader_clamp=(-20, 9)).graph())) == [
        "max_pool2d"
    ]


def test_a_pad_with_another_reader_or_at_the_output_stays():
    net = padded()
    read(net, "average_pool2d", "t0")
    assert refused(ROW, net.graph())
    graph = padded().graph()
    out = Graph(graph.name, graph.tensors, graph.ops, graph.inputs, (*graph.outputs, "t0"))
    assert refused(ROW, out)


def test_two_convolutions_share_a_pad():
    net = padded()
    read(net, "depthwise_conv2d", "t0")
    assert kinds(applied(ROW, net.graph())) == ["conv2d", "depthwise_conv2d"]


def test_pads_of_one_value_merge():
    net = padded()
    net.append("pad", ("in",), (5, 7, 4), Quant(0.05, -7), options=Pad((0, 1, 1), (0, 1, 0), -7))
    net.append("pad", ("t2",), (6, 7, 4), Quant(0.05, -7), options=Pad((1, 0, 0), (0, 0, 0), -7))
    changed = applied("merge_pads", net.graph())
    assert changed.ops[-1].options == Pad((1, 1, 1), (0, 1, 0), -7)
    assert changed.ops[-1].inputs == ("in",)


def test_pads_of_two_values_stay():
    net = padded()
    net.append("pad", ("t0",), (8, 6, 3), Quant(0.05, -7), options=Pad((1, 0, 0), (0, 0, 0), 3))
    assert refused("merge_pads", net.graph())


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1 << 32))
def test_no_output_changes(seed):
    graph = random_net(seed, ("pad", "pad", *WINDOWS), most=5)
    same_if_applied("merge_pads", graph)
    same_if_applied(ROW, graph)
