"""How much work each kernel does: counts that mirror its loops, one function a kernel.

A latency model multiplies each count by cycles that it learns; nothing here knows a cycle. Read
each function beside its kernel in ``engine/kernels``: a loop that changes there changes here.
"""

from dataclasses import dataclass

from engine.graph import Graph, Op, op_macs
from engine.strips import strips
from engine.tables import padded

Features = dict[str, float]
UNROLLED_WIDTHS = (3, 5, 7)
"""Kernel widths for which tr_depthwise has a loop of its own."""

HALF_TILE = 5 / 8
"""Work of half a 2 x 2 tile: half of the products, one of two inputs to load as often as before."""


@dataclass(frozen=True)
class _Sizes:
    in_h: int
    in_w: int
    in_c: int
    out_h: int
    out_w: int
    out_c: int

    @property
    def pixels(self) -> int:
        return self.out_h * self.out_w


def conv2d(graph: Graph, op: Op) -> Features:
    """tr_conv2d_pairs: each patch is gathered, expanded, then multiplied in 2 x 2 tiles.

    A row of a patch is one piece, or one a tap where taps are apart.
    """
    size = _sizes(graph, op)
    rows, columns = _taps_inside(op, size)
    together = op.dilation == (1, 1)
    pieces = [n * size.in_c for n in _row_taps(op, size)] if together else [size.in_c] * columns
    pairs, odd = divmod(size.pixels, 2)
    patch = op.kernel[0] * op.kernel[1] * size.in_c
    tiles, steps = _channel_tiles(size), padded(patch) // 4
    work = pairs + odd * HALF_TILE
    return {
        "calls": 1,
        "pixels": size.pixels,
        "patch_rows": size.pixels * op.kernel[0] * (1 if together else op.kernel[1]),
        "copied_words": rows * sum(n // 4 for n in pieces),
        "copied_bytes": rows * sum(n % 4 for n in pieces),
        "filled_bytes": size.pixels * patch - rows * columns * size.in_c,
        "expand_steps": size.pixels * steps,
        "tiles": work * tiles,
        "tile_steps": work * tiles * steps,
        "clamped": _clamped(op, size),
    }


def depthwise(graph: Graph, op: Op) -> Features:
    """tr_depthwise: four channels at a time, the rows under a strip gathered first.

    A kernel row of three, five or seven taps is straight code with a cost of its own.
    """
    size, strip = _sizes(graph, op), strips(graph, op)
    quads, tail = divmod(size.in_c, 4)
    every = quads + (tail > 0)
    gathers = list(strip.gathers())
    gathered = sum(len(rows) for _, rows, _ in gathers)
    inside = sum(_inside(rows.start, len(rows), size.in_h) for _, rows, _ in gathers)
    inside *= min(strip.width - op.padding.left, size.in_w)
    rows = size.pixels * every * op.kernel[0]
    straight = op.kernel[1] if op.dilation[1] == 1 else 0
    looped = 0 if straight in UNROLLED_WIDTHS else rows
    return {
        "calls": 1,
        "strips": every * len(gathers),
        "gathered_rows": every * gathered,
        "gathered_words": quads * inside,
        "filled_words": every * (gathered * strip.width - inside),
        "tail_words": (tail > 0) * inside,
        "kept_words": every * strip.width * sum(kept for _, _, kept in gathers),
        "lines": every * size.out_h,
        "quads": size.pixels * quads,
        "tail_outputs": size.pixels * tail,
        **{f"rows_{n}": rows * (straight == n) for n in UNROLLED_WIDTHS},
        "looped_rows": looped,
        "looped_taps": looped * op.kernel[1],
        "clamped": _clamped(op, size),
    }


def fully_connected(graph: Graph, op: Op) -> Features:
    """tr_fully_connected_pairs: two channels at a time, four inputs a step."""
    size = _sizes(graph, op)
    steps, tail = divmod(graph.tensor(op.inputs[0]).size, 4)
    pairs = (size.out_c + 1) // 2
    return {
        "calls": 1,
        "pairs": pairs,
        "pair_steps": pairs * steps,
        "pair_tails": pairs * tail,
        "clamped": _clamped(op, size),
    }


def average_pool(graph: Graph, op: Op) -> Features:
    """tr_average_pool: four channels at a time over the part of a window that is inside."""
    size = _sizes(graph, op)
    rows, columns = _taps_inside(op, size)
    quads, tail = divmod(size.in_c, 4)
    return {
        "calls": 1,
        "pixels": size.pixels,
        "quads": size.pixels * quads,
        "quad_rows": rows * size.out_w * quads,
        "quad_taps": rows * columns * quads,
        "tail_outputs": size.pixels * tail,
        "tail_taps": rows * columns * tail,
    }


def add(graph: Graph, op: Op) -> Features:
    """tr_add_scaled: one element at a time."""
    size = _sizes(graph, op)
    return {"calls": 1, "elements": size.pixels * size.out_c, "clamped": _clamped(op, size)}


def plain(graph: Graph, op: Op) -> Features:
    """Any plain twin: outputs, and the products or sums behind them."""
    size = _sizes(graph, op)
    outputs = size.pixels * size.out_c
    taps = op_macs(graph, op) or outputs * op.kernel[0] * op.kernel[1]
    return {"calls": 1, "outputs": outputs, "rows": outputs * op.kernel[0], "taps": taps}


def clamped_bytes(graph: Graph, op: Op) -> int:
    """Bytes that tr_clamp visits: none where the clamp is all of int8."""
    return _clamped(op, _sizes(graph, op))


def _sizes(graph: Graph, op: Op) -> _Sizes:
    return _Sizes(*graph.tensor(op.inputs[0]).shape, *graph.tensor(op.output).shape)


def _channel_tiles(size: _Sizes) -> float:
    """Tiles over the output channels of one pair of pixels."""
    pairs, odd = divmod(size.out_c, 2)
    return pairs + odd * HALF_TILE


def _clamped(op: Op, size: _Sizes) -> int:
    """Bytes that tr_clamp visits: none where the clamp is all of int8."""
    return 0 if op.clamp == (-128, 127) else size.pixels * size.out_c


def _taps_inside(op: Op, size: _Sizes) -> tuple[int, int]:
    """Rows and columns that the windows along each axis have inside of the input, summed."""
    tops = [y * op.stride[0] - op.padding.top for y in range(size.out_h)]
    rows = sum(_taps(top, op.kernel[0], op.dilation[0], size.in_h) for top in tops)
    return rows, sum(_row_taps(op, size))


def _row_taps(op: Op, size: _Sizes) -> list[int]:
    starts = [x * op.stride[1] - op.padding.left for x in range(size.out_w)]
    return [_taps(start, op.kernel[1], op.dilation[1], size.in_w) for start in starts]


def _taps(start: int, count: int, gap: int, limit: int) -> int:
    """Of `count` taps from `start` on, `gap` apart, those in 0..limit - 1."""
    return len(range(max(start, start % gap), min(start + count * gap, limit), gap))


def _inside(start: int, count: int, limit: int) -> int:
    return max(0, min(start + count, limit) - max(start, 0))
