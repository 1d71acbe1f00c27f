"""Requantisation in four instructions an output: for rectified layers without a proof of three.

    found = two_step(graph, op)              # None: not rectified, or sums or shifts too large
    found.bias[c], found.factor[c]           # int32 words of channel c
    found.addend[c], found.shift[c]          # shift: of each channel its own, 8 to 22
    found.constant[c]                        # its weights have to be 0 in the tables

With ``sum`` the products of weights and inputs, the input's zero point not subtracted:

    X = (sum << 8) + bias                    free where the sum is made with eight bits below it
    y = saturate8((addend + (X * factor >> 32)) >> shift)      SMMLA; ASR; SSAT #8; STRB

Both roundings of the reference are one floor where its first result is 0 or more. Where that is
less, output and y are both at most the zero point, which is -128: saturation makes them one. So
there is nothing to search for; `two_step` checks the ranges in which the algebra holds, over all
sums that the layer can reach (engine/bounds.py). A clamp narrower than int8 comes behind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.graph import Graph, Op
from engine.numerics import wrap_int32
from engine.requantise import SUB_BITS, Flags, Ints, output_range, reach
from engine.tables import channels

RECTIFIED = -128
"""The zero point of an output that saturation rectifies."""
MOST_SUM = 1 << 23
"""Under it X is an int32 and, with the addend, its product too."""
SHIFTS = range(1, 16)
"""Of the reference, to the right: two roundings, and an addend, 128 << (7 + shift), of 30 bits."""


@dataclass(frozen=True, eq=False)
class TwoStep:
    """int64 [C] of int32 values; constant: bool [C], see the module."""

    bias: Ints
    factor: Ints
    addend: Ints
    shift: Ints
    constant: Flags


def two_step(graph: Graph, op: Op) -> TwoStep | None:
    """The four-instruction form of an operator with weights; None where it is not exact."""
    reached, outputs, ends = reach(graph, op), output_range(graph, op), channels(graph, op)
    constant, sums = outputs.points, reached.at(~outputs.points)
    if graph.tensor(op.output).quant.zero_point != RECTIFIED:
        return None
    if (sums.low <= -MOST_SUM).any() or (sums.high >= MOST_SUM).any():
        return None
    # A constant channel is a sum of its own, for the factor 1/4.
    bias = np.where(constant, 4 * (outputs.low - RECTIFIED), ends.bias)
    factor = np.where(constant, 1 << 30, ends.multiplier)
    right = np.where(constant, 1, ends.shift)
    if not (np.isin(right, SHIFTS) & (factor > 0)).all():
        return None
    shift = right + (SUB_BITS - 1)
    addend = (1 << (SUB_BITS - 2)) + (np.int64(1) << (shift - 1)) + (RECTIFIED << shift)
    return TwoStep(wrap_int32(bias << SUB_BITS), factor, addend, shift, constant)
