"""Functions of one int8 value: relu, requantize, logistic and hard_swish, each as 256 outputs.

LiteRT's reference kernels differ from TensorFlow Lite Micro's:

- A logistic function is a table made in floating point. TensorFlow Lite Micro, which is followed,
  computes in fixed point: one step off near ties, more where |x| >= 15, taken as saturated.
- LiteRT divides the scales of a relu and a hard swish in single precision, TensorFlow Lite Micro
  (since autumn 2026) in double, which is followed: an output in a million is one step off.
- RELU6 of an input and output with different quantisation: TensorFlow Lite Micro copies the bytes
  of the input and only clamps them, which is no ReLU of any number. LiteRT, which requantises, is
  followed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine import fixed_point
from engine.executors import Executor, Int8s, clamped
from engine.function_parameters import (
    LOGISTIC_BITS,
    hard_swish_factors,
    logistic_argument,
    relu_factor,
    requantize_factor,
)
from engine.graph import Op, Quant, Tensor
from engine.numerics import divide_by_pot, requantize

Values = NDArray[np.int64]
INT16_MIN, INT16_MAX = -(1 << 15), (1 << 15) - 1


def function_table(op: Op, source: Tensor, output: Tensor) -> Int8s:
    """int8 [256]: the output of `op` for the inputs -128 .. 127.

    Raises `GraphError` for quantisations that the function cannot have.
    """
    steps = np.arange(-128, 128, dtype=np.int64) - source.quant.zero_point
    values = FUNCTIONS[op.kind](steps, source.quant, output.quant)
    return clamped(op, values + output.quant.zero_point)


def _relu(steps: Values, source: Quant, output: Quant) -> Values:
    """The operator's clamp cuts off what is negative."""
    return requantize(steps, *relu_factor(source, output)).astype(np.int64)


def _requantize(steps: Values, source: Quant, output: Quant) -> Values:
    return requantize(steps, *requantize_factor(source, output)).astype(np.int64)


def _logistic(steps: Values, source: Quant, output: Quant) -> Values:
    """Steps of 1/256, 1 itself as 255."""
    argument = logistic_argument(source, output)
    inside = np.clip(steps, 1 - argument.radius, argument.radius - 1)
    raw = requantize(inside, *argument.factor).astype(np.int64)
    near = divide_by_pot(fixed_point.logistic(raw, LOGISTIC_BITS), 31 - 8)
    above = np.where(steps >= argument.radius, 255, np.minimum(near, 255))
    return np.where(steps <= -argument.radius, 0, above)


def _hard_swish(steps: Values, source: Quant, output: Quant) -> Values:
    """x * gate(x), where gate(x) = clamp((x + 3) / 6, 0, 1), in 16 bits as TFLite has it."""
    factors = hard_swish_factors(source, output)
    fine = steps << 7
    value = _high_mul16(fine, factors.output[0])
    gate = (_gate(fine, *factors.gate) + (1 << 15)) >> 1
    product = value * gate
    toward_zero = np.where(product < 0, -(-product >> 15), product >> 15)
    return _divide_by_pot16(toward_zero, -factors.output[1])


def _gate(fine: Values, multiplier: int, shift: int) -> Values:
    """fine * multiplier * 2**(shift - 15), saturated: 3.0 becomes 2**15 - 1."""
    if shift <= 0:
        return _divide_by_pot16(_high_mul16(fine, multiplier), -shift)
    return _saturated16(_high_mul16(_saturated16(fine << (shift - 1)), multiplier) << 1)


def _saturated16(value: Values) -> Values:
    return np.clip(value, INT16_MIN, INT16_MAX)


def _high_mul16(value: Values, multiplier: int) -> Values:
    """round(value * multiplier / 2**15), half up: gemmlowp's SRDHM of int16."""
    rounded: Values = (value * multiplier + (1 << 14)) >> 15
    return rounded


def _divide_by_pot16(value: Values, exponent: int) -> Values:
    """gemmlowp's RDBPOT of int16: right up to 2**15; its mask has 16 bits, so 0 may be 1 beyond."""
    mask = (((1 << exponent) - 1) + (1 << 15)) % (1 << 16) - (1 << 15)
    threshold = (mask >> 1) + (value < 0)
    return (value >> exponent) + ((value & mask) > threshold)


def _function(op: Op, inputs: list[Int8s], tensors: list[Tensor], output: Tensor) -> Int8s:
    table = function_table(op, tensors[0], output)
    return table[inputs[0].astype(np.int64) + 128]


FUNCTIONS: dict[str, Callable[[Values, Quant, Quant], Values]] = {
    "relu": _relu,
    "requantize": _requantize,
    "logistic": _logistic,
    "hard_swish": _hard_swish,
}
"""Kind -> function of steps above the input's zero point to steps above the output's."""
EXECUTORS: dict[str, Executor] = dict.fromkeys(FUNCTIONS, _function)
