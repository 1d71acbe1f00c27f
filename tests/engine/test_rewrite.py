"""The table of rewrites as a whole: exact, finished, and what it does to real networks."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rewrite_nets import Net, assert_same, inputs_for, kinds, random_net

from engine import reference
from engine.errors import GraphError
from engine.graph import Quant
from engine.load.tflite import load_tflite
from engine.options import Pad
from engine.rewrite import MAX_ROUNDS, REWRITES, rewrite

MODELS = Path(__file__).parents[3] / "shared" / "models"


def test_rows_have_names_of_their_own_and_a_reason():
    assert len({row.name for row in REWRITES}) == len(REWRITES)
    assert all(row.why for row in REWRITES)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1 << 32))
def test_a_rewritten_network_computes_the_same_and_is_finished(seed):
    graph = random_net(seed)
    result = rewrite(graph)
    if result.applied:
        assert_same(graph, result.graph)
        assert not rewrite(result.graph).applied
    assert result.graph.macs <= graph.macs


def pad_then_relu():
    """A pad and a convolution, then a ReLU of the same quantisation, then a softmax."""
    net = Net(1, (4, 4, 2))
    quant = net.tensors[0].quant
    options = Pad((1, 1, 0), (1, 1, 0), quant.zero_point)
    net.append("pad", ("in",), (6, 6, 2), quant, options=options)
    weights = net.weights((3, 3, 3, 2), 3)
    net.append("conv2d", ("t0",), (4, 4, 3), Quant(0.05, 3), kernel=(3, 3), **weights)
    net.append("relu", ("t1",), (4, 4, 3), Quant(0.05, 3), clamp=(3, 127))
    net.grow("softmax", "t2")
    return net.graph()


def test_rows_are_chosen_by_name():
    graph = pad_then_relu()
    assert kinds(rewrite(graph, ["clamp_before"]).graph) == ["pad", "conv2d", "softmax"]
    assert rewrite(graph, []).graph is graph
    assert kinds(rewrite(graph).graph) == ["conv2d", "softmax"]


def test_rows_that_applied_are_counted():
    assert rewrite(pad_then_relu(), ["clamp_before", "pad_in_windows"]).applied == {
        "clamp_before": 1, "pad_in_windows": 1
    }  # fmt: skip


def test_an_unknown_row_is_named_with_those_that_exist():
    with pytest.raises(GraphError, match=r"'fuse'.*clamp_before"):
        rewrite(pad_then_relu(), ["fuse"])


def test_long_chains_end_within_the_rounds():
    net = Net(2, (3, 1, 2))
    quant, last = net.tensors[0].quant, "in"
    for index in range(40):
        kind = ("reshape", "relu", "transpose")[index % 3]
        if kind == "reshape":
            last = net.append(kind, (last,), (3, 1, 2), quant)
        elif kind == "relu":
            last = net.append(kind, (last,), (3, 1, 2), quant, clamp=(index - 100, 127))
        else:
            last = net.grow("transpose", last)
            last = net.append("reshape", (last,), (3, 1, 2), quant)
    graph = net.graph()
    result = rewrite(graph)
    assert max(result.applied.values()) < MAX_ROUNDS
    assert len(result.graph.ops) < len(graph.ops)
    assert not rewrite(result.graph).applied
    assert_same(graph, result.graph)


def model(name):
    path = MODELS / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the project")
    return load_tflite(path)


def weight_count(graph):
    return sum(op.weights.size for op in graph.ops if op.weights is not None)


def test_half_of_the_person_model_is_constant():
    graph = model("mlperf_vww_96_int8")
    changed = rewrite(graph).graph
    assert graph.macs == 7_489_664
    assert changed.macs == 3_727_313
    assert (weight_count(graph), weight_count(changed)) == (208_112, 29_066)
    x = np.concatenate([inputs_for(graph, 6)[graph.input], flat_images(graph)])
    before, after = reference.run_all(graph, x), reference.run_all(changed, x)
    logits = [g.ops[-1].inputs[0] for g in (graph, changed)]
    assert len(np.unique(before[logits[0]])) > 3  # the softmax alone would hide a lot
    np.testing.assert_array_equal(before[logits[0]], after[logits[1]])
    np.testing.assert_array_equal(before[graph.output], after[graph.output])


def flat_images(graph):
    """int8 [N, H, W, C] of one value each, and of a bright half beside a dark one."""
    shape = graph.tensor(graph.input).shape
    flat = [np.full(shape, value, np.int8) for value in (-64, 0, 64)]
    halves = np.full(shape, -128, np.int8)
    halves[:, shape[1] // 2 :] = 127
    return np.stack([*flat, halves, halves.transpose(1, 0, 2)])


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("mlperf_kws_dscnn_int8", {"skip_reshapes": 1}),
        ("mlperf_ic_resnet8_int8", {"skip_reshapes": 1}),
        ("mlperf_ad01_int8", {}),
        ("tflm_micro_speech_int8", {"depthwise_to_conv": 1}),
    ],
)
def test_other_models_keep_their_channels(name, rows):
    graph = model(name)
    result = rewrite(graph)
    assert result.applied == rows
    assert result.graph.macs == graph.macs
    assert weight_count(result.graph) == weight_count(graph)
    assert_same(graph, result.graph)
