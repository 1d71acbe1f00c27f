"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.errors import GraphError, UnsupportedError
from engine.graph import Tensor
from engine.load.activation import fused_clamp
from engine.load.padding import window_padding
from engine.load.records import TensorRecord
from engine.load.step import Step
from engine.load.tensors import INT8, INT32, constant_values

Arrays = tuple[NDArray[np.int8], NDArray[np.float64], NDArray[np.int32]]


def conv2d(step: Step) -> None:
    """Weights [Cout, KH, KW, Cin], as the graph has them; groups are refused."""
    source = step.activation()
    weights, scales, bias = _parameters(step, rank=4, axis=0)
    channels = weights.shape[3]
    if channels != source.shape[2]:
        raise UnsupportedError(
            f"its weights {weights.shape} take {channels} channels of {source.shape[2]}; "
            "supported: all of them (no groups)"
        )
    _add_window(step, "conv2d", source, weights.shape[1:3], (weights, scales, bias))


def depthwise_conv2d(step: Step) -> None:
    """Weights [1, KH, KW, Cout]; the multiplier is Cout / Cin."""
    source = step.activation()
    weights, scales, bias = _parameters(step, rank=4, axis=3)
    multiplier, rest = divmod(weights.shape[3], source.shape[2])
    if weights.shape[0] != 1 or rest or step.option("DepthMultiplier") not in (0, multiplier):
        raise GraphError(
            f"its weights {weights.shape} and multiplier {step.option('DepthMultiplier')} do not "
            f"fit {source.shape[2]} channels"
        )
    _add_window(step, "depthwise_conv2d", source, weights.shape[1:3], (weights[0], scales, bias))


def fully_connected(step: Step) -> None:
    """Weights [Cout, Cin] over the whole input: one row."""
    source = step.activation()
    if step.option("WeightsFormat"):
        raise UnsupportedError("its weights are shuffled; supported: the default format")
    weights, scales, bias = _parameters(step, rank=2, axis=0)
    if source.size != weights.shape[1]:
        rows, rest = divmod(source.size, weights.shape[1])
        what = f"{source.size} inputs" if rest else f"{rows} rows"
        raise UnsupportedError(
            f"it has {what} for weights {weights.shape}; supported: one row of {weights.shape[1]}"
        )
    output = step.output()
    step.add(
        *("fully_connected", (source,), output),
        weights=weights,
        weight_scales=scales,
        bias=bias,
        clamp=fused_clamp(step.option("FusedActivationFunction"), output.quant),
    )


def _add_window(
    step: Step, kind: str, source: Tensor, kernel: tuple[int, ...], arrays: Arrays
) -> None:
    rows, columns = kernel
    stride = step.option("StrideH"), step.option("StrideW")
    dilation = step.option("DilationHFactor"), step.option("DilationWFactor")
    if min(dilation) < 1:
        raise GraphError(f"it has dilation {dilation}")
    reach = (rows - 1) * dilation[0] + 1, (columns - 1) * dilation[1] + 1
    step.require_rank(4)
    output = step.output()
    weights, scales, bias = arrays
    step.add(
        *(kind, (source,), output),
        kernel=(rows, columns),
        stride=stride,
        dilation=dilation,
        padding=window_padding(step.option("Padding"), source.shape[:2], reach, stride),
        clamp=fused_clamp(step.option("FusedActivationFunction"), output.quant),
        weights=weights,
        weight_scales=scales,
        bias=bias,
    )


def _parameters(step: Step, rank: int, axis: int) -> Arrays:
    """Weights, scales [Cout] and bias [Cout]; `axis` of the weights is that of the outputs."""
    record = step.record(1)
    if record.dtype != INT8 or len(record.shape) != rank or record.data is None:
        raise UnsupportedError(
            f"weights {record.name!r} are {record.type_name} of shape {record.shape}"
            f"{'' if record.data is not None else ', no constant'}; supported: a constant int8 "
            f"tensor of rank {rank}"
        )
    weights = constant_values(record)
    channels = record.shape[axis]
    step.network.count_parameters(weights.size, channels)
    return weights, _scales(record, channels, axis), _bias(step, channels)


def _scales(record: TensorRecord, channels: int, axis: int) -> NDArray[np.float64]:
    count = len(record.scales)
    if count not in (1, channels) or len(record.zero_points) != count:
        raise GraphError(
            f"weights {record.name!r} have {count} scales and {len(record.zero_points)} zero "
            f"points for {channels} channels"
        )
    if record.zero_points.any():
        raise UnsupportedError(
            f"weights {record.name!r} have zero points other than 0; supported: symmetric weights"
        )
    if count > 1 and record.quantized_dimension != axis:
        raise UnsupportedError(
            f"weights {record.name!r} have scales along axis {record.quantized_dimension}; "
            f"supported: one, or one an output channel (axis {axis})"
        )
    return np.broadcast_to(record.scales, channels).astype(np.float64)


def _bias(step: Step, channels: int) -> NDArray[np.int32]:
    if not step.has(2):
        return np.zeros(channels, np.int32)
    record = step.record(2)
    if record.dtype != INT32 or record.zero_points.any():
        moved = " with a zero point" if record.zero_points.any() else ""
        raise UnsupportedError(
            f"bias {record.name!r} is {record.type_name}{moved}; supported: int32 without one"
        )
    if record.elements != channels:
        raise GraphError(
            f"bias {record.name!r} has {record.elements} values for {channels} channels"
        )
    return constant_values(record).reshape(channels).astype(np.int32)
