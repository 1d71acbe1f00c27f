"""Rows of pools, and their kernels at the ends of what they hold."""

import numpy as np
import pytest
from given_cases import check_on
from kernel_machines import MACHINES

from engine.dispatch import choose
from engine.graph import Graph, Op, Padding, Quant, Tensor


def pool(kind, shape, kernel, stride=(1, 1), pad=0, clamp=(-128, 127)):
    size = [(n + 2 * pad - k) // s + 1 for n, k, s in zip(shape[:2], kernel, stride, strict=True)]
    quant = Quant(0.1, 3)
    op = Op(kind, kind, ("a",), "out", kernel, stride, Padding(pad, pad, pad, pad), clamp)
    tensors = (Tensor("a", shape, quant), Tensor("out", (*size, shape[2]), quant))
    return Graph("net", tensors, (op,), ("a",), ("out",))


@pytest.mark.parametrize("name", MACHINES)
def test_the_larger_of_every_pair_of_values_in_every_byte_of_a_word(name):
    one, two = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))
    pairs = np.stack([one, two], -1).reshape(-1, 2).astype(np.int8)
    words = np.stack([np.roll(pairs, 97 * byte, 0) for byte in range(4)], -1)
    halves = words.reshape(2, 128, 512, 4)
    graph = pool("max_pool2d", halves[0].shape, (1, 2), (1, 2))
    kernels = check_on(name, [(graph, x) for x in halves])
    assert kernels == ["tr_max_pool", "tr_max_pool_plain"] * 2


@pytest.mark.parametrize("name", MACHINES)
def test_averages_of_the_most_that_16_bits_hold_are_exact(name):
    ends = [np.full((17, 16, 5), value, np.int8) for value in (-128, 127)]
    within = [(pool("average_pool2d", x.shape, (17, 15)), x) for x in ends]
    beyond = [(pool("average_pool2d", x.shape, (16, 16)), x) for x in ends]
    kernels = check_on(name, within + beyond)
    assert kernels == ["tr_average_pool", "tr_average_pool_plain"] * 2 + kernels[-1:] * 2


def test_max_pool_counts_its_loops():
    graph = pool("max_pool2d", (4, 4, 6), (3, 3), (2, 2), pad=1, clamp=(0, 127))
    row = choose(graph, graph.ops[0])
    rows = columns = 2 + 3  # of the two windows along an axis, inside of the image
    assert row.features(graph, graph.ops[0]) == {
        "calls": 1, "pixels": 4, "quads": 4, "quad_rows": rows * 2, "quad_taps": rows * columns,
        "tail_outputs": 8, "tail_taps": rows * columns * 2, "small_quads": 1, "clamped": 24,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kernel", "stride", "pad", "border", "small"),
    [((2, 2), 2, 0, 0, 4), ((2, 2), 2, 1, 8, 1), ((3, 3), 1, 1, 12, 0), ((1, 2), 1, 0, 12, 0)],
)
def test_average_pool_counts_what_is_divided_as_defined(kernel, stride, pad, border, small):
    graph = pool("average_pool2d", (4, 4, 6), kernel, (stride, stride), pad=pad)
    found = choose(graph, graph.ops[0]).features(graph, graph.ops[0])
    assert (found["border_quads"], found["small_quads"]) == (border, small)


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("kernel", [(2, 2), (3, 1), (2, 3), (4, 3)])
def test_averages_of_every_sum_of_a_window_are_exact(name, kernel):
    """A column of windows whose sums go from the least to the most, one up at a time."""
    taps = kernel[0] * kernel[1]
    sums = np.arange(-128 * taps, 127 * taps + 1)
    base, more = np.divmod(sums, taps)
    windows = np.minimum(base[:, None] + (np.arange(taps) < more[:, None]), 127).astype(np.int8)
    rows = windows.reshape(-1, *kernel).transpose(1, 0, 2).reshape(1, kernel[0], -1)
    x = np.repeat(rows[0][:, :, None], 5, axis=2)
    graph = pool("average_pool2d", x.shape, kernel, kernel)
    assert check_on(name, [(graph, x)]) == ["tr_average_pool", "tr_average_pool_plain"]


@pytest.mark.parametrize("kind", ["average_pool2d", "max_pool2d"])
@pytest.mark.parametrize("plain", [False, True])
def test_pools_that_shrink_the_image_work_in_place(kind, plain):
    graph = pool(kind, (8, 8, 8), (2, 2), (2, 2))
    assert choose(graph, graph.ops[0], plain=plain).lead_bytes(graph, graph.ops[0]) == 0
