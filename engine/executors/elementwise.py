"""Add, sub and mul of two int8 tensors, with numpy's broadcasting over H, W and C.

LiteRT's reference kernels and TensorFlow Lite Micro agree on all three.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.executors import Executor, Int8s, clamped
from engine.graph import Op, Tensor
from engine.numerics import (
    AddParameters,
    add_parameters,
    mul_multiplier,
    requantize,
    sub_parameters,
)


def add(op: Op, inputs: list[Int8s], tensors: list[Tensor], output: Tensor) -> Int8s:
    """TFLite's add: both inputs brought to one scale with 20 more bits, summed, scaled."""
    parameters = add_parameters(tensors[0].quant, tensors[1].quant, output.quant)
    first, second = _brought(inputs, tensors, parameters)
    return _scaled(op, first + second, parameters.output, output)


def sub(op: Op, inputs: list[Int8s], tensors: list[Tensor], output: Tensor) -> Int8s:
    """The first input less the second, with the factors of `add`.

    TensorFlow Lite Micro made the factors in single precision until autumn 2026, which
    moves about one output in a million by one.
    """
    parameters = sub_parameters(tensors[0].quant, tensors[1].quant, output.quant)
    first, second = _brought(inputs, tensors, parameters)
    return _scaled(op, first - second, parameters.output, output)


def mul(op: Op, inputs: list[Int8s], tensors: list[Tensor], output: Tensor) -> Int8s:
    """TFLite's mul: the product of both values without their zero points, scaled once."""
    factor = mul_multiplier(tensors[0].quant, tensors[1].quant, output.quant)
    first, second = (
        x.astype(np.int64) - tensor.quant.zero_point
        for x, tensor in zip(inputs, tensors, strict=True)
    )
    return _scaled(op, first * second, factor, output)


def _brought(
    inputs: list[Int8s], tensors: list[Tensor], parameters: AddParameters
) -> list[NDArray[np.int64]]:
    """Each input on the scale of the sum, through a table of its 256 values."""
    brought = []
    factors = (parameters.input1, parameters.input2)
    for x, tensor, factor in zip(inputs, tensors, factors, strict=True):
        every = (np.arange(-128, 128) - tensor.quant.zero_point) << parameters.left_shift
        table = requantize(every, *factor).astype(np.int64)
        brought.append(table[x.astype(np.int64) + 128])
    return brought


def _scaled(op: Op, value: NDArray[np.int64], factor: tuple[int, int], output: Tensor) -> Int8s:
    scaled = requantize(value, *factor).astype(np.int64)
    return clamped(op, scaled + output.quant.zero_point)


EXECUTORS: dict[str, Executor] = {"add": add, "sub": sub, "mul": mul}
