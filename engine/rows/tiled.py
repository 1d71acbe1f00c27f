"""Kernels in tiles of four pixels by two channels: convolutions of any kind but depthwise."""

from engine import c_text, lead, tiled
from engine.features import clamped_bytes, whole_windows
from engine.graph import Graph, Op, Padding
from engine.kernel_row import Description, Features, KernelRow, Table
from engine.rows.conv import conv_fields, is_pointwise

TILED_BYTES = 96  # tr_tiled in kernels.h
MOST_SCRATCH = 6144
"""Bytes of four windows; with more, the kernel of two windows takes less of the arena."""
HEADERS = ("tile.c", "tile.h", "patch.h")


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
    }
    return Description("tr_tiled", fields, TILED_BYTES, (table,))


def scratch_bytes(_graph: Graph, op: Op) -> int:
    """Four windows and, where some are not in the image as they are, a patch."""
    inputs = 4 * tiled.groups(op)
    needs_patch = op.padding != Padding() or op.dilation != (1, 1)
    return 8 * inputs + 4 + (inputs * needs_patch)


def count(graph: Graph, op: Op) -> Features:
    """Windows in fours, each spread into scratch, then tiles of two channels."""
    found = tiled.tiles(graph, op)
    assert found is not None
    assert op.weights is not None
    height, width, channels = graph.tensor(op.output).shape
    pixels = height * width
    fours = -(-pixels // 4)
    tiles = fours * -(-channels // 2)
    rows, row_bytes = op.kernel[0], op.weights[0].size // op.kernel[0]
    moved = pixels - _inside(graph, op)
    return {
        "calls": 1,
        "fours": fours * (1 + channels % 2),
        "windows": pixels,
        "window_rows": pixels * rows,
        "window_words": pixels * rows * (row_bytes // 4),
        "window_bytes": pixels * rows * (row_bytes % 4),
        "patches": moved,
        "patch_bytes": moved * rows * row_bytes,
        "tiles": tiles,
        "tile_groups": tiles * tiled.groups(op),
        "general_tiles": tiles * (found.tile == "tr_tile_any"),
        "clamped": clamped_bytes(graph, op),
    }


def _inside(graph: Graph, op: Op) -> int:
    """Windows that lie in the image as they are."""
    return 0 if op.dilation != (1, 1) else whole_windows(graph, op)


def _is_tiled(graph: Graph, op: Op) -> bool:
    return 32 * tiled.groups(op) <= MOST_SCRATCH and tiled.tiles(graph, op) is not None


def _is_tiled_pointwise(graph: Graph, op: Op) -> bool:
    return is_pointwise(graph, op) and _is_tiled(graph, op)


ROWS: tuple[KernelRow, ...] = (
    KernelRow("tr_pointwise", "conv2d", "tiled.c", _is_tiled_pointwise, count,
              describe, scratch_bytes, lead.pixel_fours, takes_scratch=True, headers=HEADERS),
    KernelRow("tr_conv2d", "conv2d", "tiled.c", _is_tiled, count,
              describe, scratch_bytes, lead.pixel_fours, takes_scratch=True, headers=HEADERS),
)  # fmt: skip
