"""Requantisation in three instructions an output, proven for each channel: one product, one shift.

    found = one_shift(graph, op)             # None: no proof, take the general form
    found.shift                              # the same for all channels, an immediate of the code
    found.bias[c], found.factor[c]           # int32, the two words that code reads of channel c
    found.constant[c]                        # its weights have to be 0 in the tables

With ``sum`` the products of weights and inputs, the input's zero point not subtracted:

    X = (sum << 8) + bias                       free where the sum is made with eight bits below it
    y = saturate8((X * factor >> 32) >> shift)  SMMUL; SSAT #8, ASR #shift; STRB

equals the reference on every sum that the layer can reach, before a clamp that is narrower than
int8. The reference rounds twice (engine/numerics.py) and is a staircase of at most 256 steps; so is
y. Where both have their steps at the same sums, over all that are reachable (engine/bounds.py),
they are one function. The eight bits below the last of a sum let the bias place the steps between
two sums, without which hardly any channel fits. Factor and bias are searched for in floating point
and proven in integers: nothing unproven is returned.

It takes outputs on one side of the zero point, as a ReLU leaves them: halves go away from zero, so
that steps above and below it are not evenly apart. Other layers take the general form, tr_output
in scale.h, which is exact by its algebra wherever `Channels.fast` in engine/tables.py says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine import corridor
from engine.bounds import Interval, bounds, sums
from engine.corridor import Reals, middles
from engine.graph import Graph, Op
from engine.numerics import wrap_int32
from engine.staircase import Staircase, staircase
from engine.tables import channels

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

SUB_BITS = corridor.SUB_BITS
"""Bits of X below the last of a sum."""
SHIFTS = (12, 9, 15)
"""Tried in this order; nearly every layer takes the first, so that kernels share code.

