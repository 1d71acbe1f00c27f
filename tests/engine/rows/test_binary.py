"""Rows of add, sub and mul, and their kernels on every pair of values."""

import numpy as np
import pytest
from given_cases import check_on
from kernel_machines import MACHINES

from engine import features
from engine.blend import blend
from engine.dispatch import choose
from engine.graph import Graph, Op, Quant, Tensor
from engine.rows.binary import NEARLY_HALF, describe_sum, sum_factors, wide_first

EVERY = np.meshgrid(np.arange(-128, 128, dtype=np.int8), np.arange(-128, 128, dtype=np.int8))
PAIRS = {name: part.reshape(256, 1, 256) for name, part in zip("ab", EVERY, strict=True)}
NEAR, FAR, MIXED, MIDDLE = (-128, -128, -128), (127, -128, 3), (-5, 127, 127), (-5, 9, 3)
SUMS = [
    ((0.5, 0.5, 1.0), MIDDLE),  # half of all sums are ties
    ((1.0, 2.0**-21, 2.0**-17), MIDDLE),  # the second input's values are, where the first has none
    ((0.02, 0.02, 1e-5), FAR), ((0.001, 0.9, 0.4), NEAR), ((0.3, 0.29999998, 0.31), FAR),
]  # fmt: skip
PRODUCTS = [
    ((0.02, 0.02, 0.02), NEAR), ((0.1, 1 / 256, 0.1), FAR), ((0.5, 0.5, 1.0), MIDDLE),
    ((0.01, 0.01, 100.0), FAR),
]  # fmt: skip


def graph_of(kind, scales, zeros, shapes, clamp=(-128, 127)):
    first, second = shapes
    out = tuple(max(pair) for pair in zip(first, second, strict=True))
    quants = [Quant(scale, zero) for scale, zero in zip(scales, zeros, strict=True)]
    tensors = (Tensor("a", first, quants[0]), Tensor("b", second, quants[1]))
    op = Op(kind, kind, ("a", "b"), "out", clamp=clamp)
    return Graph("net", (*tensors, Tensor("out", out, quants[2])), (op,), ("a", "b"), ("out",))


def every_pair(kind, scales, zeros):
    return graph_of(kind, scales, zeros, [(256, 1, 256)] * 2), PAIRS


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("kind", ["add", "sub"])
def test_sums_of_every_pair_of_values_are_exact_and_fast(kind, name):
    given = [every_pair(kind, *quants) for quants in SUMS]
    on_a_line = [bool(blend(graph, graph.ops[0])) for graph, _ in given]
    assert on_a_line == [True, False, False, True, True]
    rest = [f"tr_{kind}_scaled", "tr_add_plain"]
    assert check_on(name, given) == [n for line in on_a_line for n in ["tr_add"] * line + rest]


@pytest.mark.parametrize("name", MACHINES)
def test_products_of_every_pair_of_values_are_exact_and_fast(name):
    kernels = check_on(name, [every_pair("mul", *quants) for quants in PRODUCTS])
    assert kernels == ["tr_mul", "tr_mul_plain"] * len(PRODUCTS)


@pytest.mark.parametrize("factor", [3.0, 0.9, 0.5, 2.0**-24, 2.0**-40])
def test_products_of_other_factors_are_left_to_the_plain_kernel(factor):
    graph = graph_of("mul", (factor, 1.0, 1.0), FAR, [(1, 1, 4)] * 2)
    assert choose(graph, graph.ops[0]).c_name == "tr_mul_plain"


@pytest.mark.parametrize("kind", ["add", "sub"])
def test_sums_of_other_shapes_are_left_to_the_plain_kernel(kind):
    graph = graph_of(kind, (0.1, 0.1, 0.1), FAR, [(3, 2, 4), (1, 1, 4)])
    assert choose(graph, graph.ops[0]).c_name == "tr_add_plain"


def test_equal_scales_are_a_little_less_than_half():
    graph = every_pair("add", (0.02, 0.02, 0.02), NEAR)[0]
    assert sum_factors(graph, graph.ops[0])[1] == NEARLY_HALF


@pytest.mark.parametrize(
    ("scales", "signs"), [((0.2, 0.1), (1, -1)), ((0.1, 0.2), (-1, 1)), ((0.1, 0.1), (1, -1))]
)
def test_a_difference_keeps_its_sign_when_inputs_change_places(scales, signs):
    graph = graph_of("sub", (*scales, 0.3), FAR, [(1, 1, 4)] * 2)
    fields = describe_sum(graph, graph.ops[0]).fields
    assert (fields["sign_a"], fields["sign_b"]) == signs


@pytest.mark.parametrize(
    ("shapes", "rows", "order"),
    [
        ([(4, 5, 6), (1, 1, 6)], 20, "ab"),
        ([(1, 1, 6), (4, 5, 6)], 20, "ab"),
        ([(4, 5, 6), (1, 1, 1)], 1, "ab"),
        ([(1, 1, 1), (4, 5, 6)], 1, "ba"),
        ([(4, 5, 1), (4, 5, 6)], 20, "ba"),
        ([(4, 5, 6), (4, 5, 6)], 1, "ab"),
        ([(1, 5, 6), (4, 5, 6)], 4, "ab"),
        ([(4, 1, 1), (1, 5, 1)], 4, "ba"),
    ],
)
def test_a_gate_is_done_in_rows_as_long_as_can_be(shapes, rows, order):
    graph = graph_of("mul", (0.1, 1 / 256, 0.1), FAR, shapes, clamp=(-3, 90))
    op = graph.ops[0]
    row = choose(graph, op)
    assert row.c_name == "tr_mul"
    size = graph.tensor("out").size
    assert row.features(graph, op) == {"calls": 1, "rows": rows, "elements": size, "clamped": size}
    assert "".join(wide_first(graph, op)) == order


@pytest.mark.parametrize("kind", ["add", "sub"])
def test_sums_are_counted_in_fours(kind):
    graph = graph_of(kind, (0.02, 0.02, 0.02), NEAR, [(1, 5, 3)] * 2, clamp=(-3, 90))
    op = graph.ops[0]
    row = choose(graph, op)
    assert row.c_name == "tr_add"
    assert row.features(graph, op) == {"calls": 1, "fours": 3, "rest": 3, "clamped": 15}


def test_sub_counts_what_add_counts_where_there_is_no_line():
    graph = every_pair("sub", (1.0, 2.0**-21, 2.0**-17), MIDDLE)[0]
    row = choose(graph, graph.ops[0])
    assert row.c_name == "tr_sub_scaled"
    assert row.features(graph, graph.ops[0]) == features.add(graph, graph.ops[0])
