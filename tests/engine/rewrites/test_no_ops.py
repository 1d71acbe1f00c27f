"""Operators that change nothing go; those that change something for some value stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rewrite_nets import KINDS, Net, applied, kinds, random_net, refused, same_if_applied

from engine.graph import Graph, Padding, Quant, Tensor
from engine.options import Concat, Mean, Pad, Resize, Slice, Transpose

ROW = "remove_no_ops"
Q = Quant(0.05, -7)
SHAPE = (3, 1, 2)


def between(kind, shape=SHAPE, quant=Q, held=(-100, 90), **options):
    """A ReLU whose output is of `held`, the operator, and a softmax."""
    net = Net(1, SHAPE)
    net.append("relu", ("in",), SHAPE, Q, clamp=held)
    net.append(kind, ("t0",), shape, quant, **options)
    net.grow("softmax", "t1")
    return net.graph()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("reshape", {}),
        ("transpose", {"options": Transpose(SHAPE, (1, 0, 2))}),
        ("slice", {"options": Slice((0, 0, 0), (1, -1, 1))}),
        ("pad", {"options": Pad((0, 0, 0), (0, 0, 0), 5)}),
        ("concat", {"options": Concat(2)}),
        ("resize_nearest", {"options": Resize(half_pixel_centers=True)}),
        ("requantize", {}),
        ("relu", {"clamp": (-100, 90)}),
        ("max_pool2d", {"clamp": (-101, 127)}),
        ("average_pool2d", {"stride": (1, 3)}),
        ("mean", {"options": Mean((1,))}),
    ],
)  # fmt: skip
def test_what_changes_nothing_goes(kind, options):
    graph = between(kind, **options)
    changed = applied(ROW, graph)
    assert kinds(changed)[-1] == "softmax"
    assert kind not in kinds(changed)[1:]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("reshape", {"shape": (1, 1, 6)}),
        (
            "transpose",
            {"shape": SHAPE, "options": Transpose((3, 1, 2), (2, 1, 0))},
        ),  # seen as SHAPE
        ("slice", {"options": Slice((2, 0, 0), (-1, 1, 1))}),
        ("requantize", {"quant": Quant(0.05, -6)}),
        ("requantize", {"quant": Quant(0.0501, -7)}),
        ("relu", {"clamp": (-99, 127)}),
        ("relu", {"clamp": (-128, 89)}),
        ("max_pool2d", {"kernel": (3, 1), "padding": Padding(1, 1)}),
        ("mean", {"options": Mean((1,)), "quant": Quant(0.051, -7)}),
        ("hard_swish", {}),
    ],
)
def test_what_changes_something_stays(kind, options):
    assert refused(ROW, between(kind, **options))


def test_a_no_op_at_the_output_gives_its_name_to_what_is_before():
    net = Net(1, SHAPE)
    net.append("relu", ("in",), SHAPE, Q)
    net.append("reshape", ("t0",), SHAPE, Q)
    changed = applied(ROW, net.graph())
    assert [(op.kind, op.output) for op in changed.ops] == [("relu", "t1")]


def test_a_no_op_from_input_to_output_stays():
    net = Net(1, SHAPE)
    net.append("reshape", ("in",), SHAPE, net.tensors[0].quant)
    assert refused(ROW, net.graph())


def test_a_no_op_between_two_outputs_stays():
    net = Net(1, SHAPE)
    net.append("relu", ("in",), SHAPE, Q)
    net.append("reshape", ("t0",), SHAPE, Q)
    graph = net.graph()
    both = Graph(graph.name, graph.tensors, graph.ops, graph.inputs, ("t0", "t1"))
    assert refused(ROW, both)


def test_a_zero_added_is_a_no_op():
    net = Net(1, SHAPE)
    net.append("relu", ("in",), SHAPE, Q)
    net.constants["zero"] = np.full((1, 1, 1), -7, np.int8)
    net.tensors.append(Tensor("zero", (1, 1, 1), Q))
    net.append("add", ("t0", "zero"), SHAPE, Q)
    net.grow("softmax", "t1")
    assert kinds(applied(ROW, net.graph())) == ["relu", "softmax"]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1 << 32))
def test_no_output_changes(seed):
    same_if_applied(ROW, random_net(seed, KINDS, most=5))
