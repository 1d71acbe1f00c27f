"""The one definition of requantisation: TFLite's double rounding, to the bit.

A real factor is a 31-bit fraction and a power of two. Scaling an int32 by it rounds twice, as
gemmlowp's fixedpoint.h does: SaturatingRoundingDoublingHighMul (half up), then
RoundingDivideByPOT (half away from zero). The reference executor, the emitter and the tests
all take their multipliers from here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import GraphError

if TYPE_CHECKING:
    from engine.graph import Op, Quant

Ints = NDArray[Any] | int

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1
ADD_LEFT_SHIFT = 20  # head room that TFLite gives both inputs of an int8 add or sub
MUL_MOST_SHIFT = 15  # (255 * 255) << 15 is still an int32


def quantize_multiplier(real: float) -> tuple[int, int]:
    """(multiplier, shift) with real ~ multiplier * 2**(shift - 31); shift > 0 is a left shift.

    `multiplier` is 0 or of 2**30 .. 2**31 - 1. Factors under 2**-32 become 0, as in TFLite.
    Raises `GraphError` for a negative, infinite or larger than 2**30 factor.
    """
    if not (math.isfinite(real) and 0 <= real < 1 << 30):
        raise GraphError(f"a scale factor of {real!r} is not in 0..2**30")
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier, shift = 1 << 30, shift + 1
    return (multiplier, shift) if multiplier and shift >= -31 else (0, 0)


def quantize_multipliers(
    reals: NDArray[np.float64],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(multiplier, shift) of each, as `quantize_multiplier`, each int32 [C]; the same error."""
    for real in reals[~((reals >= 0) & (reals < 1 << 30))]:
        quantize_multiplier(float(real))
    fractions, exponents = np.frexp(reals)
    multipliers = np.floor(fractions * (1 << 31) + 0.5).astype(np.int64)
    over = multipliers == 1 << 31
    multipliers, shifts = np.where(over, 1 << 30, multipliers), exponents + over
    small = (multipliers == 0) | (shifts < -31)
    multipliers[small], shifts[small] = 0, 0
    return multipliers.astype(np.int32), shifts.astype(np.int32)


def high_mul(a: Ints, b: Ints) -> NDArray[np.int64]:
    """round(a * b / 2**31) of int32 values, half up, saturated: gemmlowp's SRDHM."""
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    rounded: NDArray[np.int64] = (product + (1 << 30)) >> 31
    return np.minimum(rounded, INT32_MAX)


def divide_by_pot(value: Ints, exponent: Ints) -> NDArray[np.int64]:
    """round(value / 2**exponent), half away from zero, exponent of 0..31: gemmlowp's RDBPOT."""
    wide, power = np.asarray(value, np.int64), np.asarray(exponent, np.int64)
    mask = (np.int64(1) << power) - 1
    threshold = (mask >> 1) + (wide < 0)
    return (wide >> power) + ((wide & mask) > threshold)


def wrap_int32(value: NDArray[np.int64]) -> NDArray[np.int64]:
    """The low 32 bits, signed: what a C accumulator holds after an overflow."""
    return ((value + (1 << 31)) & 0xFFFF_FFFF) - (1 << 31)


def requantize(acc: Ints, multiplier: Ints, shift: Ints) -> NDArray[np.int32]:
    """Scale int32 `acc` by multiplier * 2**(shift - 31), broadcasting over all three.

    A left shift wraps at 32 bits, as the C does; a sane network never gets there.
    """
    power = np.asarray(shift, np.int64)
    shifted = wrap_int32(np.asarray(acc, np.int64) << np.maximum(power, 0))
    scaled = divide_by_pot(high_mul(shifted, multiplier), np.maximum(-power, 0))
    return scaled.astype(np.int32)


def output_multipliers(
    op: Op, input_quant: Quant, output_quant: Quant
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(multiplier, shift), each int32 [Cout], of an operator with weights.

    The scales are multiplied in double precision, as LiteRT and today's TensorFlow Lite Micro do.
    Until autumn 2026 the latter took single precision for a fully connected operator whose
    weights have one scale, which moves about one output in a million by one.
    """
    if op.weight_scales is None:
        raise GraphError(f"operator {op.name!r} ({op.kind}) has no weights to scale")
    products = input_quant.scale * op.weight_scales
    return quantize_multipliers(np.asarray(products, np.float64) / output_quant.scale)


@dataclass(frozen=True)
class AddParameters:
    """TFLite's three factors of an int8 add or sub, each (multiplier, shift) with shift <= 0."""

    left_shift: int
    input1: tuple[int, int]
    input2: tuple[int, int]
    output: tuple[int, int]


def add_parameters(first: Quant, second: Quant, output: Quant) -> AddParameters:
    """Both inputs are brought to twice the larger scale, added, and scaled to the output.

    Raises `GraphError` when the output's scale is too small (under 2**-20 of that), or an input's
    scale is nothing beside the other's: TFLite aborts on factors of 1 and more, and of 0.
    """
    twice_max = 2 * max(first.scale, second.scale)
    factor = twice_max / ((1 << ADD_LEFT_SHIFT) * output.scale)
    scaled = quantize_multiplier(factor) if 0 < factor < 1 else (0, 1)
    if scaled[1] > 0:
        raise GraphError(f"a sum cannot go to the output scale {output.scale!r}: too small")
    parts = [quant.scale / twice_max for quant in (first, second)]
    if not all(parts):
        raise GraphError(f"a sum of the scales {first.scale!r} and {second.scale!r}: too far apart")
    inputs = [quantize_multiplier(part) for part in parts]
    return AddParameters(ADD_LEFT_SHIFT, inputs[0], inputs[1], scaled)


sub_parameters = add_parameters  # TensorFlow Lite Micro's were single precision until autumn 2026


def mul_multiplier(first: Quant, second: Quant, output: Quant) -> tuple[int, int]:
    """(multiplier, shift) from the product of two int8 values to the output.

    Raises `GraphError` when the output's scale is so small that a product would leave 32 bits,
    which TFLite does not define.
    """
    factor = first.scale * second.scale / output.scale
    multiplier, shift = quantize_multiplier(factor)
    if shift > MUL_MOST_SHIFT:
        raise GraphError(f"a mul cannot go to the output scale {output.scale!r}: too small")
    return multiplier, shift
