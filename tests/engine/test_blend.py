"""Lines in place of sums of two tensors are right on every pair of values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import reference
from engine.blend import SHIFT, blend
from engine.graph import Graph, Op, Quant, Tensor

VALUES = np.arange(-128, 128, dtype=np.int8)
A, B = (part.reshape(256, 1, 256) for part in np.meshgrid(VALUES, VALUES, indexing="ij"))


def graph_of(kind, scales, zeros):
    names = ("a", "b", "out")
    quants = [Quant(scale, zero) for scale, zero in zip(scales, zeros, strict=True)]
    tensors = tuple(
        Tensor(name, (256, 1, 256), quant) for name, quant in zip(names, quants, strict=True)
    )
    return Graph("net", tensors, (Op(kind, kind, ("a", "b"), "out"),), ("a", "b"), ("out",))


def check(graph):
    line = blend(graph, graph.ops[0])
    assert line is not None
    products = [
        (factor * (256 * x.astype(np.int64))) >> 16
        for factor, x in ((line.first, A), (line.second, B))
    ]
    steps = [line.addend + products[0], line.addend + products[0] + products[1]]
    assert all(step.min() >= -(1 << 31) and step.max() < 1 << 31 for step in steps)
    got = np.clip(steps[1] >> SHIFT, -128, 127)
    np.testing.assert_array_equal(got, reference.run(graph, {"a": A, "b": B}))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.sampled_from(["add", "sub"]),
    st.tuples(st.floats(0.01, 0.2), st.floats(0.01, 0.2), st.floats(0.03, 0.3)),
    st.tuples(*[st.integers(-128, 127)] * 3),
)
def test_a_line_is_the_reference_on_all_pairs(kind, scales, zeros):
    check(graph_of(kind, scales, zeros))


@pytest.mark.parametrize("kind", ["add", "sub"])
@pytest.mark.parametrize("scales", [(0.5, 0.5, 1.0), (0.1, 0.2, 0.2), (0.25, 0.5, 0.75)])
@pytest.mark.parametrize("zeros", [(-5, 3, -5), (-128, -128, -128), (127, -128, 0)])
def test_ties_on_both_sides_of_zero_go_away_from_it(kind, scales, zeros):
    check(graph_of(kind, scales, zeros))


@pytest.mark.parametrize("scales", [(1.0, 2.0**-21, 2.0**-17), (0.02, 0.02, 1e-5)])
def test_there_is_no_line_that_32_bits_do_not_hold(scales):
    graph = graph_of("add", scales, (-5, 9, 3))
    assert blend(graph, graph.ops[0]) is None
