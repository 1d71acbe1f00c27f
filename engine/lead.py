"""How far an input must lie above an output that is written over it.

A kernel that makes its output in order can put it over an input that dies there, as long as no
byte is written before the last read of the input byte beneath it. With the input `lead` bytes
above the output, or more, that holds at every step. Each function here follows the order in which
one family of kernels reads and writes; a loop that changes there changes here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.graph import Graph, Op
from engine.strips import Strips, strips
from engine.swept import FASTEST, Form, swept_strips

Steps = NDArray[np.int64]

NOTHING = 1 << 62
"""The first byte that a step reads which reads none."""

MAX_PIXELS = 1 << 20
"""Of an output that is looked at; a larger one fits no board, and its input stays apart."""


def lead(reads: Steps, writes: Steps) -> int:
    """The least distance of input and output in bytes, at least 0.

    A step reads all that it needs before it writes. reads [steps]: the first input byte of each,
    or NOTHING; writes [steps]: output bytes written when it has ended, all steps before counted.
    """
    later = np.minimum.accumulate(reads[:0:-1])[::-1]
    return max(0, int((writes[:-1] - later).max(initial=0)))


@dataclass(frozen=True)
class Windows:
    """Windows that slide over an input [H, W, C]; pairs are (rows, columns)."""

    source: tuple[int, int, int]
    output: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]

    @property
    def pixels(self) -> int:
        """Of the output."""
        return self.output[0] * self.output[1]

    def firsts(self, axis: int) -> Steps:
        """The first row (column) inside of the image that each window reads, or NOTHING."""
        starts = np.arange(self.output[axis]) * self.stride[axis] - self.before[axis]
        gap = self.dilation[axis]
        skipped = np.maximum(0, (-starts + gap - 1) // gap)
        first = starts + skipped * gap
        inside = (skipped < self.kernel[axis]) & (first < self.source[axis])
        return np.where(inside, first, NOTHING)

    def first_bytes(self) -> Steps:
        """The first byte that each window reads, int64 [pixels], or NOTHING."""
        rows, columns = self.firsts(0)[:, None], self.firsts(1)[None, :]
        _, width, channels = self.source
        blank = (rows == NOTHING) | (columns == NOTHING)
        places = np.where(blank, 0, rows) * width + np.where(blank, 0, columns)
        return np.where(blank, NOTHING, places * channels).reshape(-1)


def windows(graph: Graph, op: Op) -> Windows:
    """Those of `op`, whose kernel is 1x1 where its kind has none."""
    return Windows(
        graph.tensor(op.inputs[0]).shape,
        graph.tensor(op.output).shape,
        op.kernel,
        op.stride,
        op.dilation,
        (op.padding.top, op.padding.left),
    )


def pixel_pairs(graph: Graph, op: Op) -> int | None:
    """For kernels that read two windows, then write all channels of both: tr_conv2d_pairs."""
    return _by_pixels(windows(graph, op), 2)


def pixel_fours(graph: Graph, op: Op) -> int | None:
    """For kernels that read four windows, then write all their channels: tr_conv2d."""
    return _by_pixels(windows(graph, op), 4)


def pixel_threes(graph: Graph, op: Op) -> int | None:
    """For kernels that read three or four windows, then write all their channels."""
    slide = windows(graph, op)
    three, four = _by_pixels(slide, 3), _by_pixels(slide, 4)
    return None if three is None or four is None else max(three, four)


def every_channel(graph: Graph, op: Op) -> int | None:
    """For kernels that read a whole window for each output channel: tr_conv2d_plain."""
    return _by_channel(windows(graph, op), 0)


def own_channel(graph: Graph, op: Op) -> int | None:
    """For kernels of which an output channel reads its own channel only: pools, plain depthwise.

    Pixel by pixel, channels in order, or some of them at a time.
    """
    return _by_channel(windows(graph, op), graph.tensor(op.inputs[0]).shape[2] - 1)


def quads(graph: Graph, op: Op) -> int:
    """For tr_depthwise: the exact distance, 0 unless the output outgrows the rows it has read.

    Only whole pixels keep each quad of the output on its own quad of the input, and offsets are
    multiples of four bytes.
    """
    return _by_quads(graph, op, strips(graph, op))


def swept_quads(graph: Graph, op: Op, form: Form = FASTEST) -> int:
    """The same for tr_depthwise_swept."""
    return _by_quads(graph, op, swept_strips(graph, op, form))


def _by_quads(graph: Graph, op: Op, strip: Strips) -> int:
    height, width, channels = graph.tensor(op.inputs[0]).shape
    columns = graph.tensor(op.output).shape[1]
    gathers = list(strip.gathers())
    inside = [range(max(rows.start, 0), min(rows.stop, height)) for _, rows, _ in gathers]
    reads = [rows.start * width if rows else NOTHING for rows in inside]
    pixels = lead(np.array(reads), np.array([end * columns for end, _, _ in gathers]))
    unit = 4 // math.gcd(4, channels)
    return -(-pixels // unit) * unit * channels


@lru_cache(maxsize=1024)
def _by_pixels(slide: Windows, count: int) -> int | None:
    """A step is `count` pixels."""
    if slide.pixels > MAX_PIXELS:
        return None
    missing = -slide.pixels % count
    first = np.pad(slide.first_bytes(), (0, missing), constant_values=NOTHING)
    ends = np.arange(1, len(first) // count + 1) * count * slide.output[2]
    return lead(first.reshape(-1, count).min(axis=1), ends)


@lru_cache(maxsize=1024)
def _by_channel(slide: Windows, skipped: int) -> int | None:
    """A pixel is two steps: all channels but the last one, and that.

    skipped: bytes of a window's first pixel that the last channel does not read.
    """
    if slide.pixels > MAX_PIXELS:
        return None
    first, channels = slide.first_bytes(), slide.output[2]
    last = np.where(first == NOTHING, NOTHING, first + skipped)
    ends = np.arange(1, slide.pixels + 1) * channels
    reads, writes = np.stack([first, last], 1), np.stack([ends - 1, ends], 1)
    return lead(reads.reshape(-1), writes.reshape(-1))
