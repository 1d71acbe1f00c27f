"""Mean over any axes: a sum of int32, then one requantisation that divides too.

TensorFlow Lite Micro and LiteRT agree on it, for every set of axes and for equal quantisations too.
"""

from __future__ import annotations

import numpy as np

from engine.executors import Executor, Int8s, clamped
from engine.function_parameters import mean_factor
from engine.graph import Op, Tensor
from engine.numerics import requantize
from engine.options import Mean


def _mean(op: Op, inputs: list[Int8s], tensors: list[Tensor], output: Tensor) -> Int8s:
    assert isinstance(op.options, Mean)
    source = tensors[0]
    count = source.size // output.size
    axes = tuple(axis + 1 for axis in op.options.axes)
    total = inputs[0].astype(np.int64).sum(axis=axes, keepdims=True)
    steps = total - count * source.quant.zero_point
    factor = mean_factor(source, output)
    return clamped(op, requantize(steps, *factor).astype(np.int64) + output.quant.zero_point)


EXECUTORS: dict[str, Executor] = {"mean": _mean}
