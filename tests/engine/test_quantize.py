"""An int8 graph stays close to the float network that it was made from."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import GraphError
from engine.float_net import FloatNet, FloatOp, run_float
from engine.graph import Padding, Quant
from engine.quantize import BIAS_LIMIT, dequantize_output, quantize, quantize_input
from engine.reference import run, run_all

SAME = Padding(1, 1, 1, 1)


def weighted(kind, name, source, output, shape, rng, **attributes):
    channels = shape[-1] if kind == "depthwise_conv2d" else shape[0]
    fan_in = np.prod(shape) / channels
    return FloatOp(
        kind, name, (source,), output,
        weights=(rng.normal(size=shape) * np.sqrt(2 / fan_in)).astype(np.float32),
        bias=(rng.normal(size=channels) * 0.2).astype(np.float32),
        **attributes,
    )  # fmt: skip


def residual_net(seed, activation="relu"):
    rng = np.random.default_rng(seed)
    window = {"kernel": (3, 3), "activation": activation}
    return FloatNet("net", (12, 12, 1), (
        weighted("conv2d", "stem", "in", "a", (8, 3, 3, 1), rng, stride=(2, 2),
                 padding=Padding(0, 1, 0, 1), **window),
        weighted("conv2d", "expand", "a", "b", (24, 1, 1, 8), rng, activation=activation),
        weighted("depthwise_conv2d", "dw", "b", "c", (3, 3, 24), rng, padding=SAME, **window),
        weighted("conv2d", "project", "c", "d", (8, 1, 1, 24), rng),
        FloatOp("add", "add", ("a", "d"), "e"),
        FloatOp("average_pool2d", "pool", ("e",), "f", kernel=(6, 6)),
        weighted("fully_connected", "fc", "f", "g", (10, 8), rng),
    ), "in", "g")  # fmt: skip


def images(count, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 1, (count, 4, 4, 1))
    return np.repeat(np.repeat(coarse, 3, 1), 3, 2).astype(np.float32)


def sqnr_db(wanted, got):
    return 10 * np.log10(np.mean(wanted**2) / np.mean((wanted - got) ** 2))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("activation", ["none", "relu", "relu6"])
def test_every_tensor_keeps_a_high_signal_to_noise_ratio(seed, activation):
    net, x = residual_net(seed, activation), images(128)
    graph = quantize(net, x)
    wanted, got = run_float(net, x), run_all(graph, quantize_input(graph, x))
    for tensor in graph.tensors:
        real = (got[tensor.name].astype(float) - tensor.quant.zero_point) * tensor.quant.scale
        assert sqnr_db(wanted[tensor.name], real) > 30, tensor.name


def test_the_class_hardly_ever_changes():
    net, x = residual_net(7), images(500)
    graph = quantize(net, x[:100])
    wanted = run_float(net, x)["g"].reshape(500, -1).argmax(axis=1)
    got = run(graph, quantize_input(graph, x)).reshape(500, -1).argmax(axis=1)
    assert np.mean(wanted == got) > 0.97


def test_the_output_can_be_read_as_real_values():
    net, x = residual_net(3), images(64)
    graph = quantize(net, x)
    real = dequantize_output(graph, run(graph, quantize_input(graph, x)))
    assert real.dtype == np.float32
    assert sqnr_db(run_float(net, x)["g"], real) > 30


def test_quantising_twice_gives_the_same_graph():
    net, x = residual_net(1), images(70)
    first, second = quantize(net, x), quantize(net, x)
    assert first.tensors == second.tensors
    for a, b in zip(first.ops, second.ops, strict=True):
        assert a.weights is None or (a.weights == b.weights).all()


def one_dense(weights, bias, activation="none"):
    op = FloatOp(
        "fully_connected", "fc", ("in",), "out",
        activation=activation,
        weights=np.array(weights, np.float32),
        bias=np.array(bias, np.float32),
    )  # fmt: skip
    return FloatNet("net", (1, 1, len(weights[0])), (op,), "in", "out")


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-50, 50, width=32), st.floats(-50, 50, width=32), st.sampled_from([1e-3, 1.0, 1e3])
)
def test_zero_is_on_the_grid_and_the_range_is_covered(first, second, unit):
    x = np.array([first, second], np.float32).reshape(2, 1, 1, 1) * np.float32(unit)
    graph = quantize(one_dense([[1.0]], [0.0]), x)
    quant = graph.tensor("in").quant
    back = (quantize_input(graph, x).astype(float) - quant.zero_point) * quant.scale
    assert quantize_input(graph, np.zeros((1, 1, 1))) == quant.zero_point
    assert np.abs(back - x).max() <= quant.scale * 0.501 * (1 + 1e-6)


@pytest.mark.parametrize(
    ("activation", "low", "high"), [("none", -8.0, 8.0), ("relu", 0.0, 8.0), ("relu6", 0.0, 6.0)]
)
def test_activations_become_the_clamp(activation, low, high):
    x = np.linspace(-8, 8, 65, dtype=np.float32).reshape(-1, 1, 1, 1)
    graph = quantize(one_dense([[1.0]], [0.0], activation), x)
    real = dequantize_output(graph, run(graph, quantize_input(graph, x)))
    assert real.min() == pytest.approx(low, abs=0.05)
    assert real.max() == pytest.approx(high, abs=0.05)
    if activation != "none":
        assert graph.ops[0].clamp[0] == graph.tensor("out").quant.zero_point == -128


def test_weights_are_symmetric_with_a_scale_for_each_channel():
    x = np.ones((1, 1, 1, 2), np.float32)
    graph = quantize(one_dense([[1.0, -2.01], [0.01, 0.004]], [0.0, 0.0]), x)
    op = graph.ops[0]
    assert op.weights.tolist() == [[63, -127], [127, 51]]
    assert op.weight_scales == pytest.approx([2.01 / 127, 0.01 / 127])


def test_a_channel_without_weights_still_gives_its_bias():
    x = np.linspace(-1, 1, 16, dtype=np.float32).reshape(8, 1, 1, 2)
    net = one_dense([[0.0, 0.0], [1e-9, 0.0], [1.0, 1.0]], [1.5, -0.75, 0.0])
    graph = quantize(net, x)
    real = dequantize_output(graph, run(graph, quantize_input(graph, x)))
    assert real[..., 0] == pytest.approx(1.5, abs=0.02)
    assert real[..., 1] == pytest.approx(-0.75, abs=0.02)


def test_a_dominating_bias_stays_far_from_overflow():
    x = np.linspace(-1, 1, 16, dtype=np.float32).reshape(8, 1, 1, 2)
    graph = quantize(one_dense([[1e-6, 1e-6]], [1000.0]), x)
    assert abs(int(graph.ops[0].bias[0])) <= BIAS_LIMIT + 1
    real = dequantize_output(graph, run(graph, quantize_input(graph, x)))
    assert real == pytest.approx(1000.0, rel=0.01)


def test_a_tensor_that_is_always_zero_is_accepted():
    graph = quantize(one_dense([[1.0]], [-5.0], "relu"), np.ones((2, 1, 1, 1), np.float32))
    assert graph.tensor("out").quant == Quant(1.0, 0)
    assert dequantize_output(graph, run(graph, np.zeros((1, 1, 1), np.int8))) == 0


@pytest.mark.parametrize(
    "calibration",
    [np.zeros((0, 12, 12, 1)), np.full((1, 12, 12, 1), np.nan), np.zeros((1, 12, 11, 1))],
)
def test_unusable_calibration_data_are_refused(calibration):
    with pytest.raises(GraphError):
        quantize(residual_net(0), calibration)


def test_weights_that_are_not_finite_are_refused():
    with pytest.raises(GraphError, match="finite"):
        quantize(one_dense([[np.inf]], [0.0]), np.ones((1, 1, 1, 1), np.float32))


def conv(shape=(4, 3, 3, 1), channels=4, **changes):
    op = FloatOp("conv2d", "conv", ("in",), "out", (3, 3), weights=np.ones(shape, np.float32),
                 bias=np.zeros(channels, np.float32))  # fmt: skip
    return replace(op, **changes)


@pytest.mark.parametrize(
    "op",
    [
        conv(inputs=("nowhere",)),
        conv(output="in"),
        conv(output="other"),
        conv(shape=(4, 3, 3, 2)),
        conv(shape=(4, 3, 3)),
        conv(channels=3),
        conv(kernel=(1, 1)),
        conv(shape=(4, 9, 9, 1), kernel=(9, 9)),
        conv(padding=Padding(3, 3, 3, 3)),
        FloatOp("depthwise_conv2d", "dw", ("in",), "out", (1, 1),
                weights=np.ones((1, 1, 2), np.float32), bias=np.zeros(2, np.float32)),
        FloatOp("fully_connected", "fc", ("in",), "out",
                weights=np.ones((2, 35), np.float32), bias=np.zeros(2, np.float32)),
        FloatOp("add", "add", ("in",), "out"),
        FloatOp("average_pool2d", "pool", ("in",), "out", padding=Padding(1, 1, 1, 1)),
    ],
)  # fmt: skip
def test_networks_that_do_not_fit_together_are_refused(op):
    with pytest.raises(GraphError):
        FloatNet("net", (6, 6, 1), (op,), "in", "out")


def test_an_overflow_is_an_error_not_a_warning(recwarn):
    net = FloatNet("net", (6, 6, 1), (conv(weights=np.full((4, 3, 3, 1), 3e38, np.float32)),),
                   "in", "out")  # fmt: skip
    with pytest.raises(GraphError, match="overflows"):
        quantize(net, np.ones((1, 6, 6, 1), np.float32))
    assert not recwarn.list


def test_a_sum_that_cancels_out_is_accepted():
    """Its range over the calibration data would be finer than any add can give."""
    less = np.full((1, 1, 1), -0.9999999, np.float32)
    ops = (
        FloatOp("depthwise_conv2d", "dw", ("in",), "a", weights=less, bias=np.zeros(1, np.float32)),
        FloatOp("add", "add", ("in", "a"), "out"),
    )
    net = FloatNet("net", (6, 6, 1), ops, "in", "out")
    x = np.linspace(-1, 1, 36, dtype=np.float32).reshape(1, 6, 6, 1)
    assert 0 < np.abs(run_float(net, x)["out"]).max() < 1e-6
    graph = quantize(net, x)
    got = dequantize_output(graph, run(graph, quantize_input(graph, x)))
    assert np.abs(got).max() <= 2 * graph.tensor("in").quant.scale


def test_inputs_that_are_not_numbers_are_refused():
    graph = quantize(residual_net(0), images(2))
    with pytest.raises(GraphError, match="not numbers"):
        quantize_input(graph, np.full((12, 12, 1), np.nan))
    assert quantize_input(graph, np.full((12, 12, 1), np.inf)).min() == 127


@pytest.mark.parametrize(
    "changes", [{"kind": "lstm"}, {"activation": "tanh"}, {"bias": None}, {"kind": "add"}]
)
def test_malformed_float_operators_are_refused(changes):
    with pytest.raises(GraphError):
        replace(residual_net(0).ops[0], **changes)
