"""Rounded division by a constant: (factor * sum >> 16) + addend, of which the high half is it.

    found = division(36)        # None: no such pair
    found.factor, found.addend

proven on every sum that a window of that many int8 values can have. A mean of TFLite's rounds
halves away from zero; a factor a little too large does that too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

LEAST, MOST = 3, 255
"""Taps: a factor of 2**32 / count is an int32, sums are halves."""
STEEPNESS = (0.0, 2.0**-14, 2.0**-13, 2.0**-12)
"""How much larger a factor is than it should be."""


@dataclass(frozen=True)
class Division:
    """Both int32."""

    factor: int
    addend: int


@lru_cache(maxsize=64)
def division(count: int) -> Division | None:
    """By ``count``; None where no factor tried is right on all sums."""
    if not LEAST <= count <= MOST:
        return None
    sums = np.arange(-128 * count, 127 * count + 1, dtype=np.int64)
    wanted = np.sign(sums) * ((np.abs(sums) + count // 2) // count)
    for steep in STEEPNESS:
        factor = round((1 << 32) / count * (1 + steep))
        scaled = (factor * sums) >> 16
        least = int(((wanted << 16) - scaled).max())
        most = int((((wanted + 1) << 16) - 1 - scaled).min())
        if least <= most and factor < 1 << 31:
            return Division(factor, (least + most) // 2)
    return None
