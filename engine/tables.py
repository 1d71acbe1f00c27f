"""The constants that kernels read: weight rows, and how each output channel is scaled."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.graph import Graph, Op
from engine.numerics import output_multipliers, wrap_int32

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
    """Weights as the kernels want them: [Cout, padded(inputs)], depthwise [KH * KW, C]."""
    assert op.weights is not None
    if op.kind == "depthwise_conv2d":
        return op.weights.reshape(-1, op.weights.shape[-1])
    rows = op.weights.reshape(len(op.weights), -1)
    return np.pad(rows, ((0, 0), (0, padded(rows.shape[1]) - rows.shape[1])))


def channels(graph: Graph, op: Op) -> Channels:
    """The end of each output channel of an operator with weights."""
    assert op.weights is not None
    assert op.bias is not None
    source, output = graph.tensor(op.inputs[0]).quant, graph.tensor(op.output).quant
    factors = output_multipliers(op, source, output)
    multiplier, left = (factor.astype(np.int64) for factor in factors)
    shift = np.where(multiplier == 0, 1, -left)  # a factor of 0 is 0 at any shift
    right = np.clip(shift, 1, FAST_SHIFTS[-1])
    axis = 0 if op.kind == "depthwise_conv2d" else 1
    weights = weight_rows(op).astype(np.int64)
    widest = max(127 - source.zero_point, source.zero_point + 128)
    bound = np.abs(weights).sum(axis=axis) * widest + np.abs(op.bias.astype(np.int64))
    return Channels(
        bias=wrap_int32(op.bias.astype(np.int64) - source.zero_point * weights.sum(axis=axis)),
        multiplier=multiplier,
        shift=shift,
        addend=(output.zero_point << right) + (np.int64(1) << (right - 1)),
        acc_bound=int(bound.max()),
    )
