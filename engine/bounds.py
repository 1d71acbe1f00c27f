"""Which int8 values each channel of each tensor can take, whatever the network is given.

Sound, not tight: a channel never leaves its interval for any input of -128..127. Accumulators
are bounded in exact integers and brought through the requantisation, which is monotone, so that
a channel whose interval is a point is proven constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.executors import Int8s
from engine.executors.functions import function_table
from engine.function_parameters import mean_factor
from engine.graph import Graph, Op, Tensor
from engine.numerics import INT32_MAX, INT32_MIN, output_multipliers, requantize, wrap_int32
from engine.options import Concat, Mean, Pad, Slice, Transpose
from engine.reference import EXECUTORS

Ints = NDArray[np.int64]
Factors = tuple[NDArray[np.int32], NDArray[np.int32]] | tuple[int, int]
"""Multiplier and shift, of each channel or of all."""


@dataclass(frozen=True, eq=False)
class Interval:
    """Lowest and highest value of each channel, int64 [C], of -128..127 unless said otherwise."""

    low: Ints
    high: Ints

    @property
    def ends(self) -> tuple[Ints, Ints]:
        """Lowest, then highest."""
        return self.low, self.high

    @property
    def points(self) -> NDArray[np.bool_]:
        """Which channels are constant, bool [C]."""
        return np.equal(self.low, self.high)

    def each(self, change: Callable[[Ints], Ints]) -> Interval:
        """Both ends through `change`, which only moves channels."""
        return Interval(change(self.low), change(self.high))

    def at(self, chosen: Ints | NDArray[np.bool_]) -> Interval:
        """That of some channels."""
        return Interval(self.low[chosen], self.high[chosen])

    def hull(self, other: Interval) -> Interval:
        """What lies in either, or between them."""
        return Interval(np.minimum(self.low, other.low), np.maximum(self.high, other.high))


@dataclass(frozen=True, eq=False)
class Taps:
    """What each cell of a kernel meets while it slides, bool [KH, KW]; both are possible."""

    inside: NDArray[np.bool_]
    outside: NDArray[np.bool_]


def bounds(graph: Graph) -> dict[str, Interval]:
    """The interval of every tensor of `graph`, by name."""
    known: dict[str, Interval] = {}
    for name in graph.inputs:
        known[name] = _everything(graph.tensor(name).shape[2])
    for name, values in graph.constants.items():
        wide = values.astype(np.int64)
        known[name] = Interval(wide.min(axis=(0, 1)), wide.max(axis=(0, 1)))
    for op in graph.ops:
        inputs = tuple(_packed(known[name]) for name in op.inputs)
        tensors = tuple(graph.tensor(name) for name in op.inputs)
        known[op.output] = _ruled(op, inputs, tensors, graph.tensor(op.output))
    return known


def sums(op: Op, source: Interval, tensor: Tensor, output: Tensor) -> Interval:
    """What the sums of an operator with weights can be, zero point subtracted, bias not added."""
    return _sums(op, _packed(source), tensor, output)


Packed = tuple[bytes, bytes]
"""An interval as a key: graphs that share operators, as those of a search or of a rewriting do,
share what is known of them."""


def _packed(interval: Interval) -> Packed:
    return interval.low.astype(np.int64).tobytes(), interval.high.astype(np.int64).tobytes()


def _unpacked(packed: Packed) -> Interval:
    return Interval(*(np.frombuffer(end, np.int64) for end in packed))


@lru_cache(maxsize=1024)
def _ruled(
    op: Op, inputs: tuple[Packed, ...], tensors: tuple[Tensor, ...], out: Tensor
) -> Interval:
    return RULES[op.kind](op, [_unpacked(x) for x in inputs], list(tensors), out)


@lru_cache(maxsize=1024)
def _sums(op: Op, source: Packed, tensor: Tensor, output: Tensor) -> Interval:
    return Interval(*SUMS[op.kind](op, _unpacked(source), tensor, output))


def taps(op: Op, source: Tensor, output: Tensor) -> Taps:
    """Which kernel cells of a convolution meet the image, and which its padding."""
    before = (op.padding.top, op.padding.left)
    (row_in, row_out), (column_in, column_out) = (
        _axis_taps(op, axis, before[axis], source.shape[axis], output.shape[axis])
        for axis in (0, 1)
    )
    outside = ~np.logical_and.outer(~row_out, ~column_out)
    return Taps(np.logical_and.outer(row_in, column_in), outside)


def _axis_taps(
    op: Op, axis: int, before: int, size: int, count: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each cell of one kernel axis is ever inside `size` pixels, and ever outside."""
    stride = op.stride[axis]
    first = np.arange(op.kernel[axis]) * op.dilation[axis] - before  # place in the first window
    last = first + (count - 1) * stride
    skipped = -(np.minimum(first, 0) // stride)  # windows until the cell is not before the image
    inside = (skipped < count) & (first + skipped * stride < size)
    return inside, (first < 0) | (last >= size)


def _everything(channels: int) -> Interval:
    return Interval(np.full(channels, -128, np.int64), np.full(channels, 127, np.int64))


def _clamped(op: Op, interval: Interval) -> Interval:
    return interval.each(lambda end: np.clip(end, *op.clamp).astype(np.int64))


def _weighted(op: Op, inputs: list[Interval], tensors: list[Tensor], output: Tensor) -> Interval:
    assert op.bias is not None
    bias = op.bias
    factors = output_multipliers(op, tensors[0].quant, output.quant)
    reached = sums(op, inputs[0], tensors[0], output).each(lambda end: end + bias)
    return _scaled(op, reached, factors, output.quant.zero_point)


def _scaled(op: Op, reached: Interval, factor: Factors, zero: int) -> Interval:
    """Bounds of a sum through the scaling; those that may wrap become everything."""
    multiplier, shift = (np.asarray(part, np.int64) for part in factor)
    low, high = reached.low, reached.high
    room = np.maximum(shift, 0)  # bits that a left shift takes
    safe = (low >= INT32_MIN >> room) & (high <= INT32_MAX >> room) | (low == high)
    ends = [
        requantize(wrap_int32(end), multiplier, shift).astype(np.int64) + zero
        for end in (low, high)
    ]
    known = Interval(np.where(safe, ends[0], -128), np.where(safe, ends[1], 127))
    return _clamped(op, known)


def _conv_sums(op: Op, x: Interval, source: Tensor, output: Tensor) -> tuple[Ints, Ints]:
    assert op.weights is not None
    cells = _cells(x, source, taps(op, source, output))
    return _extremes(op.weights.reshape(len(op.weights), -1), *(end.reshape(-1) for end in cells))


def _dense_sums(op: Op, x: Interval, source: Tensor, _output: Tensor) -> tuple[Ints, Ints]:
    assert op.weights is not None
    pixels = source.shape[0] * source.shape[1]
    ends = x.each(lambda end: np.tile(end - source.quant.zero_point, pixels))
    return _extremes(op.weights, ends.low, ends.high)


def _extremes(weights: Int8s, low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """Least and greatest of weights [Cout, K] @ x [K], exact: float64 holds 2**53."""
    up = np.maximum(weights, 0).astype(np.float64)
    down = np.minimum(weights, 0).astype(np.float64)
    least, greatest = up @ low + down @ high, up @ high + down @ low
    return least.astype(np.int64), greatest.astype(np.int64)


def _depthwise_sums(op: Op, x: Interval, source: Tensor, output: Tensor) -> tuple[Ints, Ints]:
    assert op.weights is not None
    multiple = output.shape[2] // source.shape[2]
    cells = _cells(x, source, taps(op, source, output))
    low, high = (np.repeat(end, multiple, axis=2) for end in cells)
    weights = op.weights.astype(np.int64)
    up, down = np.maximum(weights, 0), np.minimum(weights, 0)
    axes = (0, 1)
    return (up * low + down * high).sum(axis=axes), (up * high + down * low).sum(axis=axes)


def _cells(x: Interval, source: Tensor, seen: Taps) -> tuple[Ints, Ints]:
    """Least and greatest input less its zero point at each kernel cell, [KH, KW, Cin]."""
    inside, outside = (side[..., np.newaxis] for side in (seen.inside, seen.outside))
    low, high = (np.where(inside, end - source.quant.zero_point, 0) for end in (x.low, x.high))
    return np.where(outside, np.minimum(low, 0), low), np.where(outside, np.maximum(high, 0), high)


def _kept(op: Op, inputs: list[Interval], _tensors: list[Tensor], _output: Tensor) -> Interval:
    """Pools and movement of pixels; the average of equal values is that value."""
    return _clamped(op, inputs[0])


def _pad(op: Op, inputs: list[Interval], tensors: list[Tensor], output: Tensor) -> Interval:
    assert isinstance(op.options, Pad)
    value = op.options.value
    sides = (op.options.before[2], op.options.after[2])
    padded = inputs[0].each(lambda end: np.pad(end, sides, constant_values=value))
    if output.shape[:2] == tensors[0].shape[:2]:
        return padded
    border = np.full(output.shape[2], value, np.int64)
    return padded.hull(Interval(border, border))


def _concat(op: Op, inputs: list[Interval], _tensors: list[Tensor], _output: Tensor) -> Interval:
    assert isinstance(op.options, Concat)
    if op.options.axis == 2:
        lows, highs = [x.low for x in inputs], [x.high for x in inputs]
        return Interval(np.concatenate(lows), np.concatenate(highs))
    both = inputs[0]
    for other in inputs[1:]:
        both = both.hull(other)
    return both


def _slice(op: Op, inputs: list[Interval], _tensors: list[Tensor], output: Tensor) -> Interval:
    assert isinstance(op.options, Slice)
    chosen = op.options.start[2] + op.options.step[2] * np.arange(output.shape[2])
    return inputs[0].each(lambda end: end[chosen])


def _reshape(_op: Op, inputs: list[Interval], _tensors: list[Tensor], output: Tensor) -> Interval:
    """The hull of the channels that meet in one, over a whole period of both channel counts."""
    before, after = len(inputs[0].low), output.shape[2]
    period = math.lcm(before, after)
    spread = inputs[0].each(lambda end: np.tile(end, period // before))
    return _least_and_greatest(spread, (period // after, after))


def _transpose(op: Op, inputs: list[Interval], tensors: list[Tensor], output: Tensor) -> Interval:
    """Exact where channels stay the last axis; else, anything that any channel can be."""
    assert isinstance(op.options, Transpose)
    channels = len(inputs[0].low)
    if op.options.order[2] == 2 and channels == op.options.view[2]:
        return _reshape(op, inputs, tensors, output)
    return _least_and_greatest(inputs[0], (-1, 1)).each(lambda end: end.repeat(output.shape[2]))


def _least_and_greatest(spread: Interval, shape: tuple[int, int]) -> Interval:
    low, high = spread.low.reshape(shape), spread.high.reshape(shape)
    return Interval(low.min(axis=0), high.max(axis=0))


def _function(op: Op, inputs: list[Interval], tensors: list[Tensor], output: Tensor) -> Interval:
    """The least and greatest entry of the function's table within the input's interval."""
    table = np.append(function_table(op, tensors[0], output).astype(np.int64), 0)
    ends = np.stack([inputs[0].low + 128, inputs[0].high + 129], axis=1).reshape(-1)
    least, greatest = (
        extreme.reduceat(table, ends)[::2]  # every other stretch lies between two intervals
        for extreme in (np.minimum, np.maximum)
    )
    return Interval(least, greatest)


def _corners(op: Op, inputs: list[Interval], tensors: list[Tensor], output: Tensor) -> Interval:
    """Add, sub and mul: monotone in each input while the other rests, so a corner is extreme.

    None of them wraps: the factors of a graph leave no room for that.
    """
    corners = [(a, b) for a in _ends(inputs[0]) for b in _ends(inputs[1])]
    sides = [np.stack(side)[:, np.newaxis, np.newaxis, :] for side in zip(*corners, strict=True)]
    found = _executed(op, sides, tensors, output)[:, 0, 0]
    return Interval(found.min(axis=0), found.max(axis=0))


def _mean(op: Op, inputs: list[Interval], tensors: list[Tensor], output: Tensor) -> Interval:
    """The sums of all lowest and all highest."""
    assert isinstance(op.options, Mean)
    source = tensors[0]
    pixels = source.size // output.size
    ends = inputs[0].each(lambda end: end - source.quant.zero_point)
    if 2 in op.options.axes:
        ends, pixels = ends.each(lambda end: end.sum(keepdims=True)), pixels // source.shape[2]
    total = ends.each(lambda end: end * pixels)
    return _scaled(op, total, mean_factor(source, output), output.quant.zero_point)


def _ends(interval: Interval) -> tuple[Ints, Ints]:
    return interval.low, interval.high


def _executed(op: Op, inputs: list[Ints], tensors: list[Tensor], output: Tensor) -> Ints:
    exact = [x.astype(np.int8) for x in inputs]
    return EXECUTORS[op.kind](op, exact, tensors, output).astype(np.int64)


def _softmax(op: Op, _inputs: list[Interval], _tensors: list[Tensor], output: Tensor) -> Interval:
    return _clamped(op, _everything(output.shape[2]))


SUMS: Mapping[str, Callable[[Op, Interval, Tensor, Tensor], tuple[Ints, Ints]]] = {
    "conv2d": _conv_sums,
    "depthwise_conv2d": _depthwise_sums,
    "fully_connected": _dense_sums,
}
Rule = Callable[[Op, list[Interval], list[Tensor], Tensor], Interval]
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(SUMS, _weighted),
    **dict.fromkeys(("average_pool2d", "max_pool2d", "resize_nearest"), _kept),
    **dict.fromkeys(("relu", "requantize", "logistic", "hard_swish"), _function),
    **dict.fromkeys(("add", "sub", "mul"), _corners),
    "mean": _mean,
    "pad": _pad,
    "concat": _concat,
    "softmax": _softmax,
    "slice": _slice,
    "reshape": _reshape,
    "transpose": _transpose,
}
"""How the intervals of a kind's inputs become that of its output."""
