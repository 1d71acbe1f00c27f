"""Functions of one byte equal TFLite's for every input, over all kinds of quantisation."""

import numpy as np
import pytest
from graph_strategies import PROBABILITY
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import litert, micro
from tflite_writer import to_tflite

from engine import reference
from engine.errors import GraphError
from engine.executors.functions import FUNCTIONS, function_table
from engine.graph import Graph, Op, Quant, Tensor

EVERY = np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 256)
ZERO_POINTS = st.sampled_from((-128, 127)) | st.integers(-128, 127)
MANY = settings(max_examples=60, deadline=None, derandomize=True)


def single(value):
    return float(np.float32(value))


def function(kind, source, output, clamp=(-128, 127), shape=EVERY.shape):
    tensors = (Tensor("in", shape, source), Tensor("out", shape, output))
    op = Op(kind, kind, ("in",), "out", clamp=clamp)
    return Graph("net", tensors, (op,), ("in",), ("out",))


def table(graph):
    return function_table(graph.ops[0], graph.tensor("in"), graph.tensor("out"))


def check(graph, *oracles):
    data, wanted = to_tflite(graph), table(graph)
    for oracle in oracles:
        np.testing.assert_array_equal(oracle(data, [EVERY])[0].reshape(256), wanted)


@st.composite
def quants(draw, least=-20, most=10):
    """Of an input and an output; the output's scale is 2**`least` to 2**`most` of the input's."""
    scale = single(2 ** draw(st.floats(-20, 10)))
    ratio = 2 ** draw(st.sampled_from((0.0, 1.0, -1.0)) | st.floats(least, most))
    return Quant(scale, draw(ZERO_POINTS)), Quant(single(scale * ratio), draw(ZERO_POINTS))


@MANY
@given(quants())
def test_requantize_equals_tflite(pair):
    check(function("requantize", *pair), micro, litert)


@MANY
@given(quants())
def test_relu_equals_tensorflow_lite_micro(pair):
    check(function("relu", *pair, clamp=(pair[1].zero_point, 127)), micro)


@MANY
@given(quants(least=-6.99, most=24))
def test_hard_swish_equals_tensorflow_lite_micro(pair):
    check(function("hard_swish", *pair), micro)


@MANY
@given(st.sampled_from((-7.0, 1.0, 2.0, 3.0)) | st.floats(-24, 6), ZERO_POINTS)
def test_logistic_equals_tensorflow_lite_micro(power, zero_point):
    check(function("logistic", Quant(single(2**power), zero_point), PROBABILITY), micro)


@pytest.mark.parametrize(
    ("scale", "step", "ours", "theirs"),
    [(1 / 128, 1, 1, 0), (2.0, -3, -128, -127), (8.0, 0, -128, 0)],
)
def test_logistic_of_litert_is_another_where_values_tie_or_saturate(scale, step, ours, theirs):
    graph = function("logistic", Quant(scale, 0), PROBABILITY)
    data = to_tflite(graph)
    assert table(graph)[128 + step] == ours == micro(data, [EVERY])[0].flat[128 + step]
    assert litert(data, [EVERY])[0].flat[128 + step] == theirs


@pytest.mark.parametrize("output", [Quant(0.125, -128), Quant(0.0625, -20)])
def test_relu6_between_quantisations_is_that_of_litert(output):
    top = min(127, output.zero_point + round(6 / output.scale))
    graph = function("relu", Quant(0.125, 5), output, clamp=(output.zero_point, top))
    assert top < 127
    check(graph, litert)
    copied = np.clip(EVERY, 5, 53).reshape(256)  # what micro makes of it: the input's own bytes
    np.testing.assert_array_equal(micro(to_tflite(graph), [EVERY])[0].reshape(256), copied)


def test_relu6_within_one_quantisation_equals_both():
    check(function("relu", Quant(0.125, 5), Quant(0.125, 5), clamp=(5, 53)), micro, litert)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_the_executor_looks_every_element_up(kind):
    x = np.random.default_rng(0).integers(-128, 128, (2, 3, 4, 5)).astype(np.int8)
    graph = function(kind, Quant(0.05, 3), PROBABILITY, clamp=(-120, 100), shape=(3, 4, 5))
    wanted = table(graph)[x.astype(int) + 128]
    assert wanted.min() >= -120
    assert wanted.max() <= 100
    np.testing.assert_array_equal(reference.run(graph, x), wanted)


@pytest.mark.parametrize(
    ("kind", "source", "output", "sentence"),
    [
        ("relu", Quant(1e4, 0), Quant(1e-3, 0), "not below"),
        ("requantize", Quant(1e4, 0), Quant(1e-3, 0), "not below"),
        ("relu", Quant(1.0, 0), Quant(1e-60, 0), "not below"),
        ("logistic", Quant(0.1, 0), Quant(1 / 255, -128), "1/256"),
        ("logistic", Quant(0.1, 0), Quant(1 / 256, 0), "1/256"),
        ("logistic", Quant(1e-9, 0), PROBABILITY, "too small"),
        ("hard_swish", Quant(13.0, 0), Quant(0.1, 0), "too small"),
        ("hard_swish", Quant(1e38, 0), Quant(1e38, 0), "2**30"),
    ],
)
def test_quantisations_without_sense_are_refused_when_the_graph_is_made(
    kind, source, output, sentence
):
    with pytest.raises(GraphError, match=f"operator '{kind}'") as refusal:
        function(kind, source, output)
    assert sentence in str(refusal.value)
