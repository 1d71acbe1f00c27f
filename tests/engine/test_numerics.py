"""Requantisation against definitions in whole numbers, written independently."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import GraphError
from engine.graph import Op, Quant
from engine.numerics import (
    add_parameters,
    divide_by_pot,
    high_mul,
    mul_multiplier,
    output_multipliers,
    quantize_multiplier,
    quantize_multipliers,
    requantize,
    sub_parameters,
)

int32s = st.integers(-(2**31), 2**31 - 1)
multipliers = st.integers(2**30, 2**31 - 1)


def half_up(value: Fraction) -> int:
    return (value + Fraction(1, 2)).__floor__()


def half_away(value: Fraction) -> int:
    magnitude = (abs(value) + Fraction(1, 2)).__floor__()
    return magnitude if value >= 0 else -magnitude


def scaled(acc: int, multiplier: int, shift: int) -> int:
    shifted = acc * 2 ** max(shift, 0)
    high = half_up(Fraction(shifted * multiplier, 2**31))
    return half_away(Fraction(high, 2 ** max(-shift, 0)))


@given(int32s, multipliers)
def test_high_mul_rounds_half_up(a, b):
    assert high_mul(a, b) == half_up(Fraction(a * b, 2**31))


@given(st.integers(-(2**31), 2**31 - 1).map(lambda n: n | 1))
def test_high_mul_takes_ties_up_on_both_sides_of_zero(a):
    # a * 2**30 / 2**31 is a tie for every odd a
    assert high_mul(a, 2**30) == (a + 1) // 2


def test_high_mul_saturates_the_one_product_that_overflows():
    assert high_mul(-(2**31), -(2**31)) == 2**31 - 1


@given(int32s, st.integers(0, 31))
def test_divide_by_pot_rounds_half_away_from_zero(value, exponent):
    assert divide_by_pot(value, exponent) == half_away(Fraction(value, 2**exponent))


@given(st.integers(-(2**15), 2**15), st.integers(1, 14))
def test_divide_by_pot_takes_ties_away_from_zero(whole, exponent):
    tie = (2 * whole + 1) * 2 ** (exponent - 1)
    assert divide_by_pot(tie, exponent) == half_away(Fraction(2 * whole + 1, 2))


@given(int32s, multipliers, st.integers(-31, 0))
def test_requantize_rounds_twice(acc, multiplier, shift):
    assert requantize(acc, multiplier, shift) == scaled(acc, multiplier, shift)


@given(st.integers(1, 12).flatmap(
    lambda s: st.tuples(st.just(s), st.integers(-(2 ** (30 - s)), 2 ** (30 - s)))
), multipliers)  # fmt: skip
def test_requantize_shifts_left_before_it_multiplies(shift_acc, multiplier):
    shift, acc = shift_acc
    assert requantize(acc, multiplier, shift) == scaled(acc, multiplier, shift)


def test_double_rounding_differs_from_single_rounding_where_it_must():
    # 3 / 8 rounded once is 0; rounded twice it is 3 / 4 -> 1, then 1 / 2 -> 1.
    assert requantize(1, 3 * 2**29, -1) == 1
    assert requantize(-1, 3 * 2**29, -1) == -1


def test_requantize_broadcasts_channels_over_rows():
    acc = np.array([[100, 200], [-100, -200]])
    out = requantize(acc, np.array([2**30, 2**30]), np.array([0, -1]))
    assert out.tolist() == [[50, 50], [-50, -50]]
    assert out.dtype == np.int32


@given(st.floats(2.0**-31, 2.0**29, exclude_min=True))
def test_multiplier_is_normalised_and_close(real):
    multiplier, shift = quantize_multiplier(real)
    assert 2**30 <= multiplier < 2**31
    exact = Fraction(real) / Fraction(2) ** (shift - 31)
    assert abs(exact - multiplier) <= Fraction(1, 2)


def test_multiplier_carries_into_the_shift():
    assert quantize_multiplier(1 - 2.0**-40) == (2**30, 1)
    assert quantize_multiplier(0.5) == (2**30, 0)


def test_a_vanishing_factor_is_zero():
    assert quantize_multiplier(0.0) == (0, 0)
    assert quantize_multiplier(2.0**-40) == (0, 0)


@pytest.mark.parametrize("real", [-1.0, float("nan"), float("inf"), 2.0**30])
def test_senseless_factors_are_refused(real):
    with pytest.raises(GraphError, match="scale factor"):
        quantize_multiplier(real)


def dense(scales):
    count = len(scales)
    return Op(
        "fully_connected", "d", ("a",), "b",
        weights=np.ones((count, 2), np.int8),
        weight_scales=np.array(scales, np.float64),
        bias=np.zeros(count, np.int32),
    )  # fmt: skip


@pytest.mark.parametrize("weights", [[0.003456789, 0.4], [0.003456789, 0.003456789]])
def test_scales_are_multiplied_in_double_precision(weights):
    first, out = 0.1234567, 0.07654321
    multiplier, shift = output_multipliers(dense(weights), Quant(first, 0), Quant(out, 0))
    for channel, weight in enumerate(weights):
        expected = quantize_multiplier(first * weight / out)
        assert (multiplier[channel], shift[channel]) == expected


def test_add_brings_both_inputs_to_twice_the_larger_scale():
    p = add_parameters(Quant(0.5, 0), Quant(0.25, 0), Quant(1.0, 0))
    assert (p.left_shift, p.input1, p.input2) == (20, (2**30, 0), (2**30, -1))
    assert p.output == quantize_multiplier(2.0**-20)


def test_add_refuses_an_output_scale_that_needs_a_left_shift():
    with pytest.raises(GraphError, match="too small"):
        add_parameters(Quant(1.0, 0), Quant(1.0, 0), Quant(1e-7, 0))


@pytest.mark.parametrize("make", [add_parameters, sub_parameters])
def test_a_sum_refuses_factors_that_tflite_aborts_on(make):
    with pytest.raises(GraphError, match="too small"):  # rounds up to a factor of one
        make(Quant(0.5, 0), Quant(0.5, 0), Quant(2.0**-20 * (1 + 2.0**-40), 0))
    with pytest.raises(GraphError, match="too far apart"):
        make(Quant(1e-300, 0), Quant(1e300, 0), Quant(1e300, 0))


def test_mul_scales_the_product_of_both_values():
    factor = mul_multiplier(Quant(0.5, 3), Quant(0.25, -9), Quant(2.0, 0))
    assert factor == quantize_multiplier(0.0625)


def test_mul_keeps_the_largest_product_within_32_bits():
    _, shift = mul_multiplier(Quant(1.0, 0), Quant(1.0, 0), Quant(2.0**-14, 0))
    assert 255 * 255 << shift < 2**31
    with pytest.raises(GraphError, match="too small"):
        mul_multiplier(Quant(1.0, 0), Quant(1.0, 0), Quant(2.0**-15, 0))


def test_factors_of_many_channels_are_those_of_each():
    edges = 2.0 ** np.arange(-36, 30)
    reals = np.concatenate([[0.0], edges, edges * (1 - 2.0**-40), edges / 3])
    pairs = zip(*quantize_multipliers(reals), strict=True)
    assert [tuple(map(int, pair)) for pair in pairs] == list(map(quantize_multiplier, reals))
    with pytest.raises(GraphError, match="nan"):
        quantize_multipliers(np.array([0.5, np.nan]))