Channels of a factor of 2**-e fit 12 for e of 5 to 9, 9 up to 8, and 15 from 8 to 11, about.
"""
MOST_SHIFT = 23
"""Up to it a step, 127 << (32 + shift), is an int64."""
TRIES = 33
"""Biases looked at, around the best real one."""
FEW = 2
"""Channels."""
INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1


@dataclass(frozen=True, eq=False)
class OneShift:
    """bias, factor: int64 [C] of int32 values; constant: bool [C], see the module."""

    shift: int
    bias: Ints
    factor: Ints
    constant: Flags


@dataclass(frozen=True, eq=False)
class Fit:
    """X = acc * 256 + beta, y = saturate8(X * factor >> (32 + shift)); proven: bool [C]."""

    beta: Ints
    factor: Ints
    proven: Flags


def one_shift(graph: Graph, op: Op, shifts: Sequence[int] = SHIFTS) -> OneShift | None:
    """The three-instruction form of an operator with weights; None where a channel has no proof."""
    reached, outputs, ends = reach(graph, op), output_range(graph, op), channels(graph, op)
    constant = outputs.points
    live = ~constant
    zero = graph.tensor(op.output).quant.zero_point
    scaling, live_sums = (ends.multiplier[live], ends.shift[live]), reached.at(live)
    parts = (part.tobytes() for part in (*scaling, *live_sums.ends))
    found = _fit(Steps(zero, op.clamp, *parts), tuple(shifts))
    if found is None:
        return None
    shift, fitted = found
    beta, factor = _of_constants(outputs.low, shift)
    beta[live], factor[live] = fitted.beta, fitted.factor
    products = np.where(constant, 0, ends.bias)
    return OneShift(shift, wrap_int32((products << SUB_BITS) + beta), factor, constant)


@dataclass(frozen=True)
class Steps:
    """What the fit of a layer depends on, int64 [C] as bytes: equal layers are proven once."""

    zero: int
    clamp: tuple[int, int]
    multiplier: bytes
    shift: bytes
    low: bytes
    high: bytes

    def staircase(self) -> Staircase:
        """The steps of each channel."""
        parts = (self.multiplier, self.shift, self.low, self.high)
        multiplier, shift, low, high = (np.frombuffer(part, np.int64) for part in parts)
        return staircase(multiplier, shift, self.zero, self.clamp, Interval(low, high))


@lru_cache(maxsize=4096)  # asked for while an operator is chosen, planned for, and described
def _fit(wanted: Steps, shifts: tuple[int, ...]) -> tuple[int, Fit] | None:
    """The first shift with which all channels have a proof."""
    steps = wanted.staircase()
    middle = _whole_middles(steps)
    if middle is None:
        return None
    fits = ((shift, _whole_fit(steps, middle, shift)) for shift in shifts)
    return next(((shift, found) for shift, found in fits if found), None)


def _whole_fit(steps: Staircase, middle: Reals, shift: int) -> Fit | None:
    """The fit of all channels; a few of them tell soon where there is none."""
    few = np.arange(len(steps.slope))[:FEW]
    if not fit(steps.at(few), shift, middle[few]).proven.all():
        return None
    found = fit(steps, shift, middle)
    return found if found.proven.all() else None


def _whole_middles(steps: Staircase) -> Reals | None:
    """Where to look for biases; None where some channel has no line, whatever the shift."""
    few = middles(steps.at(np.arange(len(steps.slope))[:FEW]))
    if np.isnan(few).any():
        return None
    found = middles(steps)
    return None if np.isnan(found).any() else found


def reach(graph: Graph, op: Op) -> Interval:
    """The least and greatest accumulator of each output channel, bias included, int64 [C]."""
    assert op.bias is not None
    source, output = graph.tensor(op.inputs[0]), graph.tensor(op.output)
    bias = op.bias
    return sums(op, _bounds(graph)[op.inputs[0]], source, output).each(lambda end: end + bias)


def output_range(graph: Graph, op: Op) -> Interval:
    """The least and greatest output of each channel, int64 [C]."""
    return _bounds(graph)[op.output]


def fit(steps: Staircase, shift: int, middle: Reals | None = None) -> Fit:
    """Beta and factor of each channel that has any; proven where they are right everywhere.

    middle: float64 [C], that of `middles`, where it is known.
    """
    assert 0 <= shift <= MOST_SHIFT
    best = np.rint(middles(steps) if middle is None else middle)
    count = len(steps.slope)
    beta, factor, proven = (
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, bool),
    )
    small = steps.slope * 2.0 ** (32 + shift - SUB_BITS) < INT32_MAX
    left = np.flatnonzero(small & (np.abs(best) < INT32_MAX - TRIES))
    for turn in range(TRIES):
        if not len(left):
            break
        away = (turn + 1) // 2 * (1 if turn % 2 else -1)
        tried, part = best[left].astype(np.int64) + away, steps.at(left)
        middle_factor = _factors(part, tried, shift)
        good = proves(part, tried, middle_factor, shift)
        done = left[good]
        beta[done], factor[done], proven[done] = tried[good], middle_factor[good], True
        left = left[~good]
    return Fit(beta, factor, proven)


def proves(steps: Staircase, beta: Ints, factor: Ints, shift: int) -> Flags:
    """Whether the short form is the staircase, bool [C]: each reachable step, from both sides.

    y >= v exactly where X * factor >= v << (32 + shift). Both sides rise with the accumulator,
    so it is enough to look at the last one below each step and at the first one upon it.
    """
    levels, wide = steps.levels << (32 + shift), factor[:, None]
    upon, below = _places(steps, beta)
    right = ((upon * wide >= levels) | ~steps.upon).all(axis=1)
    right &= ((below * wide < levels) | ~steps.below).all(axis=1)
    ends = [(end << SUB_BITS) + beta for end in (steps.reach.low, steps.reach.high)]
    fits = (ends[0] >= INT32_MIN) & (ends[1] <= INT32_MAX) & (factor > 0) & (factor <= INT32_MAX)
    return steps.known & right & fits


def _factors(steps: Staircase, beta: Ints, shift: int) -> Ints:
    """The middle of the factors that each channel's steps leave, as far as doubles tell."""
    levels = (steps.levels << (32 + shift)).astype(np.float64)
    upon, below = (place.astype(np.float64) for place in _places(steps, beta))
    with np.errstate(divide="ignore", invalid="ignore"):
        at_upon, at_below = levels / upon, levels / below
    least = np.where(steps.upon & (upon > 0), at_upon, 1.0).max(axis=1, initial=1.0)
    least = np.where(steps.below & (below < 0), at_below, 1.0).max(axis=1, initial=1.0).clip(least)
    most = np.where(steps.upon & (upon < 0), at_upon, INT32_MAX).min(axis=1, initial=INT32_MAX)
    other = np.where(steps.below & (below > 0), at_below, INT32_MAX).min(axis=1, initial=INT32_MAX)
    middle = np.ceil((least + np.minimum(most, other)) / 2).clip(1, INT32_MAX)
    found: Ints = middle.astype(np.int64)
    return found


def _places(steps: Staircase, beta: Ints) -> tuple[Ints, Ints]:
    """X of the first accumulator upon each step, and of the last below it, [C, levels]."""
    low, high = steps.reach.low[:, None], steps.reach.high[:, None]
    upon, below = np.maximum(steps.first, low), np.minimum(steps.first - 1, high)
    return (upon << SUB_BITS) + beta[:, None], (below << SUB_BITS) + beta[:, None]


def _of_constants(value: Ints, shift: int) -> tuple[Ints, Ints]:
    """Beta and factor of channels whose sum is 0 and whose output is `value`."""
    return (value << (shift + 2)) + (1 << (shift + 1)), np.full(len(value), 1 << 30, np.int64)


@lru_cache(maxsize=4)
def _bounds(graph: Graph) -> dict[str, Interval]:
    return bounds(graph)
