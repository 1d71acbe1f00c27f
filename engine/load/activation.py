"""Fused activations as the closed range of an int8 output."""

from __future__ import annotations

import math

import numpy as np
from tflite import ActivationFunctionType as Function

from engine.errors import UnsupportedError
from engine.graph import Quant

Range = tuple[float, float]
RANGES: dict[int, Range] = {
    Function.NONE: (-math.inf, math.inf),
    Function.RELU: (0.0, math.inf),
    Function.RELU_N1_TO_1: (-1.0, 1.0),
    Function.RELU6: (0.0, 6.0),
}
MAX_QUOTIENT = 2.0**31  # what TFLite can still add a zero point to


def fused_clamp(function: int, quant: Quant) -> tuple[int, int]:
    """The range that a fused activation leaves of an output quantised so."""
    if function not in RANGES:
        raise UnsupportedError(
            f"fused activation {function}; supported: none, RELU, RELU6, RELU_N1_TO_1"
        )
    return clamp(RANGES[function], quant)


def clamp(real: Range, quant: Quant) -> tuple[int, int]:
    """The int8 values of a real range, as CalculateActivationRangeQuantized has them.

    Single precision, rounded half away from zero; an infinite end is that of int8.
    """
    low, high = (_quantized(end, quant) for end in real)
    return max(-128, low), min(127, high)


def _quantized(real: float, quant: Quant) -> int:
    if math.isinf(real):
        return -128 if real < 0 else 127
    quotient = float(np.float32(real) / np.float32(quant.scale))
    if not abs(quotient) < MAX_QUOTIENT - 256:
        raise UnsupportedError(
            f"scale {quant.scale!r} is too small for an activation that ends at {real}; supported: "
            "a quotient of 31 bits"
        )
    return quant.zero_point + math.floor(abs(quotient) + 0.5) * (1 if quotient >= 0 else -1)
