"""The table picks exact kernels, fast ones where they are."""

from dataclasses import replace

import numpy as np
import pytest
from conv_cases import one
from engine_nets import networks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.dispatch import KERNELS, choose, layers
from engine.emit import emit
from engine.graph import Graph
from engine.host import HostModel
from engine.reference import run

MANY = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def with_op(graph, **changes):
    op = replace(graph.ops[0], **changes)
    return Graph("net", graph.tensors, (op,), ("in",), ("out",))


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
    ("scale", "kinds"),  # that have a fast kernel
    [
        (2e-3, {"conv2d", "depthwise_conv2d", "fully_connected"}),
        (2.2, set()),  # a factor over 1/2: no right shift
        (1e-8, {"conv2d", "fully_connected"}),  # a shift over 22: every output is constant
    ],
)
@pytest.mark.parametrize("kind", ["conv2d", "depthwise_conv2d", "fully_connected"])
def test_fast_kernels_run_what_they_round_exactly(kind, scale, kinds):
    graph = one(kind, (8, 8, 5), 0 if kind == "depthwise_conv2d" else 6, scale=scale)
    assert choose(graph, graph.ops[0]).plain is (kind not in kinds)


def test_a_large_bias_goes_to_the_plain_kernel():
    graph = one("depthwise_conv2d", (8, 8, 5), 0)
    large = with_op(graph, bias=np.full_like(graph.ops[0].bias, 1 << 30))
    assert choose(large, large.ops[0]).plain


@pytest.mark.parametrize("kind", ["conv2d", "fully_connected"])
def test_constant_channels_do_not_count(kind):
    """A large bias, or hardly any scale: the output is always the same, and exact."""
    graph = one(kind, (8, 8, 5), 6)
    large = with_op(graph, bias=np.full_like(graph.ops[0].bias, 1 << 30))
    x = np.random.default_rng(0).integers(-128, 128, (8, 8, 5)).astype(np.int8)
    for constant in (large, one(kind, (8, 8, 5), 6, scale=1e-8)):
        assert not choose(constant, constant.ops[0]).plain
        with HostModel(emit(constant)) as model:
            np.testing.assert_array_equal(model.run(x), run(constant, x))


@pytest.mark.parametrize("kind", ["conv2d", "depthwise_conv2d"])
def test_channels_without_weights_do_not_slow_the_others(kind):
    """As converters leave them: half of the layers of MLPerf's person detector have some."""
    graph = one(kind, (8, 8, 6), 0 if kind == "depthwise_conv2d" else 6, kernel=(3, 3))
    op = graph.ops[0]
    dead = np.arange(len(op.bias)) < 3
    by_channel = dead if kind == "depthwise_conv2d" else dead[:, None, None, None]
    half = with_op(
        graph,
        weights=np.where(by_channel, 0, op.weights).astype(np.int8),
        weight_scales=np.where(dead, 1e-10, op.weight_scales),
        bias=np.where(dead, (1 << 30) + 64, op.bias).astype(np.int32),
    )
    assert not choose(half, half.ops[0]).plain


def test_plain_is_always_a_choice():
    graph = one("conv2d", (8, 8, 5), 6, kernel=(3, 3))
    assert choose(graph, graph.ops[0]).c_name == "tr_conv2d"
    assert choose(graph, graph.ops[0], plain=True).c_name == "tr_conv2d_plain"
    assert {row.kind for row in KERNELS if row.plain} == {row.kind for row in KERNELS}


def test_fast_rows_stand_before_the_plain_rows_of_their_kind():
    for kind in {row.kind for row in KERNELS}:
        plain = [row.plain for row in KERNELS if row.kind == kind]
        assert plain == sorted(plain)
