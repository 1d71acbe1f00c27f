"""Mean equals TFLite's over every set of axes, all quantisations and saturating inputs."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import litert, micro
from tflite_writer import to_tflite

from engine import reference
from engine.errors import GraphError
from engine.function_parameters import MAX_MEAN_COUNT
from engine.graph import Graph, Op, Quant, Tensor
from engine.options import Mean

AXES = [axes for count in (1, 2, 3) for axes in itertools.combinations(range(3), count)]
ZERO_POINTS = st.sampled_from((-128, 127)) | st.integers(-128, 127)


def mean(shape, axes, source, output):
    out = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    tensors = (Tensor("in", shape, source), Tensor("out", out, output))
    op = Op("mean", "mean", ("in",), "out", options=Mean(axes))
    return Graph("net", tensors, (op,), ("in",), ("out",))


@st.composite
def means(draw, axes):
    """A graph and its input."""
    shape = tuple(draw(st.integers(1, 12)) for _ in range(3))
    scale = float(np.float32(2 ** draw(st.floats(-10, 4))))
    source = Quant(scale, draw(ZERO_POINTS))
    other = Quant(float(np.float32(scale * 2 ** draw(st.floats(-8, 8)))), draw(ZERO_POINTS))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    low, high = draw(st.sampled_from(((-128, 127), (-128, -128), (127, 127), (-3, 3))))
    x = rng.integers(low, high + 1, shape).astype(np.int8)
    return mean(shape, axes, source, draw(st.sampled_from((source, other)))), x


@pytest.mark.parametrize("axes", AXES)
def test_mean_equals_tflite(axes):
    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(means(axes))
    def check(case):
        graph, x = case
        data, wanted = to_tflite(graph), reference.run(graph, x)
        np.testing.assert_array_equal(micro(data, [x])[0], wanted)
        np.testing.assert_array_equal(litert(data, [x])[0], wanted)

    check()


def test_a_batch_is_a_batch():
    source = Quant(0.1, 3)
    graph = mean((4, 5, 6), (0, 1), source, source)
    x = np.random.default_rng(0).integers(-128, 128, (3, 4, 5, 6)).astype(np.int8)
    each = np.stack([reference.run(graph, one) for one in x])
    np.testing.assert_array_equal(reference.run(graph, x), each)


def test_means_that_cannot_be_are_refused_when_the_graph_is_made():
    with pytest.raises(GraphError, match=r"operator 'mean': .*not below"):
        mean((2, 2, 2), (0, 1), Quant(1e4, 0), Quant(1e-3, 0))
    with pytest.raises(GraphError, match=f"operator 'mean': .*over {MAX_MEAN_COUNT}"):
        mean((4096, 2048, 2), (0, 1, 2), Quant(0.1, 0), Quant(0.1, 0))
