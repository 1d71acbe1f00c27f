"""Fixed-point functions are close to the real ones, and keep to the ends of their ranges.

To the bit they are held against TFLite's softmax and logistic, in executors.
"""

import numpy as np
import pytest

from engine import fixed_point
from engine.fixed_point import ONE

SPREAD = np.linspace(0, 1, 4001)


@pytest.mark.parametrize("bits", [0, 2, 4, 5])
def test_exp_is_close_over_its_whole_range(bits):
    raw = -(SPREAD * ONE).astype(np.int64)
    near = fixed_point.exp_of_negative(raw, bits) / 2**31
    np.testing.assert_allclose(near, np.exp(raw * 2.0 ** (bits - 31)), atol=3e-7)


def test_exp_of_zero_is_one_and_of_the_lowest_is_nothing():
    ends = fixed_point.exp_of_negative(np.array([0, -ONE]), 5)
    assert ends.tolist() == [ONE, 0]


def test_reciprocal_is_close_over_its_whole_range():
    raw = (SPREAD * ONE).astype(np.int64)
    near = fixed_point.reciprocal_of_one_plus(raw) / 2**31
    np.testing.assert_allclose(near, 1 / (1 + raw / 2**31), atol=1e-8)


def test_logistic_is_close_and_half_at_zero():
    raw = (np.linspace(-1, 1, 4001) * ONE).astype(np.int64)
    near = fixed_point.logistic(raw, 4) / 2**31
    np.testing.assert_allclose(near, 1 / (1 + np.exp(-raw / 2.0**27)), atol=1e-7)
    assert fixed_point.logistic(np.array([0]), 4).tolist() == [1 << 30]


def test_a_left_shift_saturates():
    raw = np.array([-(1 << 31), -(1 << 29) - 1, -(1 << 29) + 1, 5, (1 << 29) - 1, 1 << 29, ONE])
    low = -(1 << 31)
    assert fixed_point.shift_left(raw, 2).tolist() == [
        low, low, low + 4, 20, ONE - 3, ONE, ONE,
    ]  # fmt: skip
