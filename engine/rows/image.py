"""Kernels of first convolutions: windows of few channels, each kind taken by its own function."""

from __future__ import annotations

from engine import lead
from engine.graph import Graph, Op, Padding
from engine.kernel_row import Features, KernelRow
from engine.rows import tiled
from engine.tables import padded
from engine.tiled import groups, tiles

RGB = 3
_SHARED = ("calls", "steps", "tiles", "tile_groups", "general_tiles", "clamped")


def scratch_bytes(graph: Graph, op: Op) -> int:
    """Four windows and, where some reach over the border, the columns under four."""
    border = padded(_patch_bytes(graph, op)) * (op.padding != Padding())
    return 32 * groups(op) + 8 + border


def count(graph: Graph, op: Op) -> Features:
    """Tiles as without an image; of the four windows of each, those by way of a patch."""
    of_tiles, seen = tiled.count(graph, op), tiled.windows(graph, op)
    shared = {name: of_tiles[name] for name in _SHARED}
    patched = seen.steps - seen.fours
    patched_bytes = patched * _patch_bytes(graph, op)
    return {**shared, "fours": seen.steps, "patched": patched, "patched_bytes": patched_bytes}


def _patch_bytes(graph: Graph, op: Op) -> int:
    columns = 3 * op.stride[1] + op.kernel[1]
    return op.kernel[0] * columns * graph.tensor(op.inputs[0]).shape[2]


def _is_image(graph: Graph, op: Op) -> bool:
    """A 3x3 convolution of a colour image, a multiple of four windows in a row."""
    source, output = graph.tensor(op.inputs[0]).shape, graph.tensor(op.output).shape
    windows = (op.kernel, op.dilation, source[2]) == ((3, 3), (1, 1), RGB)
    return windows and output[1] % 4 == 0 and tiles(graph, op) is not None


ROWS: tuple[KernelRow, ...] = (
    KernelRow("tr_conv2d_rgb", "conv2d", "image.c", _is_image, count,
              tiled.describe, scratch_bytes, lead.pixel_fours, takes_scratch=True,
              headers=tiled.HEADERS),
)  # fmt: skip
