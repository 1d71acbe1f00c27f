"""The numpy reference equals TFLite's kernels to the bit, on every kind of operator.

`micro` is what must be equal, always; `litert` too, but where it is known to round otherwise.
"""

from pathlib import Path

import numpy as np
import pytest
from graph_strategies import inputs_of, operators
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import litert, micro, micro_all
from tflite_writer import FUSED, activations, to_tflite

from engine.graph import Graph, Op, Quant, Tensor
from engine.load.tflite import parse_tflite
from engine.reference import EXECUTORS, run, run_all

SEEDS = st.integers(0, 2**32 - 1)
LITERT_MAY_DIFFER_BY = {
    "fully_connected": 1,  # it rounds once
    "relu": 1,  # it divides scales in single precision
    "hard_swish": 1,
    "logistic": 255,  # it takes ties and far inputs otherwise, see test_functions.py
}
MODELS = Path(__file__).resolve().parents[3] / "shared" / "models"
SUPPORTED = [
    "mlperf_vww_96", "mlperf_ic_resnet8", "mlperf_kws_dscnn", "mlperf_ad01", "tflm_micro_speech",
]  # fmt: skip


def single(value):
    return float(np.float32(value))


def one(kind, inputs, output, **attributes):
    """A graph of one operator; inputs and output are (shape, Quant)."""
    names = tuple("ab"[: len(inputs)])
    tensors = [Tensor(name, *part) for name, part in zip(names, inputs, strict=True)]
    op = Op(kind, kind, names, "out", **attributes)
    return Graph("net", (*tensors, Tensor("out", *output)), (op,), names, ("out",))


def largest_difference(a, b):
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def copies_bytes(graph):
    """Whether `micro` computes no RELU6 here, see engine/executors/functions.py."""
    op, source, output = graph.ops[0], graph.tensor("a").quant, graph.tensor("out").quant
    six = activations(output)[FUSED.RELU6]
    return op.kind == "relu" and source != output and op.clamp == six


@pytest.mark.parametrize("kind", EXECUTORS)
def test_every_kind_equals_tflite(kind):
    @settings(max_examples=50, deadline=None, derandomize=True)
    @given(operators(kind), SEEDS)
    def check(graph, seed):
        x = inputs_of(graph, seed)
        data, given_inputs = to_tflite(graph), list(x.values())
        wanted = run(graph, x)
        if not copies_bytes(graph):
            (of_micro,) = micro(data, given_inputs)
            np.testing.assert_array_equal(wanted, of_micro)
        (of_litert,) = litert(data, given_inputs)
        assert largest_difference(wanted, of_litert) <= LITERT_MAY_DIFFER_BY.get(kind, 0)

    check()


@pytest.mark.parametrize("kind", ["add", "sub", "mul"])
@pytest.mark.parametrize("seed", range(4))
def test_all_pairs_of_values_equal_tflite(kind, seed):
    rng = np.random.default_rng(seed)
    first, second = (single(2 ** rng.uniform(-5, 0)) for _ in range(2))
    whole = 64 * first * second if kind == "mul" else max(first, second)
    scales = (first, second, single(whole * 2 ** rng.uniform(-1, 2)))
    quants = [Quant(scale, int(rng.integers(-128, 128))) for scale in scales]
    shape = (256, 256, 1)
    graph = one(kind, [(shape, quants[0]), (shape, quants[1])], (shape, quants[2]))
    every = np.arange(-128, 128, dtype=np.int8)
    x = [np.ascontiguousarray(side)[..., np.newaxis] for side in np.meshgrid(every, every)]
    wanted = run(graph, dict(zip("ab", x, strict=True)))
    for oracle in (micro, litert):
        np.testing.assert_array_equal(oracle(to_tflite(graph), x)[0], wanted)


def near_half_steps(kind, rng, one_scale=True):
    """A graph whose biases stand so near half steps that the last bit of a factor shows."""
    channels, weight = 500, single(2.0 ** rng.uniform(-12, -5))
    source = Quant(single(2.0 ** rng.uniform(-7, -2)), 0)
    output = Quant(single(source.scale * weight * 2**23), 0)
    halves = rng.integers(40, 127, channels) * rng.choice([-1, 1], channels) + 0.5
    exact = source.scale * weight / output.scale
    bias = np.round(halves / exact * (1 + 2.0**-25 * rng.uniform(-2, 2, channels)))
    scales = np.full(channels, weight)
    if not one_scale:
        scales[-1] *= 2
    shapes = {"conv2d": (-1, 1, 1, 1), "depthwise_conv2d": (1, 1, -1), "fully_connected": (-1, 1)}
    return one(
        kind, [((1, 1, 1), source)], ((1, 1, channels), output), bias=bias.astype(np.int32),
        weights=np.zeros(channels, np.int8).reshape(shapes[kind]), weight_scales=scales,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["conv2d", "depthwise_conv2d", "fully_connected"])
@pytest.mark.parametrize("one_scale", [True, False])
def test_factors_of_weighted_operators_are_those_of_tflite_to_the_last_bit(kind, one_scale):
    rng = np.random.default_rng(0)
    x = np.zeros((1, 1, 1), np.int8)
    for _ in range(6):
        graph = near_half_steps(kind, rng, one_scale)
        data, wanted = to_tflite(graph), run(graph, x)
        np.testing.assert_array_equal(micro(data, [x])[0], wanted)
        off = largest_difference(litert(data, [x])[0], wanted)
        assert off <= LITERT_MAY_DIFFER_BY.get(kind, 0)


@pytest.mark.parametrize("kind", ["relu", "requantize"])
def test_factors_of_functions_are_those_of_tflite_to_the_last_bit(kind):
    rng, every = np.random.default_rng(0), np.arange(-128, 128, dtype=np.int8).reshape(16, 16, 1)
    for _ in range(100):
        source = single(2.0 ** rng.uniform(-8, 0))
        step, half = int(rng.integers(100, 256)), int(rng.integers(60, 120)) + 0.5
        quants = [Quant(source, -128), Quant(single(step * source / half), -128)]
        graph = one(kind, [(every.shape, quants[0])], (every.shape, quants[1]))
        np.testing.assert_array_equal(micro(to_tflite(graph), [every])[0], run(graph, every))


@pytest.mark.skipif(not MODELS.is_dir(), reason="the public models are not part of the project")
@pytest.mark.parametrize("name", SUPPORTED)
def test_every_tensor_of_a_public_model_equals_tflite(name):
    data = (MODELS / f"{name}_int8.tflite").read_bytes()
    graph = parse_tflite(data, name)
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, graph.tensor(graph.input).shape).astype(np.int8)
    wanted, made = run_all(graph, x), micro_all(data, [x])
    for op, of_micro in zip(graph.ops, made.values(), strict=True):  # names may be cut short
        np.testing.assert_array_equal(of_micro.ravel(), wanted[op.output].ravel(), op.name)
