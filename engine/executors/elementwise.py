"""Add, sub and mul of two int8 tensors, with numpy's broadcasting over H, W and C."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.executors import Executor, Int8s, clamped
from engine.graph import Op, Tensor
from engine.numerics import add_parameters, requantize


def add(op: Op, inputs: list[Int8s], tensors: list[Tensor], output: Tensor) -> Int8s:
    """TFLite's add, through a table of 256 scaled values for each input."""
    parameters = add_parameters(tensors[0].quant, tensors[1].quant, output.quant)
    factors = (parameters.input1, parameters.input2)
    total: NDArray[np.int64] = np.zeros(1, np.int64)
    for x, tensor, factor in zip(inputs, tensors, factors, strict=True):
        every = (np.arange(-128, 128) - tensor.quant.zero_point) << parameters.left_shift
        total = total + requantize(every, *factor).astype(np.int64)[x.astype(np.int64) + 128]
    scaled = requantize(total, *parameters.output).astype(np.int64)
    return clamped(op, scaled + output.quant.zero_point)


EXECUTORS: dict[str, Executor] = {"add": add}
