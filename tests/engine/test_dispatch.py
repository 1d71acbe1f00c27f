"""The table picks exact kernels, and its features count what the kernels' loops do."""

from dataclasses import replace

import numpy as np
import pytest
from engine_nets import Maker, networks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import features
from engine.dispatch import KERNELS, choose, layers
from engine.emit import emit
from engine.graph import Graph, Op, Padding, Quant, Tensor
from engine.tables import channels

MANY = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
Q = Quant(0.05, 3)


def one_conv(
    kind="conv2d", shape=(8, 8, 5), cout=6, kernel=(3, 3), stride=(1, 1), scale=1e-3, pad=1
):
    rng = np.random.default_rng(0)
    padding = Padding(pad, pad, pad, pad)
    cout = shape[2] if kind == "depthwise_conv2d" else cout
    form = (*kernel, shape[2]) if kind == "depthwise_conv2d" else (cout, *kernel, shape[2])
    side = [(n + 2 * pad - k) // s + 1 for n, k, s in zip(shape, kernel, stride, strict=False)]
    op = Op(
        kind, "op", ("in",), "out", kernel, stride, padding,
        weights=rng.integers(-127, 128, form).astype(np.int8),
        weight_scales=np.full(cout, scale), bias=np.zeros(cout, np.int32),
    )  # fmt: skip
    return Graph(
        "g", (Tensor("in", shape, Q), Tensor("out", (*side, cout), Q)), (op,), ("in",), ("out",)
    )


@MANY
@given(networks(), st.booleans())
def test_every_feature_is_finite_and_not_negative(graph, plain):
    for layer in layers(graph, plain=plain):
        assert layer.features["calls"] == 1
        assert all(np.isfinite(value) and value >= 0 for value in layer.features.values())


@MANY
@given(networks())
def test_layers_are_those_of_the_emitted_model(graph):
    assert layers(graph) == emit(graph).layers


@pytest.mark.parametrize(
    ("graph", "kernel"),
    [
        (one_conv(), "tr_conv2d"),
        (one_conv(kernel=(1, 1), pad=0), "tr_pointwise"),
        (one_conv(kernel=(1, 1), stride=(2, 2), pad=0), "tr_conv2d"),
        (one_conv("depthwise_conv2d"), "tr_depthwise"),
        (one_conv(scale=0.7), "tr_conv2d_plain"),  # a factor over 1/2: no right shift
        (one_conv(scale=1e-9), "tr_conv2d_plain"),  # a shift over 22
    ],
)
def test_fast_kernels_run_what_they_round_exactly(graph, kernel):
    assert choose(graph, graph.ops[0]).c_name == kernel


def test_a_large_bias_goes_to_the_plain_kernel():
    graph = one_conv()
    op = replace(graph.ops[0], bias=np.full(6, 1 << 30, np.int32))
    large = Graph("g", graph.tensors, (op,), ("in",), ("out",))
    assert channels(large, op).acc_bound >= 1 << 30
    assert choose(large, op).c_name == "tr_conv2d_plain"


@pytest.mark.parametrize("kind", ["conv2d", "depthwise_conv2d"])
def test_channels_without_weights_do_not_slow_the_others(kind):
    """As converters leave them: half of the layers of MLPerf's person detector have some."""
    graph = one_conv(kind)
    op = graph.ops[0]
    dead = np.arange(len(op.bias)) < 3
    by_channel = dead if kind == "depthwise_conv2d" else dead[:, None, None, None]
    op = replace(
        op, weights=np.where(by_channel, 0, op.weights).astype(np.int8),
        weight_scales=np.where(dead, 1e-10, op.weight_scales),
        bias=np.where(dead, (1 << 30) + 64, op.bias).astype(np.int32),
    )  # fmt: skip
    assert not choose(Graph("g", graph.tensors, (op,), ("in",), ("out",)), op).plain


def test_plain_is_always_a_choice():
    graph = one_conv()
    assert choose(graph, graph.ops[0], plain=True).c_name == "tr_conv2d_plain"
    assert {row.kind for row in KERNELS if row.plain} == {row.kind for row in KERNELS}


@st.composite
def windows(draw):
    maker = Maker(lambda low, high: draw(st.integers(low, high)))
    return maker.add_op(draw(st.sampled_from(["conv2d", "depthwise_conv2d"]))).graph()


@MANY
@given(windows())
def test_gather_counts_mirror_the_loops(graph):
    """Walk the loops of conv2d.c and depthwise.c in slow motion."""
    op = graph.ops[0]
    in_h, in_w, in_c = graph.tensor("in").shape
    out_h, out_w, _ = graph.tensor(op.output).shape
    if op.kind == "conv2d":
        copied, filled = 0, 0
        for y, x, row in np.ndindex(out_h, out_w, op.kernel[0]):
            left = x * op.stride[1] - op.padding.left
            inside = sum(0 <= left + tap < in_w for tap in range(op.kernel[1]))
            if not 0 <= y * op.stride[0] - op.padding.top + row < in_h:
                inside = 0
            copied += inside * in_c
            filled += (op.kernel[1] - inside) * in_c
        found = features.conv2d(graph, op)
        assert found["copied_words"] * 4 + found["copied_bytes"] == copied
        assert found["filled_bytes"] == filled
    else:
        strip = features.strips(graph, op)
        starts = range(0, out_h, strip.rows)
        rows = [(min(strip.rows, out_h - y) - 1) * op.stride[0] + op.kernel[0] for y in starts]
        assert strip.gathered_rows == sum(rows)
        assert strip.scratch_bytes == 4 * strip.width * max(rows)
        columns = [x - op.padding.left for x in range(strip.width)]
        lines = [
            y * op.stride[0] - op.padding.top + line
            for y, high in zip(starts, rows, strict=True)
            for line in range(high)
        ]
        inside = sum(0 <= y < in_h for y in lines) * sum(0 <= x < in_w for x in columns)
        found = features.depthwise(graph, op)
        quads, tail = divmod(in_c, 4)
        assert found["gathered_words"] == quads * inside
        assert found["filled_words"] == (quads + (tail > 0)) * (sum(rows) * strip.width - inside)
        assert strip.rows == 1 or strip.scratch_bytes <= features.STRIP_BYTES
