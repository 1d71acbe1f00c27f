"""exp, 1 / (1 + x) and the logistic function of 32-bit fixed-point numbers, as gemmlowp rounds.

TFLite computes softmax and logistic with these (gemmlowp's fixedpoint.h). A number of `bits`
integer bits is the int32 `raw` * 2**(bits - 31); one of 0 bits lies in -1 .. 1 - 2**-31. Arrays
are int64 and hold int32 values.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.numerics import INT32_MAX, divide_by_pot, high_mul

Raw = NDArray[np.int64]

ONE = INT32_MAX
"""The largest number of 0 integer bits stands for 1."""
EXP_MINUS_EIGHTH = 1_895_147_668
THIRD = 715_827_883
EXP_MINUS_POWERS = (
    (-2, 1_672_461_947),
    (-1, 1_302_514_674),
    (0, 790_015_084),
    (1, 290_630_308),
    (2, 39_332_535),
    (3, 720_401),
    (4, 242),
)
"""(power, exp(-2**power)) with 0 integer bits."""
# 48 / 17 and -32 / 17 with two integer bits: the first guess of a Newton-Raphson division.
GUESS, GUESS_SLOPE = 1_515_870_810, -1_010_580_540


def shift_left(raw: Raw, count: int) -> Raw:
    """raw * 2**count, saturated symmetrically but for the lowest value."""
    limit = (1 << (31 - count)) - 1
    shifted = np.where(raw > limit, INT32_MAX, raw << count)
    return np.where(raw < -limit, -INT32_MAX - 1, shifted)


def exp_of_negative(raw: Raw, bits: int) -> Raw:
    """exp(x) with 0 integer bits, for x <= 0 of `bits` (0..5) integer bits.

    A polynomial on -1/4 .. 0, then one factor for each further binary digit of -x.
    """
    fraction_bits = 31 - bits
    quarter = 1 << (fraction_bits - 2)
    low = (raw & (quarter - 1)) - quarter
    result = _exp_near_zero(shift_left(low, bits))
    rest = low - raw
    for power, factor in EXP_MINUS_POWERS:
        if power < bits:
            digit = (rest >> (fraction_bits + power)) & 1
            result = np.where(digit == 1, high_mul(result, factor), result)
    return np.where(raw == 0, ONE, result)


def _exp_near_zero(raw: Raw) -> Raw:
    """exp(x) for -1/4 <= x < 0: a Taylor series of four terms around -1/8."""
    x = raw + (1 << 28)
    square = high_mul(x, x)
    cube, fourth = high_mul(square, x), high_mul(square, square)
    tail = high_mul(divide_by_pot(fourth, 2) + cube, THIRD) + square
    series = x + divide_by_pot(tail, 1)
    return EXP_MINUS_EIGHTH + high_mul(EXP_MINUS_EIGHTH, series)


def reciprocal_of_one_plus(raw: Raw) -> Raw:
    """1 / (1 + x) for x of 0 .. 1, both with 0 integer bits: three steps of Newton-Raphson."""
    half = (raw + ONE + 1) >> 1  # (1 + x) / 2, rounded up
    guess = GUESS + high_mul(half, GUESS_SLOPE)
    for _ in range(3):
        error = (1 << 29) - high_mul(half, guess)
        guess = guess + shift_left(high_mul(guess, error), 2)
    return shift_left(guess, 1)


def logistic(raw: Raw, bits: int) -> Raw:
    """1 / (1 + exp(-x)) with 0 integer bits, for x of `bits` integer bits."""
    positive = reciprocal_of_one_plus(exp_of_negative(-np.abs(raw), bits))
    return np.where(raw > 0, positive, np.where(raw < 0, ONE - positive, 1 << 30))
