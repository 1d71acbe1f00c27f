"""The short requantisation is the double rounding on every sum that can be reached."""

import numpy as np
import pytest
from conv_cases import OUTPUT, one
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bounds import Interval
from engine.corridor import middles
from engine.graph import Graph, Op
from engine.numerics import requantize, wrap_int32
from engine.reference import run_all
from engine.requantise import SHIFTS, fit, one_shift, proves
from engine.staircase import staircase

MANY = settings(max_examples=150, deadline=None, derandomize=True)
FULL = (-128, 127)


def reference(acc, multiplier, shift, zero, clamp=FULL):
    scaled = requantize(acc, multiplier, -np.asarray(shift)).astype(np.int64)
    return np.clip(scaled + zero, *clamp)


def short(acc, beta, factor, shift):
    """As the code computes it."""
    x = wrap_int32((acc << 8) + beta)
    return np.clip(x * factor >> 32 >> shift, *FULL)


def channels(*columns):
    return (np.array(column, np.int64) for column in zip(*columns, strict=True))


multipliers = st.integers(1 << 30, (1 << 31) - 1)
ends = st.tuples(st.integers(-(1 << 22), 1 << 22), st.integers(-(1 << 22), 1 << 22)).map(sorted)
clamps = st.one_of(st.just(FULL), st.tuples(st.integers(-128, 127), st.integers(-128, 127)).map(
    lambda pair: tuple(sorted(pair))))  # fmt: skip


@MANY
@given(multipliers, st.integers(0, 22), st.integers(-128, 127), clamps, ends)
def test_steps_are_those_of_the_double_rounding(multiplier, shift, zero, clamp, low_high):
    m, e, low, high = channels((multiplier, shift, *low_high))
    steps = staircase(m, e, zero, clamp, Interval(low, high))
    assert steps.known.all()
    first, levels = steps.first[0], steps.levels
    inside = np.abs(first) < 1 << 30
    assert (reference(first, m, e, zero, clamp) >= levels)[inside].all()
    assert (reference(first - 1, m, e, zero, clamp) < levels)[inside].all()


@MANY
@given(
    multipliers, st.integers(0, 14), st.sampled_from([-128, -128, -100, 0, 127]), clamps, ends,
    st.sampled_from(SHIFTS),
)  # fmt: skip
def test_what_is_proven_is_the_reference_near_every_step_and_at_both_ends(
    multiplier, shift, zero, clamp, low_high, one
):
    m, e, low, high = channels((multiplier, shift, *low_high))
    steps = staircase(m, e, zero, clamp, Interval(low, high))
    found = fit(steps, one)
    if not found.proven.all():
        return
    near = steps.first[0][:, None] + np.arange(-2, 3)
    acc = np.concatenate([near.ravel(), low, high, [(low[0] + high[0]) // 2]])
    acc = acc[(acc >= low) & (acc <= high)]
    got = np.clip(short(acc, found.beta, found.factor, one), *clamp)
    np.testing.assert_array_equal(got, reference(acc, m, e, zero, clamp))


@pytest.mark.parametrize("shift", SHIFTS)
def test_rectified_channels_of_usual_scales_fit(shift):
    rng = np.random.default_rng(shift)
    m, e = rng.integers(1 << 30, 1 << 31, 400), rng.integers(shift - 5, shift - 2, 400)
    reached = Interval(np.full(400, -(1 << 16)), np.full(400, 1 << 16))
    steps = staircase(m, e, -128, FULL, reached)
    found = fit(steps, shift)
    assert found.proven.mean() > 0.98
    acc = np.arange(-(1 << 16), (1 << 16) + 1)
    for c in np.flatnonzero(found.proven)[:20]:
        got = short(acc, found.beta[c], found.factor[c], shift)
        np.testing.assert_array_equal(got, reference(acc, m[c], e[c], -128))


@MANY
@given(multipliers, st.integers(3, 9), st.integers(-300, 300), st.integers(-3000, 3000))
def test_nothing_wrong_is_proven(multiplier, shift, off_beta, off_factor):
    """Other constants near the right ones: proven exactly if right on every accumulator."""
    m, e, low, high = channels((multiplier, shift, -2000, 20000))
    steps = staircase(m, e, -128, FULL, Interval(low, high))
    found = fit(steps, SHIFTS[0])
    beta, factor = found.beta + off_beta, found.factor + off_factor
    acc = np.arange(-2000, 20001)
    right = (short(acc, beta, factor, SHIFTS[0]) == reference(acc, m, e, -128)).all()
    assert proves(steps, beta, factor, SHIFTS[0])[0] == (right and factor[0] > 0)


@MANY
@given(multipliers, st.integers(1, 12), st.sampled_from([-128, 0, 5]), ends)
def test_where_no_line_is_left_no_bias_and_factor_are_right(multiplier, shift, zero, low_high):
    """As the search for them did it before: every bias near the best, its middle factor."""
    m, e, low, high = channels((multiplier, shift, *low_high))
    steps = staircase(m, e, zero, FULL, Interval(low, high))
    if not np.isnan(middles(steps)[0]):
        return
    best = np.rint(256 * steps.offset / steps.slope)
    assert not any(fit(steps, one, best).proven.any() for one in SHIFTS)


def test_halves_on_both_sides_of_the_zero_point_have_no_proof():
    graph = one("conv2d", (8, 8, 16), 8)
    assert OUTPUT.zero_point == 5
    assert one_shift(graph, graph.ops[0]) is None


def rectified(kind):
    return one(kind, (6, 6, 16), 0 if kind == "depthwise_conv2d" else 8, zero=-128)


@pytest.mark.parametrize("kind", ["conv2d", "depthwise_conv2d", "fully_connected"])
def test_a_layer_is_computed_with_the_words_of_its_channels(kind):
    """Sums of the raw inputs, constant channels without weights, through the short form."""
    graph = rectified(kind)
    op = graph.ops[0]
    found = one_shift(graph, op)
    assert found is not None
    x = np.random.default_rng(0).integers(-128, 128, (6, 6, 16)).astype(np.int8)
    wanted = run_all(graph, x)["out"].reshape(-1, len(op.bias))
    weights = {
        "conv2d": lambda: op.weights.reshape(8, 16).T,
        "depthwise_conv2d": lambda: op.weights.reshape(-1),
        "fully_connected": lambda: op.weights.T,
    }[kind]().astype(np.int64)  # fmt: skip
    flat = x.astype(np.int64).reshape(-1, 16 if kind != "fully_connected" else x.size)
    sums = flat * weights if kind == "depthwise_conv2d" else flat @ weights
    sums = np.where(found.constant, 0, sums)
    got = short(sums, found.bias, found.factor, found.shift)
    np.testing.assert_array_equal(got, wanted)


def test_constant_channels_lose_their_weights_and_keep_their_value():
    """As converters leave them: any weights, a tiny scale and a huge bias."""
    op = rectified("conv2d").ops[0]
    scales, bias = op.weight_scales.copy(), op.bias.copy()
    scales[2], bias[2] = 1e-10, 1 << 28
    changed = Op(
        "conv2d", "op", ("in",), "out", weights=op.weights, weight_scales=scales, bias=bias
    )
    graph = Graph("net", rectified("conv2d").tensors, (changed,), ("in",), ("out",))
    found = one_shift(graph, changed)
    assert found is not None
    assert found.constant.tolist() == [c == 2 for c in range(8)]
    x = np.zeros((6, 6, 16), np.int8)
    value = short(np.int64(0), found.bias[2], found.factor[2], found.shift)
    assert (run_all(graph, x)["out"][..., 2] == value).all()
