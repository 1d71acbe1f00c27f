"""What each kind of operator lets go of its channels, and what it is without them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from engine.bounds import Interval, taps
from engine.graph import Graph, Op
from engine.numerics import INT32_MAX, INT32_MIN
from engine.options import Concat, Mean, Pad, Slice, Transpose

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Shares:
    """How an operator with dense weights depends on each input channel, each [Cout, Cin].

    read: whether a channel matters at all; uneven: whether it matters less where its cell lies
    in the padding, so that not even a constant is a plain share of the bias; total: the sum of
    the weights that always see it.
    """

    read: Mask
    uneven: Mask
    total: Ints


@dataclass(frozen=True, eq=False)
class Channels:
    """The channels that may go, bool [C] of each tensor by name, taken back in place."""

    graph: Graph
    intervals: Mapping[str, Interval]
    gone: dict[str, Mask]
    shares: dict[str, Shares] = field(default_factory=dict)

    def kept(self, name: str) -> Mask:
        """The channels of tensor `name` that stay."""
        return ~self.gone[name]


@dataclass(frozen=True)
class ChannelRule:
    """take_back: clears what cannot go; cut: the operator without what goes."""

    take_back: Callable[[Op, Channels], None]
    cut: Callable[[Op, Channels], Op]


def _dense_take_back(op: Op, channels: Channels) -> None:
    """Convolutions and fully connected: an input goes if no kept row sees it change."""
    source, kept = channels.gone[op.inputs[0]], channels.kept(op.output)
    shares, values = _shares(op, channels), channels.intervals[op.inputs[0]]
    read = shares.read[kept].any(axis=0)
    uneven = shares.uneven[kept].any(axis=0) & (values.low != _zero_point(op, channels))
    folded = read & values.points & ~uneven
    source &= ~read | folded
    bias = _folded_bias(op, channels)[kept]
    if ((bias < INT32_MIN) | (bias > INT32_MAX)).any():
        source &= ~folded


def _shares(op: Op, channels: Channels) -> Shares:
    if op.name not in channels.shares:
        channels.shares[op.name] = _new_shares(op, channels.graph)
    return channels.shares[op.name]


def _new_shares(op: Op, graph: Graph) -> Shares:
    assert op.weights is not None
    source, rows = graph.tensor(op.inputs[0]), len(op.weights)
    cells = op.weights.reshape(rows, -1, source.shape[2])  # [Cout, KH * KW or H * W, Cin]
    inside, outside = np.ones(cells.shape[1], np.bool_), np.zeros(cells.shape[1], np.bool_)
    if op.kind == "conv2d":
        seen = taps(op, source, graph.tensor(op.output))
        inside, outside = seen.inside.reshape(-1), seen.outside.reshape(-1)
    return Shares(
        np.any(cells[:, inside] != 0, axis=1),
        np.any(cells[:, inside & outside] != 0, axis=1),
        np.sum(cells[:, inside & ~outside], axis=1, dtype=np.int64),
    )


def _zero_point(op: Op, channels: Channels) -> int:
    return channels.graph.tensor(op.inputs[0]).quant.zero_point


def _folded_bias(op: Op, channels: Channels) -> Ints:
    """The bias [Cout] with the shares of the constant channels that go."""
    assert op.bias is not None
    name = op.inputs[0]
    values = channels.intervals[name]
    folded = channels.gone[name] & values.points
    steps = np.where(folded, values.low - _zero_point(op, channels), 0)
    return op.bias + _shares(op, channels).total @ steps


def _dense_cut(op: Op, channels: Channels) -> Op:
    assert op.weights is not None
    assert op.weight_scales is not None
    rows, columns = channels.kept(op.output), channels.kept(op.inputs[0])
    if op.kind == "fully_connected":
        columns = np.tile(columns, op.weights.shape[1] // len(columns))
    return replace(
        op,
        weights=op.weights[rows][..., columns],
        weight_scales=op.weight_scales[rows],
        bias=_folded_bias(op, channels)[rows].astype(np.int32),
    )


def _depthwise_take_back(op: Op, channels: Channels) -> None:
    """An input channel goes with all of the outputs made of it, or none of them does."""
    source, output = channels.gone[op.inputs[0]], channels.gone[op.output]
    source &= output.reshape(len(source), -1).all(axis=1)
    output[:] = np.repeat(source, len(output) // len(source))


def _depthwise_cut(op: Op, channels: Channels) -> Op:
    assert op.weights is not None
    assert op.weight_scales is not None
    assert op.bias is not None
    kept = channels.kept(op.output)
    return replace(
        op,
        weights=op.weights[..., kept],
        weight_scales=op.weight_scales[kept],
        bias=op.bias[kept],
    )


def _together(op: Op, channels: Channels) -> None:
    """A channel goes in every tensor or in none; one that is spread over all must stay."""
    output = channels.gone[op.output]
    inputs = [channels.gone[name] for name in op.inputs]
    whole = [gone for gone in inputs if len(gone) == len(output)]
    for gone in whole:
        output &= gone
    for gone in inputs:
        gone[:] = gone & output if len(gone) == len(output) else False


def _same(op: Op, _channels: Channels) -> Op:
    return op


def _stay(op: Op, channels: Channels) -> None:
    for name in (*op.inputs, op.output):
        channels.gone[name][:] = False


def _mean(op: Op, channels: Channels) -> None:
    assert isinstance(op.options, Mean)
    (_stay if 2 in op.options.axes else _together)(op, channels)


def _pad(op: Op, channels: Channels) -> None:
    assert isinstance(op.options, Pad)
    new = op.options.before[2] + op.options.after[2]
    (_stay if new else _together)(op, channels)


def _concat(op: Op, channels: Channels) -> None:
    assert isinstance(op.options, Concat)
    if op.options.axis != 2:
        _together(op, channels)
        return
    start, output = 0, channels.gone[op.output]
    for name in op.inputs:
        piece = output[start : start + len(channels.gone[name])]
        piece &= channels.gone[name]
        channels.gone[name] &= piece
        start += len(piece)


def _reshape(op: Op, channels: Channels) -> None:
    """Channels that fold into each other go together: 4 pixels of C become 4 * C, or back."""
    few, many = sorted((channels.gone[op.inputs[0]], channels.gone[op.output]), key=len)
    if len(many) % len(few):
        _stay(op, channels)
        return
    few &= many.reshape(-1, len(few)).all(axis=0)
    many[:] = np.tile(few, len(many) // len(few))


def _transpose(op: Op, channels: Channels) -> None:
    assert isinstance(op.options, Transpose)
    sizes = {len(channels.gone[op.inputs[0]]), op.options.view[2], len(channels.gone[op.output])}
    kept_in_place = len(sizes) == 1 and op.options.order[2] == 2
    (_together if kept_in_place else _stay)(op, channels)


def _transpose_cut(op: Op, channels: Channels) -> Op:
    assert isinstance(op.options, Transpose)
    if not channels.gone[op.output].any():
        return op
    count = int(channels.kept(op.output).sum())
    return replace(op, options=replace(op.options, view=(*op.options.view[:2], count)))


def _slice(op: Op, channels: Channels) -> None:
    """Channels before and behind the slice are not read."""
    assert isinstance(op.options, Slice)
    source, output = channels.gone[op.inputs[0]], channels.gone[op.output]
    start = op.options.start[2]
    if op.options.step[2] != 1 and len(output) > 1:
        _stay(op, channels)
        return
    piece = source[start : start + len(output)]
    piece &= output
    output &= piece


def _slice_cut(op: Op, channels: Channels) -> Op:
    assert isinstance(op.options, Slice)
    row, column, start = op.options.start
    before = int(channels.kept(op.inputs[0])[:start].sum())
    return replace(op, options=replace(op.options, start=(row, column, before)))


TOGETHER = (
    "average_pool2d", "max_pool2d", "resize_nearest", "relu", "requantize", "logistic",
    "hard_swish", "add", "sub", "mul",
)  # fmt: skip
RULES: Mapping[str, ChannelRule] = {
    "conv2d": ChannelRule(_dense_take_back, _dense_cut),
    "fully_connected": ChannelRule(_dense_take_back, _dense_cut),
    "depthwise_conv2d": ChannelRule(_depthwise_take_back, _depthwise_cut),
    **{kind: ChannelRule(_together, _same) for kind in TOGETHER},
    "mean": ChannelRule(_mean, _same),
    "pad": ChannelRule(_pad, _same),
    "concat": ChannelRule(_concat, _same),
    "reshape": ChannelRule(_reshape, _same),
    "transpose": ChannelRule(_transpose, _transpose_cut),
    "slice": ChannelRule(_slice, _slice_cut),
    "softmax": ChannelRule(_stay, _same),
}
