"""The constants that kernels read: weight rows, and how each output channel is scaled."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.graph import Graph, Op, Quant
from engine.numerics import output_multipliers, requantize, wrap_int32

Factor = tuple[int, int]

CHANNEL_BYTES = 16
"""tr_channel in kernels.h."""

FAST_ACC_LIMIT = 1 << 30
FAST_SHIFTS = range(1, 23)
"""Right shifts for which the fast rounding is proven; see tr_output in scale.h."""


@dataclass(frozen=True, eq=False)
class Channels:
    """tr_channel of each output channel, int64 [Cout]; shift to the right, negative: left."""

    bias: NDArray[np.int64]
    multiplier: NDArray[np.int64]
    shift: NDArray[np.int64]
    addend: NDArray[np.int64]
    acc_bound: int

    @property
    def fast(self) -> bool:
        """Whether the fast kernels round every channel exactly."""
        shifts = bool(np.isin(self.shift, FAST_SHIFTS).all())
        return shifts and self.acc_bound < FAST_ACC_LIMIT


def padded(count: int) -> int:
    """``count`` bytes rounded up to whole words."""
    return (count + 3) & ~3


def weight_rows(op: Op) -> NDArray[np.int8]:
    """Weights as the kernels want them: [Cout, padded(inputs)], depthwise [quads, taps * 4]."""
    assert op.weights is not None
    if op.kind == "depthwise_conv2d":
        taps = op.weights.reshape(-1, op.weights.shape[-1])  # [KH * KW, C]
        missing = padded(taps.shape[1]) - taps.shape[1]
        quads = np.pad(taps, ((0, 0), (0, missing))).reshape(len(taps), -1, 4)
        return np.ascontiguousarray(quads.transpose(1, 0, 2)).reshape(quads.shape[1], -1)
    rows = op.weights.reshape(len(op.weights), -1)
    return np.pad(rows, ((0, 0), (0, padded(rows.shape[1]) - rows.shape[1])))


def weight_bytes(op: Op) -> int:
    """The size of `weight_rows`."""
    assert op.weights is not None
    if op.kind == "depthwise_conv2d":
        return op.kernel[0] * op.kernel[1] * padded(op.weights.shape[-1])
    return len(op.weights) * padded(op.weights[0].size)


def channel_count(op: Op) -> int:
    """Rows of the channel table; a depthwise kernel reads whole quads."""
    assert op.bias is not None
    return padded(len(op.bias)) if op.kind == "depthwise_conv2d" else len(op.bias)


def _filters(op: Op) -> NDArray[np.int8]:
    """The weights behind each output channel, [Cout, inputs]."""
    assert op.weights is not None
    if op.kind == "depthwise_conv2d":
        return op.weights.reshape(-1, op.weights.shape[-1]).T
    return op.weights.reshape(len(op.weights), -1)


def channels(graph: Graph, op: Op) -> Channels:
    """The end of each output channel of an operator with weights; see `channel_count`."""
    return _channels(op, graph.tensor(op.inputs[0]).quant, graph.tensor(op.output).quant)


@lru_cache(maxsize=1024)  # asked for several times while one operator is chosen and described
def _channels(op: Op, source: Quant, output: Quant) -> Channels:
    assert op.weights is not None
    assert op.bias is not None
    factors = output_multipliers(op, source, output)
    multiplier, left = (factor.astype(np.int64) for factor in factors)
    shift = np.where(multiplier == 0, 1, -left)  # a factor of 0 is 0 at any shift
    weights = _filters(op).astype(np.int64)
    dead = ~weights.any(axis=1)
    settled = _settled_bias(op, output.zero_point, factors)
    added = np.where(dead, settled, op.bias.astype(np.int64))
    multiplier, shift = np.where(dead, 1 << 30, multiplier), np.where(dead, 1, shift)
    right = np.clip(shift, 1, FAST_SHIFTS[-1])
    widest = max(127 - source.zero_point, source.zero_point + 128)
    bound = np.abs(weights).sum(axis=1) * widest + np.abs(added)
    return Channels(
        bias=wrap_int32(added - source.zero_point * weights.sum(axis=1)),
        multiplier=multiplier,
        shift=shift,
        addend=(output.zero_point << right) + (np.int64(1) << (right - 1)),
        acc_bound=int(bound.max()),
    )


def _settled_bias(
    op: Op, out_zero: int, factors: tuple[NDArray[np.int32], NDArray[np.int32]]
) -> NDArray[np.int64]:
    """Bias of a channel without weights, for the factor 1/4: its output is always the same.

    Converters give such a channel a tiny scale and a huge bias, beyond what the fast kernels
    round exactly, and one of them would send the whole operator to the plain kernel.
    """
    assert op.bias is not None
    low, high = (bound - out_zero for bound in op.clamp)
    return 4 * np.clip(requantize(op.bias, *factors).astype(np.int64), low, high)


def channel_columns(graph: Graph, op: Op) -> tuple[NDArray[np.int64], ...]:
    """The four columns of the table of tr_channel, int64 [channel_count], missing ones 0."""
    ends = channels(graph, op)
    missing = channel_count(op) - len(ends.bias)
    columns = (ends.bias, ends.multiplier, ends.shift, ends.addend)
    return tuple(np.pad(column, (0, missing)) for column in columns)
