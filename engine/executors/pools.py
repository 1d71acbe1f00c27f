"""Average and max pool; cells of the padding count in neither.

LiteRT's reference kernels and TensorFlow Lite Micro agree on both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.executors import Executor, Int8s, clamped
from engine.graph import Op, Tensor
from engine.windows import windows


def average_pool(op: Op, inputs: list[Int8s], tensors: list[Tensor], output: Tensor) -> Int8s:
    """TFLite's average pool: halves are rounded away from zero."""
    x = inputs[0].astype(np.int64)
    inside = np.ones((1, *tensors[0].shape[:2], 1), np.int64)
    total = np.zeros((len(x), *output.shape), np.int64)
    count = np.zeros((1, *output.shape[:2], 1), np.int64)
    cells, present = _windows(op, x), _windows(op, inside)
    for row, column in np.ndindex(op.kernel):
        total += cells[..., row, column]
        count += present[..., row, column]
    rounded = (np.abs(total) + count // 2) // count
    return clamped(op, np.where(total > 0, rounded, -rounded))


def max_pool(op: Op, inputs: list[Int8s], _tensors: list[Tensor], output: Tensor) -> Int8s:
    """The largest cell of each window."""
    cells = _windows(op, inputs[0], -128)
    best = np.full((len(inputs[0]), *output.shape), -128, np.int8)
    for row, column in np.ndindex(op.kernel):
        np.maximum(best, cells[..., row, column], out=best)
    return clamped(op, best)


def _windows(op: Op, x: NDArray[Any], fill: int = 0) -> NDArray[Any]:
    return windows(x, op.kernel, op.stride, op.padding, fill=fill)


EXECUTORS: dict[str, Executor] = {"average_pool2d": average_pool, "max_pool2d": max_pool}
