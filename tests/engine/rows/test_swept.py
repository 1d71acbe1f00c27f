"""The depthwise convolution two taps at a time: its stream, its scratch, its counted work."""

import kernel_machines
import numpy as np
import pytest
from conv_cases import one, pads
from kernel_cases import every_case, kernel_files, swept

from engine.dispatch import choose
from engine.swept import (
    BLOCKS,
    FEW_SLOTS,
    MANY_SLOTS,
    MOST_SCRATCH,
    TALL_SLOTS,
    slots,
    stream,
    sweeps,
    word_count,
)

LAYERS = [graph for graph in swept() if sweeps(graph, graph.ops[0])]


def ids(graph):
    op = graph.ops[0]
    return f"{graph.tensor('in').shape}-{op.kernel[0]}-{op.stride[0]}"


def pair_tops(graph):
    """swept.c in slow motion: the first row of each pair that is taken, strip by strip."""
    op, (out_h, _, _) = graph.ops[0], graph.tensor("out").shape
    held, stride = slots(graph, op), graph.ops[0].stride[0]
    size, taken = op.kernel[0], []
    rows = (2 * held + 1 - size) // stride
    for first in range(0, out_h, rows):
        last = min(first + rows, out_h) - 1
        top, bottom = first * stride - op.padding.top, last * stride - op.padding.top + size - 1
        pairs = range(top, bottom + 1, 2)
        assert len(pairs) <= held
        taken += [pair for pair in pairs if pair not in taken]
    return taken


@pytest.mark.parametrize("graph", LAYERS, ids=ids)
def test_pairs_of_rows_are_counted(graph):
    op = graph.ops[0]
    in_h, in_w, in_c = graph.tensor("in").shape
    out_h, out_w, _ = graph.tensor("out").shape
    tops, every = pair_tops(graph), -(-in_c // 4)
    quads = every if in_c >= 4 else 0
    block = BLOCKS[op.kernel[0]]
    width = (-(-out_w // block) * block - 1) * op.stride[1] + op.kernel[0]
    width += (block > 1) * (width % 2)
    inside = min(in_w, width - op.padding.left)
    both = sum(top >= 0 and top + 1 < in_h for top in tops)
    outside = sum(top + 1 < 0 or top >= in_h for top in tops)
    found = choose(graph, op).features(graph, op)
    assert found["pairs"] == every * len(tops)
    assert found["pair_columns"] == quads * both * inside
    assert found["edge_columns"] == quads * (len(tops) - both - outside) * inside
    assert found["tail_columns"] == (in_c < 4) * (len(tops) - outside) * inside
    assert found["filled_columns"] == width - inside + every * outside * inside
    assert found[f"outputs_{op.kernel[0]}_{op.stride[0]}"] == out_h * out_w * in_c


@pytest.mark.parametrize("graph", LAYERS[::3], ids=ids)
def test_the_stream_holds_each_weight_where_its_row_wants_it(graph):
    """Even bytes of a column of words are its weights, odd bytes the same one row lower."""
    op, found = graph.ops[0], sweeps(graph, graph.ops[0])
    size, before = op.kernel[0], found.before.shape[1]
    words = stream(op, found).reshape(-1, word_count(op, found)).astype(np.int32)
    weights = np.where(found.constant, 0, op.weights).transpose(2, 1, 0)
    np.testing.assert_array_equal(words[:, :before], found.before)
    if size == 3:
        taps = words[:, before : before + 3].copy().view(np.int8).reshape(-1, 3, 4)
        np.testing.assert_array_equal(taps, weights[:, :, [0, 1, 1, 2]])
        return
    ends = before + found.behind.shape[1]
    taps = words[:, ends:].copy().view(np.int8).reshape(len(words), -1, size, 4)
    upper = taps.transpose(0, 2, 1, 3)[..., ::2].reshape(len(words), size, -1)
    lower = taps.transpose(0, 2, 1, 3)[..., 1::2].reshape(len(words), size, -1)
    np.testing.assert_array_equal(upper, np.pad(weights, ((0, 0), (0, 0), (0, 1))))
    np.testing.assert_array_equal(lower, np.pad(weights, ((0, 0), (0, 0), (1, 0))))


@pytest.mark.parametrize(
    ("height", "width", "held"),
    [(6, 5, MANY_SLOTS), (6, 26, MANY_SLOTS), (6, 27, FEW_SLOTS), (6, 48, FEW_SLOTS),
     (12, 5, MANY_SLOTS), (13, 5, TALL_SLOTS), (13, 12, TALL_SLOTS), (13, 13, MANY_SLOTS)],
)  # fmt: skip
def test_wide_rows_have_few_slots_and_tall_maps_many(height, width, held):
    graph = one("depthwise_conv2d", (height, width, 8), kernel=(3, 3), padding=pads(1))
    op, row = graph.ops[0], choose(graph, graph.ops[0])
    assert slots(graph, op) == held
    assert row.scratch_bytes(graph, op) == 16 * held * (width + 2) <= MOST_SCRATCH
    assert row.lead_bytes(graph, op) == 0


def test_a_large_kernel_on_wide_rows_goes_to_the_kernel_of_one_tap():
    graph = one("depthwise_conv2d", (9, 60, 4), kernel=(7, 7), padding=pads(3))
    assert choose(graph, graph.ops[0]).c_name == "tr_depthwise"


@pytest.mark.parametrize("cpu", ["cortex-m4", "cortex-m7"])
def test_sweeps_compiled_for_size_are_as_exact(cpu, monkeypatch):
    """They have other loops, see TURNS in sweep.c, PAIRS in pairs.c, LOOPS in columns.c."""
    files = kernel_files()
    for name in ("sweep.c", "pairs.c", "columns.c"):
        files[name] = f"#define __OPTIMIZE_SIZE__ 1\n{files[name]}"
    monkeypatch.setattr(kernel_machines, "kernel_files", lambda: files)
    cases = [case for case in every_case() if case.row.c_name == "tr_depthwise_swept"]
    runner = kernel_machines.ArmMachine(cases, cpu)
    for index, case in enumerate(cases):
        kernel_machines.check(runner, index, case)
