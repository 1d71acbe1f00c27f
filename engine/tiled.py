"""Tables of the convolutions in tiles of four pixels by two channels; see engine/kernels/tile.h."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.graph import Graph, Op
from engine.numerics import wrap_int32
from engine.requantise import SUB_BITS, one_shift, output_range, reach
from engine.tables import FAST_SHIFTS, channels

Ints = NDArray[np.int64]

END = -(1 << 31)
"""TR_END in tile.h: no bias of a second channel."""
MOST_SUM = 1 << 23
"""Under it a sum with eight more bits is an int32."""
NOTHING = -1
"""In an order of inputs: a weight of 0."""


@dataclass(frozen=True, eq=False)
class Tiles:
    """How the channels of a layer end.

    tile: the C function; shift: that of all channels, 0 where each has its own; bias: int64 [C],
    the word before the weights where a channel is the second of two; ends: the words behind them,
    each of the first (0) or second (1) of two channels and int64 [C]; constant: bool [C], channels
    whose weights are 0 here.
    """

    tile: str
    shift: int
    bias: Ints
    ends: tuple[tuple[int, Ints], ...]
    constant: NDArray[np.bool_]


@lru_cache(maxsize=512)  # asked for while an operator is chosen, planned for, and described
def tiles(graph: Graph, op: Op) -> Tiles | None:
    """Those of a convolution; None where weights or sums are too large for them."""
    assert op.weights is not None
    if len(op.weights) < 2 or op.weights.min() == -128:  # 256 * -128 - 1 is no half
        return None
    return _in_one_shift(graph, op) or _in_general(graph, op)


def groups(op: Op) -> int:
    """Groups of four inputs of a window."""
    assert op.weights is not None
    rows = op.kernel[0]
    words, rest = divmod(int(op.weights[0].size) // rows, 4)
    return rows * words + -(-rows * rest // 4)


def word_count(op: Op, found: Tiles) -> int:
    """Words of the table `pairs`."""
    assert op.weights is not None
    pairs, odd = divmod(len(op.weights), 2)
    return (pairs + odd) * _pair_words(op, found) + 1 + odd


def odd_at(op: Op, found: Tiles) -> int:
    """The word at which the last two of an odd number of channels begin, otherwise 0."""
    assert op.weights is not None
    pairs, odd = divmod(len(op.weights), 2)
    return odd * (pairs * _pair_words(op, found) + 1)


def stream(op: Op, found: Tiles) -> Ints:
    """The words of the table `pairs`, int64 of int32 values."""
    assert op.weights is not None
    count = len(op.weights)
    firsts = [np.arange(0, count - 1, 2), *([np.array([count - 2])] if count % 2 else [])]
    end = np.array([END], np.int64)
    parts = ((_words(op, found, first).reshape(-1), end) for first in firsts)
    return np.concatenate([words for part in parts for words in part])


def input_order(op: Op) -> NDArray[np.int64]:
    """The input, or NOTHING, of each place of a group: pairs of inputs 0 and 2, then 1 and 3.

    Whole words of each row of a window come first, then what is left of all rows, in order.
    """
    assert op.weights is not None
    rows = op.kernel[0]
    inputs = np.arange(op.weights[0].size).reshape(rows, -1)
    whole = inputs.shape[1] // 4 * 4
    words = inputs[:, :whole].reshape(-1, 4)[:, [0, 2, 1, 3]].reshape(-1)
    rest = inputs[:, whole:].reshape(-1)
    filled = np.pad(rest, (0, -len(rest) % 4), constant_values=NOTHING)
    return np.concatenate([words, filled])


def _pair_words(op: Op, found: Tiles) -> int:
    return 1 + 2 * groups(op) + len(found.ends)


def _words(op: Op, found: Tiles, first: Ints) -> Ints:
    """Of the channels `first` and those behind them, [len(first), words]."""
    assert op.weights is not None
    order = input_order(op)
    rows = op.weights.reshape(len(op.weights), -1).astype(np.int64)
    rows = np.where(found.constant[:, None] | (order == NOTHING), 0, rows[:, order])
    halves = (256 * rows[first + 1] + rows[first]).reshape(len(first), -1, 2) & 0xFFFF
    weights = wrap_int32(halves[:, :, 0] | halves[:, :, 1] << 16)
    ends = [words[first + second, None] for second, words in found.ends]
    return np.concatenate([found.bias[first + 1, None], weights, *ends], axis=1)


def _in_one_shift(graph: Graph, op: Op) -> Tiles | None:
    found = one_shift(graph, op)
    if found is None or (found.bias == END).any():
        return None
    ends = ((0, found.bias), (0, found.factor), (1, found.factor))
    return Tiles(f"tr_tile_{found.shift}", found.shift, found.bias, ends, found.constant)


def _in_general(graph: Graph, op: Op) -> Tiles | None:
    """As tr_output in scale.h; a constant channel has a sum of 0 and a factor of 1/4."""
    ends, outputs = channels(graph, op), output_range(graph, op)
    live = ~outputs.points
    sums = reach(graph, op).at(live)
    if (sums.low < -MOST_SUM).any() or (sums.high >= MOST_SUM).any():
        return None
    zero = graph.tensor(op.output).quant.zero_point
    bias = np.where(live, ends.bias, 4 * (outputs.low - zero))
    factor, shift = np.where(live, ends.multiplier, 1 << 30), np.where(live, ends.shift, 1)
    wide = wrap_int32(bias << SUB_BITS)
    if not np.isin(shift, FAST_SHIFTS).all() or (wide == END).any():
        return None
    addend = (zero << shift) + (np.int64(1) << (shift - 1))
    second = tuple((1, words) for words in (factor, addend, shift))
    first = tuple((0, words) for words in (wrap_int32(bias << 1), factor, addend, shift))
    return Tiles("tr_tile_any", 0, wide, (*second, *first), ~live)
