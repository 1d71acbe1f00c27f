"""Sums of two tensors as one line: y = saturate8((a * x1 + b * x2 + c) >> 20), proven on all pairs.

    found = blend(graph, op)        # None: no such line, take the kernel that rounds three times
    found.first, found.second       # factors of 256 * x >> 16, int32
    found.addend                    # int32

TFLite's add scales both inputs, adds, and scales again; each time it rounds. There are only 65,536
pairs of inputs, so that a line is right if it is right on all of them, products rounded down as
SMLAWB does. For given factors each pair leaves an interval for the addend; the distance by which
the intervals miss each other is convex in the factors, and Polyak's steps bring it under 0 if it
gets there. Ties are rounded away from zero: a line a little too steep does that too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.graph import Graph, Op, Quant
from engine.numerics import add_parameters, requantize

Ints = NDArray[np.int64]

SHIFT = 20
"""Bits of a sum below the last of an output."""
FACTOR_BITS = SHIFT + 8
"""Of a factor: inputs come times 256 and products lose 16 bits."""
STEPS = 12
"""Factors looked at from each place to begin with."""
STEEPNESS = (1, 1 + 2.0**-15, 1 + 2.0**-13, 1 - 2.0**-15)
"""Places to begin with: a layer takes 4 to 40 ms."""
INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1
VALUES = np.arange(-128, 128, dtype=np.int64)


@dataclass(frozen=True)
class Blend:
    """Of the inputs in the order of the operator."""

    first: int
    second: int
    addend: int


def blend(graph: Graph, op: Op) -> Blend | None:
    """The line of an add or sub of two inputs; a narrower clamp is left to the kernel."""
    first, second, output = (graph.tensor(name).quant for name in (*op.inputs, op.output))
    return _blend(first, second, output, 1 if op.kind == "add" else -1)


def outputs(first: Quant, second: Quant, output: Quant, sign: int) -> Ints:
    """What TFLite gives, saturated, for inputs of -128 to 127: int64 [256, 256]."""
    parameters = add_parameters(first, second, output)
    one, two = (
        requantize((VALUES - quant.zero_point) << parameters.left_shift, *factor).astype(np.int64)
        for quant, factor in ((first, parameters.input1), (second, parameters.input2))
    )
    raw = one[:, None] + sign * two[None, :]
    total = requantize(raw, *parameters.output).astype(np.int64) + output.zero_point
    return np.clip(total, -128, 127)


def _products(factor: int) -> Ints:
    """Of each input, rounded down: int64 [256]."""
    return (factor * (VALUES << 8)) >> 16


@lru_cache(maxsize=4096)  # asked for while an operator is chosen, planned for, and described
def _blend(first: Quant, second: Quant, output: Quant, sign: int) -> Blend | None:
    wanted = outputs(first, second, output, sign)
    least = np.where(wanted > -128, wanted << SHIFT, INT32_MIN * 4)
    most = np.where(wanted < 127, ((wanted + 1) << SHIFT) - 1, INT32_MAX * 4)
    slopes = (first.scale / output.scale, sign * second.scale / output.scale)
    one, two = (float(np.ldexp(slope, FACTOR_BITS)) for slope in slopes)
    tried = (_search(least, most, one * steep, two * steep) for steep in STEEPNESS)
    return next((line for line in tried if line), None)


def _search(least: Ints, most: Ints, one: float, two: float) -> Blend | None:
    """A line near to these factors that stays between `least` and `most`, int64 [256, 256]."""
    for _ in range(STEPS):
        if max(abs(one), abs(two)) > INT32_MAX:
            return None
        a, b = round(one), round(two)
        sums = _products(a)[:, None] + _products(b)[None, :]
        low, high = least - sums, most - sums
        under, over = int(low.argmax()), int(high.argmin())
        bottom, top = int(low.flat[under]), int(high.flat[over])
        if bottom <= top:
            return _checked(a, b, (bottom + top) // 2, sums)
        apart = [x - y for x, y in zip(divmod(under, 256), divmod(over, 256), strict=True)]
        far = (bottom - top + 2) * 256 / max(1, apart[0] ** 2 + apart[1] ** 2)
        one, two = one + far * apart[0], two + far * apart[1]
    return None


def _checked(a: int, b: int, addend: int, sums: Ints) -> Blend | None:
    """The line, if no sum on the way to it leaves 32 bits."""
    ways = (np.zeros(1, np.int64), _products(a), sums)
    ends = [addend + int(end) for way in ways for end in (way.min(), way.max())]
    fits = all(INT32_MIN <= end <= INT32_MAX for end in ends)
    return Blend(a, b, addend) if fits else None
