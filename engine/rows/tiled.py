"""Kernels in tiles of four pixels by two channels: convolutions of any kind but depthwise."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine import c_text, lead, tiled
from engine.features import clamped_bytes
from engine.graph import Graph, Op, Padding
from engine.kernel_row import Description, Features, KernelRow, Table
from engine.room import spare_bytes
from engine.rows.conv import conv_fields, is_pointwise

TILED_BYTES = 100  # tr_tiled in kernels.h
MOST_SCRATCH = 9216
"""Bytes of four windows, of 3x3 on 128 channels; with more, two windows take less of the arena."""
HEADERS = ("tile.c", "tile.h", "tiled.h", "tile_end.h", "patch.h")
LEAST_KEPT_PIXELS = 32
"""A copy costs as much as five tiles wait for flash."""
MOST_QUAD_INPUTS = 64
"""Of a pixel, that quads.c has steps for."""


def describe(graph: Graph, op: Op) -> Description:
    """tr_tiled with the one stream that its tile reads."""
    found = tiled.tiles(graph, op)
    assert found is not None
    table = Table(
        "pairs",
        lambda name: c_text.numbers_table(name, "int32_t", tiled.stream(op, found).tolist()),
        4 * tiled.word_count(op, found),
    )
    fields: dict[str, int | str] = {
        **{f"conv.{name}": value for name, value in conv_fields(graph, op).items()},
        "tile": found.tile,
        "groups": tiled.groups(op),
        "odd": tiled.odd_at(op, found),
        "kept": 0,
    }
    return Description("tr_tiled", fields, TILED_BYTES, (table,))


def describe_kept(graph: Graph, op: Op) -> Description:
    """The same, with its stream in scratch where there is room."""
    plain = describe(graph, op)
    return replace(plain, fields={**plain.fields, "kept": kept_words(graph, op)})


def kept_words(graph: Graph, op: Op) -> int:
    """Words of the stream that go to scratch: all, filled up to fours, or 0."""
    found = tiled.tiles(graph, op)
    assert found is not None
    height, width, _ = graph.tensor(op.output).shape
    words = -(-tiled.word_count(op, found) // 4) * 4
    room = spare_bytes(graph, op, lead.pixel_threes(graph, op)) - scratch_bytes(graph, op)
    return words * (4 * words <= room and height * width >= LEAST_KEPT_PIXELS)


def kept_scratch_bytes(graph: Graph, op: Op) -> int:
    """Four windows and the stream."""
    return scratch_bytes(graph, op) + 4 * kept_words(graph, op)


def scratch_bytes(_graph: Graph, op: Op) -> int:
    """Four windows and, where some are not in the image as they are, a patch."""
    inputs = 4 * tiled.groups(op)
    needs_patch = op.padding != Padding() or op.dilation != (1, 1)
    return 8 * inputs + 8 + (inputs * needs_patch)


@dataclass(frozen=True)
class Windows:
    """How windows come into scratch: by fours side by side, or one by one, some of those patched.

    steps: tiles over pixels, the last of which may have less than four.
    """

    steps: int
    fours: int
    singles: int
    patched: int


def windows(graph: Graph, op: Op) -> Windows:
    """Those of a convolution; tr_conv2d in tiled.c."""
    height, width, _ = graph.tensor(op.output).shape
    at = np.arange(height * width)
    whole = _axis_inside(graph, op, 0)[at // width] & _axis_inside(graph, op, 1)[at % width]
    first = at[: len(at) // 4 * 4 : 4]
    together = (first % width + 3 < width) & whole[first] & whole[first + 3]
    fours = int(together.sum())
    alone = ~np.isin(at // 4, first[together] // 4)
    steps = -(-len(at) // 4)
    if is_pointwise(graph, op):
        return Windows(steps, len(first), len(at) % 4, 0)
    return Windows(steps, fours, int(alone.sum()), int((alone & ~whole).sum()))


def _axis_inside(graph: Graph, op: Op, axis: int) -> NDArray[np.bool_]:
    """Which windows along an axis are in the image as they are."""
    size, count = graph.tensor(op.inputs[0]).shape[axis], graph.tensor(op.output).shape[axis]
    start = np.arange(count) * op.stride[axis] - (op.padding.top, op.padding.left)[axis]
    inside: NDArray[np.bool_] = (start >= 0) & (start + op.kernel[axis] <= size)
    return inside & (op.dilation == (1, 1))


def count(graph: Graph, op: Op) -> Features:
    """Windows spread into scratch, then tiles of two channels over each four of them."""
    found = tiled.tiles(graph, op)
    assert found is not None
    assert op.weights is not None
    channels, seen = len(op.weights), windows(graph, op)
    tiles = seen.steps * -(-channels // 2)
    rows, row_bytes = op.kernel[0], op.weights[0].size // op.kernel[0]
    words, rest = rows * (row_bytes // 4), rows * (row_bytes % 4)
    return {
        "calls": 1,
        "steps": seen.steps * (1 + channels % 2),
        "fours": seen.fours,
        "four_rows": seen.fours * rows,
        "four_words": seen.fours * words,
        "four_bytes": seen.fours * rest,
        "singles": seen.singles,
        "single_words": seen.singles * words,
        "single_bytes": seen.singles * rest,
        "patched_rows": seen.patched * rows,
        "patched_bytes": seen.patched * rows * row_bytes,
        "tiles": tiles,
        "tile_groups": tiles * tiled.groups(op),
        "stream_groups": -(-channels // 2) * tiled.groups(op),  # from memory the first time
        "general_tiles": tiles * (found.tile == "tr_tile_any"),
        "clamped": clamped_bytes(graph, op),
    }


def count_quads(graph: Graph, op: Op) -> Features:
    """The same, and what the stream costs: words that are copied, groups that wait for flash."""
    return {**count(graph, op), **_kept(graph, op)}


def _kept(graph: Graph, op: Op) -> Features:
    assert op.weights is not None
    height, width, _ = graph.tensor(op.output).shape
    words = kept_words(graph, op)
    tiles = height * width // 4 * (len(op.weights) // 2)
    return {"kept_words": words, "flash_groups": (words == 0) * tiles * tiled.groups(op)}


def count_threes(graph: Graph, op: Op) -> Features:
    """The same, for a Cortex-M7, and tiles of three pixels, for a Cortex-M4."""
    assert op.weights is not None
    height, width, _ = graph.tensor(op.output).shape
    threes = height * width // 3
    tiles = threes * (len(op.weights) // 2)
    kept = ("calls", "steps", "singles", "tiles", "tile_groups", "stream_groups", "clamped")
    wide = {name: value for name, value in count(graph, op).items() if name in kept}
    narrow = {
        "threes": threes,
        "three_words": threes * tiled.groups(op),
        "three_tiles": tiles,
        "three_groups": tiles * tiled.groups(op),
    }
    return {**wide, **narrow, **_kept(graph, op)}


def _is_tiled(graph: Graph, op: Op) -> bool:
    return 32 * tiled.groups(op) <= MOST_SCRATCH and tiled.tiles(graph, op) is not None


def _is_tiled_pointwise(graph: Graph, op: Op) -> bool:
    return is_pointwise(graph, op) and _is_tiled(graph, op)


def _is_even(graph: Graph, op: Op) -> bool:
    """Of whole words of inputs, for pairs of channels that end with the shift 12."""
    found = tiled.tiles(graph, op) if _is_tiled_pointwise(graph, op) else None
    words = graph.tensor(op.inputs[0]).shape[2] % 4 == 0
    return words and found is not None and found.shift == 12 and tiled.odd_at(op, found) == 0


def _is_in_quads(graph: Graph, op: Op) -> bool:
    return graph.tensor(op.inputs[0]).shape[2] <= MOST_QUAD_INPUTS and _is_even(graph, op)


def _is_in_threes(graph: Graph, op: Op) -> bool:
    height, width, _ = graph.tensor(op.output).shape
    inputs = graph.tensor(op.inputs[0]).shape[2]
    return inputs > MOST_QUAD_INPUTS and height * width % 3 == 0 and _is_even(graph, op)


ROWS: tuple[KernelRow, ...] = (
    KernelRow("tr_pointwise_threes", "conv2d", "threes.c", _is_in_threes, count_threes,
              describe_kept, kept_scratch_bytes, lead.pixel_threes, takes_scratch=True,
              headers=("tiled.c", *HEADERS)),
    KernelRow("tr_pointwise_quads", "conv2d", "quads.c", _is_in_quads, count_quads, describe_kept,
              kept_scratch_bytes, lead.pixel_fours, takes_scratch=True,
              headers=("tiled.c", *HEADERS)),
    KernelRow("tr_pointwise", "conv2d", "tiled.c", _is_tiled_pointwise, count,
              describe, scratch_bytes, lead.pixel_fours, takes_scratch=True, headers=HEADERS),
    KernelRow("tr_conv2d", "conv2d", "tiled.c", _is_tiled, count,
              describe, scratch_bytes, lead.pixel_fours, takes_scratch=True, headers=HEADERS),
)  # fmt: skip
