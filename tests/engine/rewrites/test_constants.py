"""What is known needs no operator, and what is equal is computed once."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rewrite_nets import Net, applied, kinds, random_net, refused, same_if_applied

from engine.graph import Graph, Quant, Tensor
from engine.options import Concat

Q = Quant(0.05, -7)
SHAPE = (3, 2, 4)
ROWS = ("fold_constants", "shrink_constants", "compute_once")


def net_of(shape=SHAPE):
    net = Net(6, shape)
    net.tensors[0] = Tensor("in", shape, Q)
    return net


def dead_branch(net):
    """A 1x1 convolution without weights, so that its output is its biases."""
    bias = np.array([-900, 100, 20, 600], np.int32)
    weights = np.zeros((4, 1, 1, 4), np.int8)
    return net.append(
        "conv2d", ("in",), SHAPE, Q, weights=weights, weight_scales=np.full(4, 0.01), bias=bias
    )


def test_a_branch_that_is_always_the_same_is_a_constant():
    net = net_of()
    net.append("add", ("in", dead_branch(net)), SHAPE)
    changed = applied("fold_constants", net.graph())
    assert kinds(changed) == ["add"]
    assert changed.constants["t0"].shape == (1, 1, 4)  # the add spreads it


def test_a_constant_that_no_other_input_can_spread_is_whole():
    net = net_of()
    net.append("concat", ("in", dead_branch(net)), (6, 2, 4), Q, options=Concat(0))
    changed = applied("fold_constants", net.graph())
    assert changed.constants["t0"].shape == SHAPE


def test_a_large_constant_costs_more_flash_than_its_operator():
    net = net_of((40, 40, 4))
    weights = {"weights": np.zeros((4, 1, 1, 4), np.int8), "weight_scales": np.full(4, 0.01)}
    bias = np.zeros(4, np.int32)
    net.append("conv2d", ("in",), (40, 40, 4), Q, bias=bias, **weights)
    net.append("concat", ("in", "t0"), (80, 40, 4), Q, options=Concat(0))
    assert refused("fold_constants", net.graph())


def test_the_last_reader_of_an_input_stays():
    net = net_of()
    dead = dead_branch(net)
    net.append("add", (dead, dead), SHAPE)
    assert refused("fold_constants", net.graph())


def test_a_known_output_or_input_of_a_convolution_stays():
    net = net_of()
    net.append("add", ("in", dead_branch(net)), SHAPE)
    net.grow("conv2d", "t0")
    assert refused("fold_constants", net.graph())
    net = net_of()
    net.append("relu", ("in",), SHAPE, Q)
    dead_branch(net)
    assert refused("fold_constants", net.graph())


def test_operators_on_constants_run_here():
    net = net_of()
    made = net.append("mul", (net.constant((1, 1, 4)), net.constant(SHAPE)), SHAPE)
    net.append("sub", ("in", made), SHAPE)
    changed = applied("fold_constants", net.graph())
    assert kinds(changed) == ["sub"]
    assert set(changed.constants) == {"t0"}


def repeating(values, readers=1, kind="add"):
    net = net_of()
    net.tensors.append(Tensor("c", values.shape, Q))
    net.constants["c"] = values
    for _ in range(readers):
        net.append(kind, ("in", "c"), SHAPE)
    return net.graph()


def test_a_repeated_constant_is_kept_once():
    row = np.arange(8, dtype=np.int8).reshape(1, 2, 4)
    changed = applied("shrink_constants", repeating(np.broadcast_to(row, SHAPE).copy()))
    assert changed.constants["c"].tolist() == row.tolist()
    number = applied("shrink_constants", repeating(np.full(SHAPE, 9, np.int8)))
    assert number.constants["c"].shape == (1, 1, 1)


def test_a_constant_that_differs_gives_the_size_or_is_shared_stays():
    values = np.random.default_rng(1).integers(-128, 128, SHAPE).astype(np.int8)
    assert refused("shrink_constants", repeating(values))
    assert refused("shrink_constants", repeating(np.zeros(SHAPE, np.int8), readers=2))
    net = net_of((1, 1, 4))
    net.tensors.append(Tensor("c", SHAPE, Q))
    net.constants["c"] = np.zeros(SHAPE, np.int8)
    net.append("add", ("in", "c"), SHAPE)
    changed = applied("shrink_constants", net.graph())
    assert changed.constants["c"].shape == (3, 2, 1)


def twice(**changes):
    net = net_of()
    net.append("conv2d", ("in",), SHAPE, Q, **net.weights((4, 1, 1, 4), 4))
    net.ops.append(replace(net.ops[0], name="again", output="again", **changes))
    net.tensors.append(Tensor("again", SHAPE, Q))
    net.append("add", ("t0", "again"), SHAPE)
    return net


def test_equal_operators_are_one():
    changed = applied("compute_once", twice().graph())
    assert kinds(changed) == ["conv2d", "add"]
    assert changed.ops[1].inputs == ("t0", "t0")


def test_operators_that_differ_or_make_outputs_are_not_one():
    other = twice().ops[0].bias + np.int32(1)
    assert refused("compute_once", twice(bias=other).graph())
    assert refused("compute_once", twice(clamp=(-128, 126)).graph())
    graph = twice().graph()
    outputs = Graph(graph.name, graph.tensors, graph.ops, graph.inputs, ("t2", "again"))
    assert refused("compute_once", outputs)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1 << 32))
def test_no_output_changes(seed):
    graph = random_net(seed, ("add", "mul", "sub", "concat", "conv2d", "relu"), most=6)
    for name in ROWS:
        same_if_applied(name, graph)
