"""Tables of the fully connected kernel of six channels at a time; see engine/kernels/dense.c."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.graph import Op
from engine.numerics import wrap_int32
from engine.tiled import Tiles

Ints = NDArray[np.int64]

SIX = 6
"""Channels, three twos."""
ROUND, MOST_WIDE = 32, 128
"""Inputs of a round of the loop, and the most that have room on the stack as halves."""
MOST_FILLED = 256
"""Inputs that have room on the stack as they are."""


def groups(op: Op) -> int:
    """Groups of four inputs, of an even number."""
    assert op.weights is not None
    return 2 * -(-int(op.weights.shape[1]) // 8)


def sixes(op: Op) -> int:
    """Blocks of six channels."""
    assert op.weights is not None
    return len(op.weights) // SIX


def are_wide(op: Op) -> bool:
    """Whether inputs are widened once, on the stack, for all sixes: whole rounds, at most 128."""
    assert op.weights is not None
    inputs = int(op.weights.shape[1])
    return inputs <= MOST_WIDE and inputs % ROUND == 0 and sixes(op) > 1


def is_filled(op: Op) -> bool:
    """Whether inputs are copied first, as they are an odd number of groups."""
    assert op.weights is not None
    return -(-int(op.weights.shape[1]) // 4) % 2 == 1


def word_count(op: Op, found: Tiles) -> int:
    """Words of the table `stream`."""
    assert op.weights is not None
    twos = 3 * sixes(op) + -(-(len(op.weights) % SIX) // 2)
    return twos * (1 + 2 * groups(op) + len(found.ends))


def stream(op: Op, found: Tiles) -> Ints:
    """The words of the table `stream`, int64 of int32 values."""
    assert op.weights is not None
    count, most = len(op.weights), SIX * sixes(op)
    last = [min(first, count - 2) for first in range(most, count, 2)]
    firsts = (np.arange(0, most, 2).reshape(-1, SIX // 2), np.array(last, np.int64).reshape(-1, 1))
    return np.concatenate([_block(op, found, first) for first in firsts if len(first)])


def _block(op: Op, found: Tiles, first: Ints) -> Ints:
    """The words of blocks of channels; first: of each two, [blocks, twos]."""
    weights = _weights(op, found)
    halves = 256 * weights[first + 1] + weights[first]  # [blocks, twos, groups, 2, 2]
    words = wrap_int32((halves[..., 0] & 0xFFFF) | (halves[..., 1] & 0xFFFF) << 16)
    ends = [words[first + second] for second, words in found.ends]
    apart = 1 if found.shift else 0  # biases of all twos come together, then factors
    ends = [*ends[:apart], np.stack(ends[apart:], axis=-1)]
    rows = len(first)
    parts = (found.bias[first + 1], words.swapaxes(1, 2), *ends)
    return np.concatenate([part.reshape(rows, -1) for part in parts], axis=1).reshape(-1)


def _weights(op: Op, found: Tiles) -> Ints:
    """[C, groups, 2, 2]: of each group the inputs 0 and 2, then 1 and 3."""
    assert op.weights is not None
    live = np.where(found.constant[:, None], 0, op.weights.astype(np.int64))
    filled = np.pad(live, ((0, 0), (0, 4 * groups(op) - live.shape[1])))
    return filled.reshape(len(live), -1, 2, 2).swapaxes(2, 3)
