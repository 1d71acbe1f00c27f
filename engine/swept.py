"""Tables of the depthwise convolution two taps at a time; see engine/kernels/sweep.h."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.graph import Graph, Op
from engine.numerics import wrap_int32
from engine.requantise import one_shift
from engine.strips import Strips
from engine.tables import channels

Ints = NDArray[np.int64]

TALL_SLOTS, MANY_SLOTS, FEW_SLOTS = 14, 7, 3
"""Pairs of rows in scratch, of kernels 3x3, which have code for each; the first of stride 1."""
LARGE_SLOTS = {5: 8, 7: 9}
"""Kernel size -> pairs of rows in scratch."""
MOST_SCRATCH = 3136
"""Bytes; wider rows have few slots."""
MOST_LARGE_SCRATCH = 4608
"""Bytes; wider rows of a large kernel go elsewhere."""
BLOCKS = {3: 1, 5: 6, 7: 4}
"""Kernel size -> outputs of a block, see block.c."""


class Form(NamedTuple):
    """Which code a layer shares where it could have faster code of its own.

    general: channels end in two roundings, though one shift is proven; few: FEW_SLOTS, though there
    is scratch for more.
    """

    general: bool = False
    few: bool = False


FASTEST = Form()


@dataclass(frozen=True, eq=False)
class Sweeps:
    """How the channels of a layer end.

    ending: of the C function's name; unit: that inputs are multiplied with; before, behind: int64
    [C, n], words of each channel before and behind its weights; constant: bool [C], channels whose
    weights are 0 here.
    """

    ending: str
    unit: int
    before: Ints
    behind: Ints
    constant: NDArray[np.bool_]


@lru_cache(maxsize=512)  # asked for while an operator is chosen, planned for, and described
def sweeps(graph: Graph, op: Op, form: Form = FASTEST) -> Sweeps | None:
    """Those of a depthwise convolution with one filter a channel; None where none is exact."""
    count = graph.tensor(op.output).shape[2]
    found, ends = None if form.general else one_shift(graph, op), channels(graph, op)
    if found:
        before = np.stack([found.bias, found.factor], axis=1)
        return Sweeps(str(found.shift), 256, before, np.empty((count, 0), int), found.constant)
    if not ends.fast:
        return None
    before = np.stack([wrap_int32(2 * ends.bias), ends.multiplier], axis=1)
    behind = np.stack([ends.addend, ends.shift], axis=1)
    return Sweeps("any", 1, before, behind, np.zeros(count, bool))


def word_count(op: Op, found: Sweeps) -> int:
    """Words of one channel."""
    size = op.kernel[0]
    weights = size if size == 3 else (size + 1) // 2 * size
    return int(found.before.shape[1]) + weights + int(found.behind.shape[1])


def stream(op: Op, found: Sweeps) -> Ints:
    """The words of the table `pairs`, int64 of int32 values."""
    assert op.weights is not None
    columns = op.weights.astype(np.int64).transpose(2, 1, 0)  # [C, KW, KH]
    live = np.where(found.constant[:, None, None], 0, columns) & 0xFF
    if op.kernel[0] == 3:
        return np.concatenate([found.before, _words(live, 0, 1, 1, 2), found.behind], 1).reshape(-1)
    rows = np.pad(live, ((0, 0), (0, 0), (1, 1)))  # row y stands at y + 1
    pairs = range(0, op.kernel[0], 2)
    weights = [_words(rows, at + 1, at, at + 2, at + 1) for at in pairs]
    return np.concatenate([found.before, found.behind, *weights], 1).reshape(-1)


def _words(rows: Ints, *chosen: int) -> Ints:
    """Four rows of each column as the bytes of a word, int64 [C, KW]; rows: [C, KW, rows]."""
    return wrap_int32((rows[:, :, list(chosen)] << (0, 8, 16, 24)).sum(axis=2))


def columns(graph: Graph, op: Op) -> int:
    """Of scratch: all that any window reaches; an even number in whole blocks for large kernels."""
    block, out_w = BLOCKS[op.kernel[1]], graph.tensor(op.output).shape[1]
    reached = (-(-out_w // block) * block - 1) * op.stride[1] + op.kernel[1]
    return reached + (block > 1) * (reached % 2)


def column_bytes(slots: int) -> int:
    """Pairs of four channels."""
    return 4 * 4 * slots


def slots(graph: Graph, op: Op, form: Form = FASTEST) -> int:
    """Pairs of rows that scratch has room for; 0: for too few."""
    if op.kernel[1] > 3:
        many = LARGE_SLOTS[op.kernel[1]]
        return many if columns(graph, op) * column_bytes(many) <= MOST_LARGE_SCRATCH else 0
    most = 0 if form.few else MOST_SCRATCH // columns(graph, op)
    is_tall = op.stride == (1, 1) and graph.tensor(op.output).shape[0] > 2 * MANY_SLOTS - 2
    if is_tall and column_bytes(TALL_SLOTS) <= most:
        return TALL_SLOTS
    return MANY_SLOTS if column_bytes(MANY_SLOTS) <= most else FEW_SLOTS


def swept_strips(graph: Graph, op: Op, form: Form = FASTEST) -> Strips:
    """How tr_depthwise_swept cuts its output: full strips, then what is left."""
    out_h = graph.tensor(op.output).shape[0]
    taps = op.kernel[0]
    rows = (2 * slots(graph, op, form) + 1 - taps) // op.stride[0]
    return Strips(columns(graph, op), taps, rows, out_h, op.stride[0], op.padding.top)
