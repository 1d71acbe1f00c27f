"""A plan never lets two live things share a byte, and wastes as little as it can."""

import numpy as np
from engine_nets import networks
from hypothesis import HealthCheck, given, settings
from plan_checks import check_plan

from engine.graph import Graph, Op, Quant, Tensor
from engine.plan import plan

MANY = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
Q, OTHER = Quant(0.05, 0), Quant(0.04, 3)


@MANY
@given(networks())
def test_nothing_live_is_overwritten(graph):
    check_plan(graph, plan(graph))
    check_plan(graph, plan(graph, plain=True), plain=True)


@MANY
@given(networks())
def test_guard_bytes_lie_between_all_that_does_not_share(graph):
    check_plan(graph, plan(graph, guard_bytes=10), guard_bytes=10)


def residual_graph():
    """in -> a -> b -> c, c = a + b, then a pointwise to the output."""
    one = np.ones((1, 1, 4), np.int8)
    scales, bias = np.full(4, 0.5), np.zeros(4, np.int32)
    names = ("in", "a", "b", "c", "out")
    tensors = tuple(
        Tensor(name, (5, 5, 4), quant)
        for name, quant in zip(names, (Q, Q, OTHER, Q, Q), strict=True)
    )

    def depthwise(name, source, output):
        arrays = {"weights": one, "weight_scales": scales, "bias": bias}
        return Op("depthwise_conv2d", name, (source,), output, **arrays)

    ops = (
        depthwise("first", "in", "a"),
        depthwise("second", "a", "b"),
        Op("add", "add", ("a", "b"), "c"),
        depthwise("last", "c", "out"),
    )
    return Graph("residual", tensors, ops, ("in",), ("out",))


def test_residual_add_reuses_the_memory_of_an_input():
    found = plan(residual_graph())
    assert "add" in found.in_place
    assert found.offsets["c"] in (found.offsets["a"], found.offsets["b"])


def test_the_same_graph_gives_the_same_plan():
    assert plan(residual_graph()) == plan(residual_graph())
