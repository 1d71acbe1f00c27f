"""Staircase: requantisation as the accumulators at which a channel's output steps up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.bounds import Interval

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

RIGHT_SHIFTS = range(23)
"""For which the steps are computed without overflow."""


@dataclass(frozen=True, eq=False)
class Staircase:
    """What requantisation must do, for each channel.

    slope, offset: float64 [C], output ~ acc * slope + offset; levels: int64 [L], outputs that the
    clamp tells apart; first: int64 [C, L], the least accumulator with that output or more; reach:
    the accumulators that there are; known: bool [C], False where nothing here is right.
    """

    slope: NDArray[np.float64]
    offset: NDArray[np.float64]
    levels: Ints
    first: Ints
    reach: Interval
    known: Flags

    @property
    def upon(self) -> Flags:
        """Whether an accumulator is upon each step, bool [C, L]."""
        return self.first <= self.reach.high[:, None]

    @property
    def below(self) -> Flags:
        """Whether an accumulator is below each step, bool [C, L]."""
        return self.first > self.reach.low[:, None]

    def at(self, chosen: NDArray[np.int64] | Flags) -> Staircase:
        """That of some channels."""
        parts = (self.slope[chosen], self.offset[chosen], self.levels, self.first[chosen])
        return Staircase(*parts, self.reach.at(chosen), self.known[chosen])


def staircase(
    multiplier: Ints, shift: Ints, zero: int, clamp: tuple[int, int], reach: Interval
) -> Staircase:
    """From the reference's factors: multiplier of 2**30 and more, shift to the right.

    With r = (acc * multiplier + 2**30) >> 31, the output is y or more where r is at least
    (y - zero) * 2**shift - 2**(shift - 1), and one more where y <= zero: halves go away from 0.
    Multipliers and shifts of other kinds are not `known`.
    """
    known = np.isin(shift, RIGHT_SHIFTS) & (multiplier > 0)
    e, m = np.where(known, shift, 1)[:, None], np.where(known, multiplier, 1 << 30)[:, None]
    levels = np.arange(clamp[0] + 1, clamp[1] + 1, dtype=np.int64)
    above = levels - zero
    half = np.where(e > 0, np.int64(1) << np.maximum(e - 1, 0), 0)
    least = (above << e) - half + ((above <= 0) & (e > 0))
    first = -(((1 << 30) - (least << 31)) // m)
    seen = (first > reach.low[:, None]) & (first <= reach.high[:, None])
    negative = (seen & (above <= 0)).sum(axis=1) > (seen & (above > 0)).sum(axis=1)
    rounding = np.where(e[:, 0] > 0, 0.5, 0.0) + (0.5 - negative) * 2.0 ** -e[:, 0]
    return Staircase(
        m[:, 0] * 2.0 ** -(31.0 + e[:, 0]), zero + rounding, levels, first, reach, known
    )
