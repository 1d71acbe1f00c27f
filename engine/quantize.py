"""Post-training quantisation: a float network and calibration data become an int8 graph.

Weights: symmetric, one scale per output channel, -127..127. Activations: asymmetric int8 over the
range that the calibration data reach, zero exactly representable. ReLU and ReLU6 become the
clamp of their operator. Scales are rounded to float32, the precision of the .tflite format.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import GraphError
from engine.float_net import ACTIVATION_RANGES, FloatNet, FloatOp, run_float
from engine.graph import Graph, Op, Quant, Tensor

__all__ = ["FloatNet", "FloatOp", "dequantize_output", "quantize", "quantize_input", "run_float"]

CALIBRATION_BATCH = 64
# An add cannot go to an output 2**19 times finer than its inputs, and nothing is lost before that.
FINEST_SUM = 2.0**-18
# A bias dominates a channel whose weights are tiny. Its weight scale is then raised until the
# quantised bias is within 2**22: far below an output step, and small enough for fast kernels.
BIAS_LIMIT = 1 << 22


def quantize(net: FloatNet, calibration: NDArray[Any]) -> Graph:
    """The int8 twin of `net`; `calibration` is float [N, H, W, C] with N >= 1, typical inputs.

    Raises `GraphError` when the network is malformed or the data are not finite.
    """
    ranges, shapes = _observe(net, calibration)
    quants = {net.input: _activation_quant(*ranges[net.input])}
    for op in net.ops:
        quants[op.output] = _output_quant(op, [quants[name] for name in op.inputs], ranges)
    tensors = tuple(Tensor(name, shapes[name], quants[name]) for name in shapes)
    ops = tuple(_quantize_op(op, quants) for op in net.ops)
    return Graph(net.name, tensors, ops, (net.input,), (net.output,))


def quantize_input(graph: Graph, x: NDArray[Any], name: str | None = None) -> NDArray[np.int8]:
    """Float values as an int8 input of `graph`, saturated; any leading batch shape.

    name: of the input, needed where there are several. Raises `GraphError` when a value is not a
    number.
    """
    if np.isnan(x).any():
        raise GraphError(f"an input of network {graph.name!r} has values that are not numbers")
    quant = graph.tensor(name or graph.input).quant
    steps: NDArray[np.float64] = np.rint(np.asarray(x, np.float64) / quant.scale)
    return np.clip(steps + quant.zero_point, -128, 127).astype(np.int8)


def dequantize_output(
    graph: Graph, y: NDArray[np.int8], name: str | None = None
) -> NDArray[np.float32]:
    """The real values that an int8 output of `graph` stands for; name: as for an input."""
    quant = graph.tensor(name or graph.output).quant
    return ((y.astype(np.float64) - quant.zero_point) * quant.scale).astype(np.float32)


def _observe(
    net: FloatNet, calibration: NDArray[Any]
) -> tuple[dict[str, tuple[float, float]], dict[str, tuple[int, int, int]]]:
    """(smallest, largest) value and shape of every tensor over the calibration data."""
    if len(calibration) == 0 or not np.isfinite(calibration).all():
        raise GraphError(f"network {net.name!r}: calibration data are empty or not finite")
    ranges: dict[str, tuple[float, float]] = {}
    shapes: dict[str, tuple[int, int, int]] = {}
    for start in range(0, len(calibration), CALIBRATION_BATCH):
        for name, value in run_float(net, calibration[start : start + CALIBRATION_BATCH]).items():
            low, high = ranges.get(name, (np.inf, -np.inf))
            ranges[name] = min(low, float(value.min())), max(high, float(value.max()))
            shapes[name] = value.shape[1], value.shape[2], value.shape[3]
    return ranges, shapes


def _output_quant(
    op: FloatOp, inputs: list[Quant], ranges: dict[str, tuple[float, float]]
) -> Quant:
    if op.kind == "average_pool2d":
        return inputs[0]
    finest = max(quant.scale for quant in inputs) * FINEST_SUM if op.kind == "add" else 0.0
    return _activation_quant(*ranges[op.output], finest)


def _activation_quant(low: float, high: float, finest: float = 0.0) -> Quant:
    """The finest int8 grid over [low, high] and zero, with zero on the grid."""
    low, high = min(low, 0.0), max(high, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise GraphError("an activation is not finite: the float network overflows")
    scale = float(np.float32((high - low) / 255))
    if scale == 0:
        return Quant(1.0, 0)  # always zero: any scale does
    scale = max(scale, finest)
    return Quant(scale, int(np.clip(round(-128 - low / scale), -128, 127)))


def _quantize_op(op: FloatOp, quants: dict[str, Quant]) -> Op:
    output = quants[op.output]
    common = (op.kind, op.name, op.inputs, op.output, op.kernel, op.stride, op.padding)
    clamp = _clamp(op, output)
    if op.weights is None or op.bias is None:
        return Op(*common, clamp)
    scales = _weight_scales(op, quants[op.inputs[0]].scale, output.scale)
    shape = (-1,) + (1,) * (op.weights.ndim - 1)
    by_channel = scales if op.kind == "depthwise_conv2d" else scales.reshape(shape)
    weights = np.clip(np.rint(op.weights / by_channel), -127, 127).astype(np.int8)
    bias = np.rint(op.bias / (quants[op.inputs[0]].scale * scales))
    return Op(*common, clamp, weights, scales, bias.astype(np.int32))


def _clamp(op: FloatOp, output: Quant) -> tuple[int, int]:
    low, high = (
        bound if np.isinf(bound) else round(bound / output.scale) + output.zero_point
        for bound in ACTIVATION_RANGES[op.activation]
    )
    return int(max(low, -128)), int(min(high, 127))


def _weight_scales(op: FloatOp, input_scale: float, output_scale: float) -> NDArray[np.float64]:
    """One scale per channel, such that weights fit 127 and the bias fits `BIAS_LIMIT`."""
    assert op.weights is not None
    assert op.bias is not None
    if not (np.isfinite(op.weights).all() and np.isfinite(op.bias).all()):
        raise GraphError(f"operator {op.name!r} ({op.kind}) has weights that are not finite")
    axes = (0, 1) if op.kind == "depthwise_conv2d" else tuple(range(1, op.weights.ndim))
    largest = np.abs(op.weights).max(axis=axes).astype(np.float64)
    for_bias = np.abs(op.bias.astype(np.float64)) / (input_scale * BIAS_LIMIT)
    # A channel of no or tiny weights: sums in steps of 2**-22 of the output's are fine enough.
    floor = output_scale / input_scale / (1 << 22)
    scales: NDArray[np.float64] = np.maximum(np.maximum(largest / 127, for_bias), floor)
    return scales.astype(np.float32).astype(np.float64)
