"""Means: of the axes before a transpose, and as average pools where both round alike.

A mean of a mean stays two: the first one rounds.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.function_parameters import mean_factor
from engine.graph import Op, Tensor
from engine.numerics import requantize
from engine.options import Mean, Transpose, Triple
from engine.rewrites.draft import Draft, everywhere

MAX_SUMS = 1 << 20
"""Sums that are compared, one by one, before a mean is proven to be an average pool."""


def _before_transpose(change: Draft, op: Op) -> bool:
    """Mean over the axes that the transpose moved, if what is left comes out in order."""
    maker = change.maker(op.inputs[0])
    if maker is None or not (isinstance(op.options, Mean) and isinstance(maker.options, Transpose)):
        return False
    order, view = maker.options.order, maker.options.view
    shapes = change.tensors[maker.inputs[0]].shape, change.tensors[maker.output].shape
    axes = tuple(sorted(order[axis] for axis in op.options.axes))
    left = [axis for axis in order if axis not in axes and view[axis] > 1]
    if shapes != (view, maker.options.shape) or left != sorted(left):
        return False
    _replace_mean(change, op, maker.inputs[0], axes)
    return True


def _replace_mean(change: Draft, op: Op, source: str, axes: tuple[int, ...]) -> None:
    """Let `op` take the mean of `source` over `axes`, and reshape that if it must."""
    output = change.tensors[op.output]
    shape = _mean_shape(change.tensors[source].shape, axes)
    mean = replace(op, inputs=(source,), options=Mean(axes))
    if shape == output.shape:
        change.swap(op, mean)
        return
    inner = change.fresh(replace(output, shape=shape))
    move = Op("reshape", f"{op.name} in order", (inner,), op.output)
    change.swap(op, replace(mean, output=inner), move)


def _mean_shape(shape: Triple, axes: tuple[int, ...]) -> Triple:
    height, width, channels = (1 if i in axes else size for i, size in enumerate(shape))
    return height, width, channels


def _to_pool(change: Draft, op: Op) -> bool:
    """Over H and W with one quantisation, if both agree on every sum that can occur."""
    if not isinstance(op.options, Mean) or op.options.axes != (0, 1):
        return False
    source, output = change.tensors[op.inputs[0]], change.tensors[op.output]
    height, width, _ = source.shape
    values = change.intervals[op.inputs[0]]
    low, high = (height * width * int(end) for end in (values.low.min(), values.high.max()))
    if source.quant != output.quant or high - low > MAX_SUMS:
        return False
    sums = np.arange(low, high + 1, dtype=np.int64)
    means, averages = _means(sums, source, output), _averages(sums, height * width)
    if not np.array_equal(np.clip(means, *op.clamp), np.clip(averages, *op.clamp)):
        return False
    change.swap(op, replace(op, kind="average_pool2d", options=None, kernel=(height, width)))
    return True


def _means(sums: NDArray[np.int64], source: Tensor, output: Tensor) -> NDArray[np.int64]:
    """What a mean makes of each sum of raw values, before the clamp."""
    steps = sums - source.shape[0] * source.shape[1] * source.quant.zero_point
    return requantize(steps, *mean_factor(source, output)) + np.int64(output.quant.zero_point)


def _averages(sums: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """What an average pool makes of each: halves away from zero."""
    rounded: NDArray[np.int64] = (np.abs(sums) + count // 2) // count
    return np.where(sums > 0, rounded, -rounded)


mean_before_transpose = everywhere(_before_transpose)
mean_to_pool = everywhere(_to_pool)
