"""First convolutions: which go to their kernel, and what it does is counted."""

import pytest
from conv_cases import one, pads

from engine.dispatch import choose
from engine.rows import image

BEHIND = pads((0, 1, 0, 1))


def rgb(shape=(8, 8, 3), **attributes):
    return one("conv2d", shape, 4, **{"kernel": (3, 3), "padding": pads(1), **attributes})


@pytest.mark.parametrize(
    ("graph", "is_image"),
    [
        (rgb(), True),
        (rgb(stride=(2, 2), padding=BEHIND), True),
        (rgb((8, 6, 3)), False),  # a row of windows is no multiple of four
        (rgb((8, 8, 4)), False),
        (rgb(dilation=(2, 2), padding=pads(2)), False),
        (rgb(kernel=(5, 5), padding=pads(2)), False),
    ],
)
def test_images_of_three_channels_have_their_own_kernel(graph, is_image):
    assert (choose(graph, graph.ops[0]).c_name == "tr_conv2d_rgb") is is_image


@pytest.mark.parametrize(
    ("graph", "fours", "patched", "patch"),
    [
        (rgb(), 16, 16, 3 * 6 * 3),
        (rgb((8, 12, 3)), 24, 8 * 2 + 2, 3 * 6 * 3),
        (rgb((16, 16, 3), stride=(2, 2), padding=BEHIND), 16, 8 + 1, 3 * 9 * 3),
        (rgb((6, 10, 3), padding=pads(0)), 8, 0, 3 * 6 * 3),
    ],
)
def test_fours_at_borders_are_counted(graph, fours, patched, patch):
    op = graph.ops[0]
    counts = image.count(graph, op)
    assert (counts["fours"], counts["patched"]) == (fours, patched)
    assert counts["patched_bytes"] == patched * patch
    assert counts["tiles"] == 2 * fours


@pytest.mark.parametrize("padding", [0, 1])
def test_scratch_has_columns_only_where_windows_reach_over_the_border(padding):
    graph = rgb((8, 10 - 2 * padding, 3), padding=pads(padding))
    assert image.scratch_bytes(graph, graph.ops[0]) == 8 * 28 + 8 + 56 * padding
