"""Corridor: where a line can run between the steps of a staircase; see engine/requantise.py.

    middles(steps)      # of each channel the X that its sum 0 becomes, NaN where no line is right

Output v is reached where X = (sum << 8) + beta is v * tau or more, with tau the inverse of a factor
without its shift. So each step leaves beta between two lines that rise with tau by v: those of the
last sum below the step and the first upon it. How far the lowest of the upper ones lies above the
highest of the lower ones is concave in tau; where it is nowhere above 0 there is no line, whatever
factor, bias and shift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.staircase import Ints, Staircase

Reals = NDArray[np.float64]

SUB_BITS = 8
"""Bits of X below the last of a sum."""
AROUND = 1 / 8
"""Share of tau by which others are looked at, on both sides."""
CUTS = 24
"""Taus looked at between them; two or three are usual."""
FAR = 1 << 16
"""From the best real beta: no other is looked for, where no step is in the way."""


@dataclass(frozen=True, eq=False)
class Place:
    """Of each channel at one tau: the lowest upper and the highest lower beta, and their slopes."""

    tau: Reals
    top: Reals
    bottom: Reals
    top_slope: Ints
    bottom_slope: Ints

    @property
    def gap(self) -> Reals:
        """How much is left between them."""
        return self.top - self.bottom

    @property
    def rise(self) -> Ints:
        """Of the gap with tau."""
        return self.top_slope - self.bottom_slope


@dataclass(frozen=True, eq=False)
class Corridor:
    """levels: int64 [L]; upon, below: [C, L] X of the sums at each step, without beta; infinite
    where there is none."""

    levels: Ints
    upon: Reals
    below: Reals

    def at(self, chosen: Ints) -> Corridor:
        """That of some channels."""
        return Corridor(self.levels, self.upon[chosen], self.below[chosen])

    def place(self, tau: Reals) -> Place:
        """What each channel's steps leave of beta."""
        lines, rows = self.levels * tau[:, None], np.arange(len(tau))
        tops, bottoms = lines - self.below, lines - self.upon
        upper, lower = tops.argmin(axis=1), bottoms.argmax(axis=1)
        ends = (tops[rows, upper], bottoms[rows, lower])
        return Place(tau, *ends, self.levels[upper], self.levels[lower])


def middles(steps: Staircase) -> Reals:
    """Beta in the middle of what is left, float64 [C]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        corridor, tau = _corridor(steps), (1 << SUB_BITS) / steps.slope
    found = corridor.place(tau)
    middle: Reals = (found.top + found.bottom) / 2
    for channel in np.flatnonzero(~(found.gap > 0)):
        middle[channel] = _steeper(corridor.at(np.array([channel])), tau[channel : channel + 1])
    return np.where(steps.known, middle, np.nan)


def _corridor(steps: Staircase) -> Corridor:
    """A level of 0 behind all others holds beta near the best real one."""
    low, high = steps.reach.low[:, None], steps.reach.high[:, None]
    one = 1 << SUB_BITS
    upon = np.where(steps.upon, np.maximum(steps.first, low) * float(one), np.inf)
    below = np.where(steps.below, np.minimum(steps.first - 1, high) * float(one), -np.inf)
    best = (one * steps.offset / steps.slope)[:, None]
    return Corridor(
        np.append(steps.levels, 0),
        np.concatenate([upon, FAR - best], axis=1),
        np.concatenate([below, -FAR - best], axis=1),
    )


def _steeper(corridor: Corridor, tau: Reals) -> float:
    """The middle of one channel at another tau, where the gap is widest; NaN where it is none."""
    left, right = (corridor.place(tau * (1 + away)) for away in (-AROUND, AROUND))
    for _ in range(CUTS):
        if left.gap[0] > 0 or right.gap[0] > 0 or left.rise[0] <= 0 or right.rise[0] >= 0:
            break
        cut = _cut(left, right)
        if left.gap[0] + left.rise[0] * (cut - left.tau)[0] <= 0:
            return np.nan
        found = corridor.place(cut)
        left, right = (found, right) if found.rise[0] > 0 else (left, found)
    best = max(left, right, key=lambda place: float(place.gap[0]))
    return float((best.top + best.bottom)[0] / 2) if best.gap[0] > 0 else np.nan


def _cut(left: Place, right: Place) -> Reals:
    """Where the gap's tangents meet: it is nowhere above them."""
    higher = right.gap - right.rise * (right.tau - left.tau) - left.gap
    return left.tau + higher / (left.rise - right.rise)
