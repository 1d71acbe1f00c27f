"""Softmax equals TFLite's over all scales, betas and differences."""

import numpy as np
import pytest
from graph_strategies import PROBABILITY
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import litert, micro
from tflite_writer import to_tflite

from engine import reference
from engine.errors import GraphError
from engine.graph import Graph, Op, Quant, Tensor
from engine.options import Softmax


def single(value):
    return float(np.float32(value))


def softmax(shape, scale, beta=1.0, output=PROBABILITY):
    tensors = (Tensor("in", shape, Quant(scale, 5)), Tensor("out", shape, output))
    op = Op("softmax", "softmax", ("in",), "out", options=Softmax(beta))
    return Graph("net", tensors, (op,), ("in",), ("out",))


def check(graph, x):
    data, wanted = to_tflite(graph), reference.run(graph, x)
    np.testing.assert_array_equal(micro(data, [x])[0], wanted)
    np.testing.assert_array_equal(litert(data, [x])[0], wanted)


@st.composite
def rows(draw):
    """int8 [1, rows, channels], spread little or so far that it saturates."""
    shape = (1, draw(st.integers(1, 4)), draw(st.integers(1, 300)))
    spread, seed = draw(st.floats(0, 200)), draw(st.integers(0, 999))
    x = np.random.default_rng(seed).normal(0, spread, shape)
    return np.clip(x, -128, 127).astype(np.int8)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(rows(), st.floats(-24, 8), st.sampled_from((1.0, 0.5)) | st.floats(0.25, 16))
def test_softmax_equals_tflite(x, power, beta):
    check(softmax(x.shape, single(2**power), single(beta)), x)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.floats(-25.9, 8))
def test_softmax_of_every_difference_equals_tflite(power):
    x = np.stack([np.full(256, 127), np.arange(-128, 128)], 1)[None].astype(np.int8)
    check(softmax(x.shape, single(2**power)), x)


@pytest.mark.parametrize("power", range(-25, 8))
def test_steps_just_below_a_power_of_two_equal_tflite(power):
    """The fraction of the factor rounds up to 1 there, and its power changes."""
    x = np.arange(-128, 128, dtype=np.int8)[None, None]
    scale, beta = (1 - 2**-23) * 2.0**power, 1 + 2**-23
    assert 0 < 2.0**power - scale * beta < 2.0 ** (power - 40)
    check(softmax(x.shape, scale, beta), x)


def test_rows_that_add_up_to_512_or_more_are_all_zero():
    """TFLite ends the program there, so that only the row below can be held against it."""
    below = np.zeros((1, 1, 511), np.int8)
    check(softmax(below.shape, 0.125), below)
    for channels in (512, 1000, 4095):
        x = np.zeros((1, 1, channels), np.int8)
        assert (reference.run(softmax(x.shape, 0.1), x) == -128).all()


@pytest.mark.parametrize(
    ("shape", "scale", "output", "sentence"),
    [
        ((1, 1, 4096), 0.1, PROBABILITY, "4096 channels"),
        ((1, 1, 2), 1e-9, PROBABILITY, "too small"),
        ((1, 1, 2), 0.1, Quant(1 / 255, -128), "1/256"),
        ((1, 1, 2), 0.1, Quant(1 / 256, 0), "1/256"),
    ],
)
def test_softmaxes_that_cannot_be_are_refused_when_the_graph_is_made(
    shape, scale, output, sentence
):
    with pytest.raises(GraphError, match="operator 'softmax'") as refusal:
        softmax(shape, scale, output=output)
    assert sentence in str(refusal.value)
