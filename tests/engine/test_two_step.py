"""The four-instruction requantisation is the double rounding on every sum that can be reached."""

import dataclasses

import numpy as np
import pytest
from conv_cases import one
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.graph import Graph
from engine.numerics import requantize, wrap_int32
from engine.reference import run_all
from engine.two_step import MOST_SUM, SHIFTS, two_step


def short(x, factor, addend, shift):
    """As code computes it: SMMLA, ASR and SSAT."""
    return np.clip((addend + (x * factor >> 32)) >> shift, -128, 127)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.integers(1 << 30, (1 << 31) - 1), st.sampled_from(SHIFTS),
    st.integers(1 - MOST_SUM, MOST_SUM - 1),
)  # fmt: skip
def test_the_form_is_the_reference_at_every_step_and_anywhere(multiplier, right, anywhere):
    shift = right + 7
    addend = (1 << 6) + (1 << (shift - 1)) - (128 << shift)
    steps = np.rint((np.arange(-3, 258) - 0.5) * 2.0 ** (31 + right) / multiplier)
    acc = (steps.astype(np.int64)[:, None] + np.arange(-2, 3)).ravel()
    acc = np.append(acc, [anywhere, 0, -1, 1, 1 - MOST_SUM, MOST_SUM - 1])
    acc = acc[np.abs(acc) < MOST_SUM]
    assert abs(addend) + (MOST_SUM << 7) < 1 << 31
    wanted = np.clip(requantize(acc, multiplier, -right).astype(np.int64) - 128, -128, 127)
    np.testing.assert_array_equal(short(acc << 8, multiplier, addend, shift), wanted)


@pytest.mark.parametrize("scale", [2e-3, 0.1, 8e-5])
def test_a_rectified_layer_is_computed_with_the_words_of_its_channels(scale):
    graph = one("conv2d", (6, 6, 16), 8, scale, zero=-128)
    op, found = graph.ops[0], two_step(graph, graph.ops[0])
    assert found is not None
    x = np.random.default_rng(0).integers(-128, 128, (6, 6, 16)).astype(np.int8)
    sums = x.reshape(-1, 16).astype(np.int64) @ op.weights.reshape(8, 16).T.astype(np.int64)
    sums = wrap_int32((np.where(found.constant, 0, sums) << 8) + found.bias)
    got = short(sums, found.factor, found.addend, found.shift)
    np.testing.assert_array_equal(got, run_all(graph, x)["out"].reshape(-1, 8))


def changed(graph, **parts):
    op = dataclasses.replace(graph.ops[0], **parts)
    return Graph("net", graph.tensors, (op,), ("in",), ("out",))


def test_constant_channels_lose_their_weights_and_keep_their_value():
    graph = one("conv2d", (6, 6, 16), 8, zero=-128)
    scales, bias = graph.ops[0].weight_scales.copy(), graph.ops[0].bias.copy()
    scales[2], bias[2] = 1e-10, 1 << 28
    graph = changed(graph, weight_scales=scales, bias=bias)
    found = two_step(graph, graph.ops[0])
    assert found.constant.tolist() == [c == 2 for c in range(8)]
    value = short(found.bias, found.factor, found.addend, found.shift)[2]
    assert (run_all(graph, np.zeros((6, 6, 16), np.int8))["out"][..., 2] == value).all()


def test_other_layers_are_refused():
    others = [
        one("conv2d", (6, 6, 16), 8, zero=5),
        one("conv2d", (6, 6, 16), 8, 9.0, zero=-128),  # a factor above one
        one("conv2d", (6, 6, 16), 8, 2e-5, zero=-128),  # one that leaves the addend no bits
    ]
    assert not any(two_step(graph, graph.ops[0]) for graph in others)
