"""Features count what the kernels' loops do."""

import numpy as np
import pytest
from conv_cases import one, pads
from graph_strategies import operators
from hypothesis import HealthCheck, given, settings

from engine import features
from engine.strips import STRIP_BYTES, strips

MANY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
STRIPED = [
    one("depthwise_conv2d", (high, 30, channels), kernel=kernel, stride=stride,
        dilation=dilation, padding=pads(padding))
    for high, channels, kernel, stride, dilation, padding in [
        (40, 8, (3, 3), (1, 1), (1, 1), 1),
        (40, 5, (3, 3), (2, 2), (1, 1), 0),
        (41, 3, (5, 5), (1, 2), (2, 1), (8, 8, 2, 2)),
        (60, 7, (2, 2), (5, 1), (1, 3), 0),
    ]
]  # fmt: skip


def window(op, at, size, axis):
    """Places of the taps of one window along an axis, None where they lie outside."""
    before = op.padding.top if axis == 0 else op.padding.left
    first = at * op.stride[axis] - before
    places = [first + tap * op.dilation[axis] for tap in range(op.kernel[axis])]
    return [place if 0 <= place < size else None for place in places]


@MANY
@given(operators("conv2d"))
def test_gathered_patches_are_counted(graph):
    """conv2d.c in slow motion: bytes copied and filled, pixel by pixel."""
    op = graph.ops[0]
    in_h, in_w, in_c = graph.tensor("a").shape
    out_h, out_w, _ = graph.tensor("out").shape
    copied = filled = words = 0
    for y, x in np.ndindex(out_h, out_w):
        for row in window(op, y, in_h, 0):
            columns = window(op, x, in_w, 1) if row is not None else [None] * op.kernel[1]
            inside = sum(column is not None for column in columns)
            copied += inside * in_c
            filled += (len(columns) - inside) * in_c
            pieces = [inside * in_c] if op.dilation == (1, 1) else [in_c] * inside
            words += sum(piece // 4 for piece in pieces)
    found = features.conv2d(graph, op)
    assert found["copied_words"] == words
    assert found["copied_bytes"] == copied - 4 * words
    assert found["filled_bytes"] == filled


def check_depthwise(graph):
    """depthwise.c in slow motion: rows gathered and kept, strip by strip."""
    op = graph.ops[0]
    in_h, in_w, in_c = graph.tensor(graph.input).shape
    out_h, _, _ = graph.tensor(graph.output).shape
    strip = strips(graph, op)
    known, lines, kept = set(), [], 0
    for first in range(0, out_h, strip.rows):
        last = min(first + strip.rows, out_h) - 1
        top = first * op.stride[0] - op.padding.top
        wanted = range(top, last * op.stride[0] - op.padding.top + op.reach[0])
        kept += len(known & set(wanted))
        lines += [y for y in wanted if y not in known]
        known = set(wanted)
    columns = [x - op.padding.left for x in range(strip.width)]
    inside = sum(0 <= y < in_h for y in lines) * sum(0 <= x < in_w for x in columns)
    found = features.depthwise(graph, op)
    quads, tail = divmod(in_c, 4)
    every = quads + (tail > 0)
    assert found["gathered_rows"] == every * len(lines)
    assert found["gathered_words"] == quads * inside
    assert found["tail_words"] == (tail > 0) * inside
    assert found["filled_words"] == every * (len(lines) * strip.width - inside)
    assert found["kept_words"] == every * kept * strip.width
    assert found["strips"] == every * -(-out_h // strip.rows)
    assert strip.rows == 1 or strip.scratch_bytes <= STRIP_BYTES
    return found


@MANY
@given(operators("depthwise_conv2d").filter(lambda graph: graph.ops[0].weights.shape[2] < 4))
def test_gathered_rows_of_small_layers_are_counted(graph):
    if graph.tensor("a").shape[2] == graph.tensor("out").shape[2]:
        check_depthwise(graph)


@pytest.mark.parametrize("graph", STRIPED, ids=lambda graph: str(graph.ops[0].stride))
def test_rows_that_strips_share_are_gathered_once(graph):
    found = check_depthwise(graph)
    op, (in_h, _, in_c) = graph.ops[0], graph.tensor("in").shape
    quads = -(-in_c // 4)
    assert found["strips"] > quads
    assert found["gathered_rows"] <= quads * (in_h + op.padding.top + op.padding.bottom)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 7])
def test_tails_run_the_straight_code_of_their_width(width):
    graph = one("depthwise_conv2d", (9, 9, 7), kernel=(3, width))
    found = features.depthwise(graph, graph.ops[0])
    rows = 2 * 3 * 7 * (9 - width + 1)
    straight = {n: found[f"rows_{n}"] for n in features.UNROLLED_WIDTHS}
    assert straight == {n: rows * (n == width) for n in features.UNROLLED_WIDTHS}
    assert found["looped_rows"] == (0 if width in straight else rows)


def test_dilated_rows_are_never_straight():
    graph = one("depthwise_conv2d", (9, 9, 4), kernel=(3, 3), dilation=(1, 2))
    found = features.depthwise(graph, graph.ops[0])
    assert found["looped_taps"] == 9 * 7 * 5
    assert found["rows_3"] == 0
