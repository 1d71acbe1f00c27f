"""Functions of one int8 value: relu, requantize, logistic and hard_swish, each as 256 outputs.

TensorFlow Lite Micro and LiteRT's reference kernels agree on all of them but one: RELU6 of an input
and output with different quantisation, where TensorFlow Lite Micro copies the bytes of the input
and only clamps them. That is no ReLU of any number; LiteRT's, which requantises, is followed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine.errors import GraphError
from engine.executors import Executor, Int8s, clamped
from engine.fixed_point import logistic
from engine.graph import Op, Tensor
from engine.numerics import (
    divide_by_pot,
    quantize_multiplier,
    requantize,
    scale_factor,
    single_ratio,
)

Values = NDArray[np.int64]

LOGISTIC_BITS = 4
"""Integer bits of the fixed-point argument of a logistic function."""


def function_table(op: Op, source: Tensor, output: Tensor) -> Int8s:
    """int8 [256]: the output of `op` for the inputs -128 .. 127.

    Raises `GraphError` for quantisations that the function cannot have.
    """
    steps = np.arange(-128, 128, dtype=np.int64) - source.quant.zero_point
    return clamped(op, FUNCTIONS[op.kind](steps, source, output))


def _relu(steps: Values, source: Tensor, output: Tensor) -> Values:
    """The operator's clamp does the rest; TFLite divides the scales in single precision."""
    factor = scale_factor(single_ratio(source.quant.scale, output.quant.scale))
    return requantize(steps, *factor).astype(np.int64) + output.quant.zero_point


def _requantize(steps: Values, source: Tensor, output: Tensor) -> Values:
    factor = scale_factor(source.quant.scale / output.quant.scale)
    return requantize(steps, *factor).astype(np.int64) + output.quant.zero_point
