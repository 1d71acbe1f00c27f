"""Rounded division by a constant is the definition on every sum."""

import pytest

from engine.division import division


def mean(total, count):
    half = count // 2
    return (total + half) // count if total > 0 else -((half - total) // count)


@pytest.mark.parametrize("count", [3, 4, 9, 12, 25, 36, 49, 64, 100, 144, 225, 255])
def test_division_is_the_mean_of_every_sum(count):
    found = division(count)
    for total in range(-128 * count, 127 * count + 1):
        assert ((found.factor * total >> 16) + found.addend) >> 16 == mean(total, count)


@pytest.mark.parametrize("count", [1, 2, 132, 256])
def test_other_counts_are_left_to_a_division(count):
    assert division(count) is None
