"""Softmax over the last axis, in fixed point; TFLite's two implementations agree on it.

TFLite stops the program where the exponentials of a row add up to 512 or more, which needs that
many channels near the maximum. Here such a row is what the same arithmetic without that check
gives: probabilities below 1/512, which are all 0.
"""

from __future__ import annotations

import numpy as np

from engine.executors import Executor, Int8s
from engine.fixed_point import exp_of_negative, reciprocal_of_one_plus
from engine.function_parameters import SOFTMAX_BITS, softmax_argument
from engine.graph import Op, Tensor
from engine.numerics import divide_by_pot, high_mul, requantize
from engine.options import Softmax

SUM_BITS = 12
"""Integer bits of the sum of exponentials."""


def _softmax(op: Op, inputs: list[Int8s], tensors: list[Tensor], output: Tensor) -> Int8s:
    assert isinstance(op.options, Softmax)
    argument = softmax_argument(op.options, tensors[0], output)
    x = inputs[0].astype(np.int64)
    below = x.max(axis=-1, keepdims=True) - x
    every = -np.arange(min(argument.radius, 255) + 1, dtype=np.int64)
    raw = requantize(every, *argument.factor).astype(np.int64)
    exponentials = np.zeros(256, np.int64)  # exp(-i), of 0 integer bits
    exponentials[: len(every)] = exp_of_negative(raw, SOFTMAX_BITS)
    return _normalised(exponentials[below])


def _normalised(exponentials: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Int8s:
    """Steps of 1/256 less 128, for exponentials [..., C]."""
    total = divide_by_pot(exponentials, SUM_BITS).sum(axis=-1, keepdims=True)
    bits = np.frexp(total.astype(np.float64))[1].astype(np.int64)  # total < 2**bits
    scale = reciprocal_of_one_plus((total << (32 - bits)) - (1 << 31))
    exponent = bits - (32 - SUM_BITS) + 31 - 8
    held = np.minimum(exponent, 31)
    steps = np.where(exponent > 31, 0, divide_by_pot(high_mul(exponentials, scale), held))
    return (np.minimum(steps, 255) - 128).astype(np.int8)


EXECUTORS: dict[str, Executor] = {"softmax": _softmax}
