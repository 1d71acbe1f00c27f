"""Functions of single values become clamps, or fewer functions, where every value agrees."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rewrite_nets import FUNCTIONS, Net, applied, kinds, random_net, refused, same_if_applied

from engine.graph import Graph, Quant, Tensor
from engine.rewrites.functions import CLAMPING

Q = Quant(0.05, -7)
SHAPE = (3, 2, 2)


def behind(kind, clamp=(-50, 60), **function):
    """An operator of `kind` with a clamp, then a function of its values, then a softmax."""
    net = Net(5, SHAPE)
    net.tensors[0] = Tensor("in", SHAPE, Q)
    name = net.grow(kind, "in")
    quant = net.tensor(name).quant
    net.ops[-1] = replace(net.ops[-1], clamp=clamp)
    parts = {"kind": "relu", "quant": quant, "clamp": (-7, 127)} | function
    kind, after = parts.pop("kind"), parts.pop("quant")
    net.append(kind, (name,), net.tensor(name).shape, after, **parts)
    net.grow("softmax", "t1")
    return net.graph()


@pytest.mark.parametrize("kind", [kind for kind in CLAMPING if kind != "logistic"])
def test_a_relu_is_the_clamp_of_the_operator_before(kind):
    changed = applied("clamp_before", behind(kind))
    assert kinds(changed) == [kind, "softmax"]
    assert changed.ops[0].clamp == (-7, 60)


def test_clamps_that_do_not_meet_leave_one_value():
    changed = applied("clamp_before", behind("conv2d", clamp=(-50, -20)))
    assert changed.ops[0].clamp == (-7, -7)


def test_a_relu_of_other_quantisation_stays():
    assert refused("clamp_before", behind("conv2d", quant=Quant(0.09, 3)))


def test_a_relu_behind_moved_bytes_stays():
    assert refused("clamp_before", behind("transpose", clamp=(-128, 127)))


def test_a_relu_stays_where_another_reads_or_returns_its_input():
    graph = behind("conv2d")
    outputs = Graph("net", graph.tensors, graph.ops, graph.inputs, ("t0", "t2"))
    assert refused("clamp_before", outputs)
    again = replace(graph.ops[2], name="again", inputs=("t0",), output="t9")
    tensors = (*graph.tensors, replace(graph.tensor("t2"), name="t9"))
    both = Graph("net", tensors, (*graph.ops, again), graph.inputs, ("t2", "t9"))
    assert refused("clamp_before", both)


def two(first, second, middle, last, **clamps):
    net = Net(5, SHAPE)
    net.tensors[0] = Tensor("in", SHAPE, Q)
    net.append(first, ("in",), SHAPE, middle, clamp=clamps.get("one", (-128, 127)))
    net.append(second, ("t0",), SHAPE, last, clamp=clamps.get("two", (-128, 127)))
    return net.graph()


def test_requantisations_to_a_finer_scale_and_back_are_one():
    graph = two("requantize", "requantize", Quant(0.025, -14), Quant(0.1, 2))
    with_room = two("requantize", "requantize", Quant(0.05, -7), Quant(0.1, 2))
    assert refused("join_functions", graph)  # what saturates between them is lost
    assert kinds(applied("join_functions", with_room)) == ["requantize"]


def test_a_relu_behind_a_requantisation_is_one_function():
    graph = two("requantize", "relu", Quant(0.05, 0), Quant(0.1, -128), two=(-128, -60))
    changed = applied("join_functions", graph)
    assert len(changed.ops) == 1


def test_requantisations_that_round_twice_stay():
    assert refused(
        "join_functions", two("requantize", "requantize", Quant(0.073, 5), Quant(0.1, 2))
    )


def test_a_number_added_is_a_requantisation():
    net = Net(5, SHAPE)
    net.tensors[0] = Tensor("in", SHAPE, Quant(0.05, -20))
    net.constants["three"] = np.full((1, 1, 1), 3, np.int8)
    net.tensors.append(Tensor("three", (1, 1, 1), Quant(0.05, 0)))
    net.append("add", ("three", "in"), SHAPE, Quant(0.05, -17), clamp=(-128, 100))
    graph = net.graph()
    assert refused("drop_numbers", graph)  # not the same real number for any function here
    shifted = Quant(0.05, -23)
    moved = Graph(
        "net", (*graph.tensors[:-1], Tensor("t0", SHAPE, shifted)), graph.ops, ("in",), ("t0",),
        {"three": np.zeros((1, 1, 1), np.int8)},
    )  # fmt: skip
    changed = applied("drop_numbers", moved)
    assert kinds(changed)[0] in FUNCTIONS
    assert not changed.constants


def test_a_row_of_numbers_added_stays():
    net = Net(5, SHAPE)
    net.tensors[0] = Tensor("in", SHAPE, Q)
    net.append("add", ("in", net.constant((1, 1, 2), Q)), SHAPE, Q)
    assert refused("drop_numbers", net.graph())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1 << 32))
def test_no_output_changes(seed):
    graph = random_net(seed, (*FUNCTIONS, *FUNCTIONS, "conv2d", "add", "mul"), most=5)
    for name in ("clamp_before", "join_functions", "drop_numbers"):
        same_if_applied(name, graph)
