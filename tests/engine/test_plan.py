"""A plan never lets two live things share a byte, and wastes as little as it can."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine_nets import networks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_checks import check_plan
from plan_nets import Branches, branching, seeded_branches

from engine.graph import Graph, Op, Quant, Tensor
from engine.load.tflite import load_tflite
from engine.plan import plan

MANY = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
Q, OTHER = Quant(0.05, 0), Quant(0.04, 3)
MODELS = Path(__file__).parents[3] / "shared" / "models"


@MANY
@given(networks())
def test_nothing_live_is_overwritten_in_a_chain(graph):
    check_plan(graph, plan(graph))
    check_plan(graph, plan(graph, plain=True), plain=True)


@MANY
@given(branching())
def test_nothing_live_is_overwritten_where_branches_join(graph):
    check_plan(graph, plan(graph))
    check_plan(graph, plan(graph, plain=True), plain=True)


@MANY
@given(st.one_of(networks(), branching()), st.integers(1, 40))
def test_guard_bytes_lie_between_all_that_does_not_share(graph, guard):
    check_plan(graph, plan(graph, guard_bytes=guard), guard_bytes=guard)


@pytest.mark.parametrize("seed", range(2))
def test_a_large_graph_is_planned_in_bounded_work(seed):
    """500 operators: a beam of orders, fewer rounds of placement."""
    graph = seeded_branches(seed, 500)
    found = plan(graph)
    check_plan(graph, found)
    assert found.peak_bytes <= 1.02 * found.lower_bound_bytes


@pytest.mark.parametrize(
    ("model", "limit_bytes"),
    [
        ("mlperf_vww_96_int8", 40_000),
        ("mlperf_ic_resnet8_int8", 49_152),
        ("mlperf_kws_dscnn_int8", 12_000),
        ("mlperf_ad01_int8", 784),
    ],
)
def test_the_arenas_of_known_models_are_proven_minimal(model, limit_bytes):
    path = MODELS / f"{model}.tflite"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the project")
    graph = load_tflite(path)
    found = plan(graph)
    check_plan(graph, found)
    assert found.is_proven
    assert found.order_is_best
    assert found.peak_bytes <= limit_bytes


def chain(*ops, shapes, constants=None):
    """A graph of ops whose tensors are named in, t0, t1, ..."""
    names = ("in", *(f"t{index}" for index in range(len(ops))))
    tensors = tuple(Tensor(name, shape, Q) for name, shape in zip(names, shapes, strict=True))
    return Graph("chain", tensors, ops, ("in",), (names[-1],), constants or {})


def test_a_reshape_takes_over_the_place_of_its_input():
    ops = (
        Op("average_pool2d", "pool", ("in",), "t0"),
        Op("reshape", "view", ("t0",), "t1"),
        Op("average_pool2d", "pool again", ("t1",), "t2"),
    )
    graph = chain(*ops, shapes=((4, 4, 6), (4, 4, 6), (2, 2, 24), (2, 2, 24)))
    found = plan(graph)
    check_plan(graph, found)
    assert found.offsets["t0"] == found.offsets["t1"]
    assert "view" in found.in_place


def test_a_reshape_of_an_input_that_is_read_again_has_a_place_of_its_own():
    ops = (
        Op("reshape", "view", ("in",), "t0"),
        Op("reshape", "back", ("t0",), "t1"),
        Op("add", "add", ("in", "t1"), "t2"),
    )
    graph = chain(*ops, shapes=((4, 4, 6), (2, 8, 6), (4, 4, 6), (4, 4, 6)))
    found = plan(graph)
    check_plan(graph, found)
    assert found.peak_bytes == 192


def test_one_tensor_twice_may_be_written_over():
    graph = chain(Op("add", "double", ("in", "in"), "t0"), shapes=((4, 4, 6), (4, 4, 6)))
    found = plan(graph)
    check_plan(graph, found)
    assert found.peak_bytes == 96
    assert found.in_place == {"double"}


def test_a_constant_takes_nothing_of_the_arena():
    add = Op("add", "add", ("in", "c"), "t0")
    tensors = tuple(Tensor(name, (4, 4, 6), Q) for name in ("in", "c", "t0"))
    values = {"c": np.zeros((4, 4, 6), np.int8)}
    found = plan(Graph("offset", tensors, (add,), ("in",), ("t0",), values))
    assert set(found.offsets) == {"in", "t0"}
    assert found.peak_bytes == 96


def test_an_output_that_is_read_further_stays():
    ops = (
        Op("average_pool2d", "pool", ("in",), "t0"),
        Op("average_pool2d", "pool again", ("t0",), "t1"),
    )
    tensors = tuple(Tensor(name, (4, 4, 6), Q) for name in ("in", "t0", "t1"))
    graph = Graph("two outputs", tensors, ops, ("in",), ("t0", "t1"))
    found = plan(graph)
    check_plan(graph, found)
    assert found.peak_bytes == 192


def test_inputs_live_from_before_the_first_operator():
    """The second input is read last, yet it is there from the start."""
    ops = (
        Op("average_pool2d", "pool", ("in",), "t0"),
        Op("add", "add", ("t0", "late"), "t1"),
    )
    tensors = tuple(Tensor(name, (4, 4, 6), Q) for name in ("in", "late", "t0", "t1"))
    graph = Graph("two inputs", tensors, ops, ("in", "late"), ("t1",))
    found = plan(graph)
    check_plan(graph, found)
    spans = sorted((found.offsets["in"], found.offsets["late"]))
    assert spans[0] + 96 <= spans[1]


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


@pytest.mark.parametrize("what", ["tensor", "scratch", "order"])
def test_the_checker_refuses_a_plan_that_overwrites(what):
    net = Branches(lambda _low, high: high, 1)
    graph = net.convolve("in0", 9).convolve("t0", 9).convolve("t1", 20).graph()
    found = plan(graph)
    spoilt = {
        "tensor": replace(found, offsets=dict.fromkeys(found.offsets, 0)),
        "scratch": replace(found, scratch_offsets=dict.fromkeys(found.scratch_offsets, 0)),
        "order": replace(found, order=found.order[::-1]),
    }
    with pytest.raises(AssertionError):
        check_plan(graph, spoilt[what])


def test_residual_add_reuses_the_memory_of_an_input():
    found = plan(residual_graph())
    assert "add" in found.in_place
    assert found.offsets["c"] in (found.offsets["a"], found.offsets["b"])


def test_the_same_graph_gives_the_same_plan():
    assert plan(residual_graph()) == plan(residual_graph())
