"""Operators that move bytes and compute nothing.

LiteRT's reference kernels and TensorFlow Lite Micro agree on all of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.executors import Executor, Int8s
from engine.graph import Op, Tensor
from engine.options import Concat, Pad, Resize, Slice, Transpose


def pad(op: Op, inputs: list[Int8s], _tensors: list[Tensor], _output: Tensor) -> Int8s:
    """The input within a border of one value."""
    assert isinstance(op.options, Pad)
    sides = ((0, 0), *zip(op.options.before, op.options.after, strict=True))
    return np.pad(inputs[0], sides, constant_values=op.options.value)


def reshape(_op: Op, inputs: list[Int8s], _tensors: list[Tensor], output: Tensor) -> Int8s:
    """The same bytes in another shape."""
    return inputs[0].reshape(-1, *output.shape)


def transpose(op: Op, inputs: list[Int8s], _tensors: list[Tensor], output: Tensor) -> Int8s:
    """The bytes seen as `view`, its axes reordered, then seen as the output's shape."""
    assert isinstance(op.options, Transpose)
    viewed = inputs[0].reshape(-1, *op.options.view)
    order = (0, *(axis + 1 for axis in op.options.order))
    return viewed.transpose(order).reshape(-1, *output.shape)


def concat(op: Op, inputs: list[Int8s], _tensors: list[Tensor], _output: Tensor) -> Int8s:
    """The inputs one after another along one axis."""
    assert isinstance(op.options, Concat)
    return np.concatenate(inputs, axis=op.options.axis + 1)


def strided_slice(op: Op, inputs: list[Int8s], _tensors: list[Tensor], output: Tensor) -> Int8s:
    """Every step-th element of each axis, as many as the output has."""
    assert isinstance(op.options, Slice)
    x = inputs[0]
    triples = zip(op.options.start, op.options.step, output.shape, strict=True)
    for axis, (start, step, count) in enumerate(triples, 1):
        x = x.take(start + step * np.arange(count), axis)
    return x


def resize_nearest(op: Op, inputs: list[Int8s], tensors: list[Tensor], output: Tensor) -> Int8s:
    """The input's pixel nearest to each output pixel, in TFLite's single precision."""
    assert isinstance(op.options, Resize)
    x = inputs[0]
    for axis in (0, 1):
        chosen = nearest(tensors[0].shape[axis], output.shape[axis], op.options)
        x = x.take(chosen, axis + 1)
    return x


def nearest(source: int, target: int, options: Resize) -> NDArray[np.intp]:
    """The input's index for each of `target` outputs along one axis of `source` elements."""
    corners = options.align_corners and target > 1
    scale = np.float32(source - corners) / np.float32(target - corners)
    offset = np.float32(0.5 if options.half_pixel_centers else 0)
    place = (np.arange(target, dtype=np.float32) + offset) * scale
    # halves go up; in double precision the sum is exact
    index = np.floor(place + np.float64(0.5)) if options.align_corners else np.floor(place)
    chosen: NDArray[np.intp] = np.clip(index, 0, source - 1).astype(np.intp)
    return chosen


EXECUTORS: dict[str, Executor] = {
    "pad": pad,
    "reshape": reshape,
    "transpose": transpose,
    "concat": concat,
    "slice": strided_slice,
    "resize_nearest": resize_nearest,
}
