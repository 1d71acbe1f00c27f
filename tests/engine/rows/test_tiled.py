"""Convolutions in tiles: their windows are counted, their tables are what the tiles read."""

from dataclasses import replace

import numpy as np
import pytest
from conv_cases import one, pads
from graph_strategies import operators
from hypothesis import HealthCheck, given, settings

from engine import tiled
from engine.dispatch import choose
from engine.graph import Graph
from engine.rows.tiled import MOST_SCRATCH, windows

MANY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def is_inside(graph, op, pixel):
    height, width, _ = graph.tensor(op.inputs[0]).shape
    y, x = divmod(pixel, graph.tensor(op.output).shape[1])
    top, left = y * op.stride[0] - op.padding.top, x * op.stride[1] - op.padding.left
    fits = top + op.kernel[0] <= height and left + op.kernel[1] <= width
    return op.dilation == (1, 1) and top >= 0 and left >= 0 and fits


@MANY
@given(operators("conv2d"))
def test_windows_are_counted(graph):
    """tiled.c in slow motion."""
    op = graph.ops[0]
    height, width, _ = graph.tensor(op.output).shape
    steps = fours = singles = patched = 0
    for first in range(0, height * width, 4):
        pixels = range(first, min(first + 4, height * width))
        ends = [is_inside(graph, op, pixels[0]), is_inside(graph, op, pixels[-1])]
        steps += 1
        if len(pixels) == 4 and first % width + 3 < width and all(ends):
            fours += 1
        else:
            singles += len(pixels)
            patched += sum(not is_inside(graph, op, pixel) for pixel in pixels)
    seen = windows(graph, op)
    assert (seen.steps, seen.patched) == (steps, patched)
    if choose(graph, op).c_name != "tr_pointwise":
        assert (seen.fours, seen.singles) == (fours, singles)


@pytest.mark.parametrize("inputs", [1, 3, 4, 7, 16])
@pytest.mark.parametrize("filters", [2, 5])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 5)])
def test_the_stream_holds_every_weight_once_and_says_where_the_odd_channels_are(
    inputs, filters, kernel
):
    graph = one("conv2d", (6, 6, inputs), filters, kernel=kernel)
    op = graph.ops[0]
    found = tiled.tiles(graph, op)
    words = tiled.stream(op, found)
    assert len(words) == tiled.word_count(op, found)
    ends = np.flatnonzero(words == tiled.END)
    assert len(ends) == 1 + filters % 2
    assert tiled.odd_at(op, found) == (ends[0] + 1 if filters % 2 else 0)
    order = tiled.input_order(op)
    assert sorted(order[order != tiled.NOTHING]) == list(range(op.weights[0].size))
    halves = words[1 : 1 + 2 * tiled.groups(op)].astype(np.int32).view(np.int16).astype(np.int64)
    second = (halves + 128) >> 8
    rows = np.where(order == tiled.NOTHING, 0, op.weights.reshape(filters, -1)[:, order])
    rows[found.constant] = 0
    np.testing.assert_array_equal(halves - 256 * second, rows[0])
    np.testing.assert_array_equal(second, rows[1])


@pytest.mark.parametrize(
    ("graph", "c_name"),
    [
        (one("conv2d", (6, 6, 3), 1), "tr_conv2d_pairs"),  # no second channel
        (one("conv2d", (6, 6, 192), 2), "tr_pointwise"),
        (one("conv2d", (6, 6, 100), 2, kernel=(3, 3)), "tr_conv2d"),
        (one("conv2d", (6, 6, 129), 2, kernel=(3, 3)), "tr_conv2d_pairs"),  # too much scratch
    ],
)
def test_what_tiles_do_not_take_goes_to_the_kernel_of_pairs(graph, c_name):
    row = choose(graph, graph.ops[0])
    assert row.c_name == c_name
    assert row.scratch_bytes(graph, graph.ops[0]) <= MOST_SCRATCH + 2048


def test_a_weight_of_minus_128_is_no_half():
    graph = one("conv2d", (6, 6, 4), 2)
    weights = graph.ops[0].weights.copy()
    weights[0, 0, 0, 0] = -128
    op = replace(graph.ops[0], weights=weights)
    changed = Graph("net", graph.tensors, (op,), ("in",), ("out",))
    assert tiled.tiles(changed, op) is None


@pytest.mark.parametrize("padding", [0, 1])
def test_scratch_has_a_patch_only_where_one_is_needed(padding):
    graph = one("conv2d", (6, 6, 4), 2, kernel=(3, 3), padding=pads(padding))
    row = choose(graph, graph.ops[0])
    assert row.scratch_bytes(graph, graph.ops[0]) == 8 * 36 + 8 + 36 * padding
