"""tr_softmax gives the reference's bytes, on the host and on both cores, in place too."""

import numpy as np
import pytest
from graph_strategies import PROBABILITY, inputs_of, operators
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_call import on_arm, on_host

from engine import reference
from engine.graph import Graph, Op, Quant, Tensor
from engine.options import Softmax
from engine.rows.softmax import ROWS

CPUS = ("cortex-m4", "cortex-m7")
(ROW,) = ROWS


def softmax(shape, scale, beta=1.0):
    tensors = (Tensor("a", shape, Quant(scale, 5)), Tensor("out", shape, PROBABILITY))
    op = Op("softmax", "softmax", ("a",), "out", options=Softmax(beta))
    return Graph("net", tensors, (op,), ("a",), ("out",))


def check(graph, x):
    wanted = reference.run(graph, x)
    np.testing.assert_array_equal(on_host(ROW, graph, x), wanted)
    np.testing.assert_array_equal(on_host(ROW, graph, x, overlap=0), wanted)
    for cpu in CPUS:
        np.testing.assert_array_equal(on_arm(cpu, ROW, graph, x, ("tr_softmax",)), wanted)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(operators("softmax"))
def test_softmax_equals_the_reference(graph):
    check(graph, inputs_of(graph)["a"])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.floats(-25, 7), st.sampled_from((0.5, 1.0, 4.0)), st.integers(0, 99))
def test_softmax_of_every_difference_equals_the_reference(power, beta, seed):
    """A row of two for each difference from the maximum, and one of them all."""
    scale = float(np.float32(2.0**power))
    rows = np.stack([np.full(256, 127), np.arange(-128, 128)], 1)[:, None].astype(np.int8)
    check(softmax((256, 1, 2), scale, beta), rows)
    row = np.random.default_rng(seed).permutation(256).astype(np.uint8).view(np.int8)
    check(softmax((1, 1, 256), scale, beta), row[None, None])


@pytest.mark.parametrize("channels", [511, 512, 1000, 4095])
def test_rows_of_many_equal_channels_equal_the_reference(channels):
    graph = softmax((1, 1, channels), 0.1)
    check(graph, np.full((1, 1, channels), 127, np.int8))


def test_softmax_counts_rows_and_elements():
    graph = softmax((2, 3, 7), 0.1)
    assert ROW.features(graph, graph.ops[0]) == {"calls": 1, "rows": 6, "elements": 42}
