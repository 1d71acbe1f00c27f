"""The shape [H, W, C] that each kind of operator makes of its inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.errors import GraphError
from engine.options import Concat, Mean, Pad, Slice, Transpose

if TYPE_CHECKING:
    from engine.graph import Op, Tensor

Shape = tuple[int, int, int]


def output_shape(op: Op, inputs: list[Tensor], declared: Shape | None = None) -> Shape:
    """What `op` makes of its inputs; `GraphError` if it cannot.

    declared: the shape of its output tensor, which a reshape, resize, slice or transpose may
    choose among those that fit its input.
    """
    shapes = [tensor.shape for tensor in inputs]
    free = FREE.get(op.kind)
    if free is not None:
        wanted = shapes[0] if declared is None else declared
        free(op, shapes[0], wanted)
        return wanted
    return FIXED[op.kind](op, shapes)


def broadcast(op: Op, shapes: list[Shape]) -> Shape:
    """The shape of an element-wise operator: equal sizes, or one of them 1."""
    sizes = [set(pair) - {1} for pair in zip(*shapes, strict=True)]
    if any(len(size) > 1 for size in sizes):
        raise GraphError(f"operator {op.name!r} ({op.kind}) takes {' and '.join(map(str, shapes))}")
    height, width, channels = (max(size, default=1) for size in sizes)
    return height, width, channels


def _same(_op: Op, shapes: list[Shape]) -> Shape:
    return shapes[0]


def _fully_connected(op: Op, shapes: list[Shape]) -> Shape:
    _check_channels(op, math.prod(shapes[0]))
    return (1, 1, _filters(op))


def _conv2d(op: Op, shapes: list[Shape]) -> Shape:
    _check_channels(op, shapes[0][2])
    return (*_windows(op, shapes[0]), _filters(op))


def _depthwise(op: Op, shapes: list[Shape]) -> Shape:
    assert op.weights is not None
    channels = int(op.weights.shape[-1])
    if channels % shapes[0][2]:
        raise _misfit(op, shapes[0][2])
    return (*_windows(op, shapes[0]), channels)


def _pool(op: Op, shapes: list[Shape]) -> Shape:
    return (*_windows(op, shapes[0]), shapes[0][2])


def _windows(op: Op, shape: Shape) -> tuple[int, int]:
    pad, (rows, columns) = op.padding, op.reach
    tall = shape[0] + pad.top + pad.bottom - rows
    wide = shape[1] + pad.left + pad.right - columns
    if tall < 0 or wide < 0:
        raise GraphError(f"operator {op.name!r}: kernel {op.kernel} is larger than its input")
    return tall // op.stride[0] + 1, wide // op.stride[1] + 1


def _mean(op: Op, shapes: list[Shape]) -> Shape:
    assert isinstance(op.options, Mean)
    height, width, channels = (
        1 if axis in op.options.axes else size for axis, size in enumerate(shapes[0])
    )
    return height, width, channels


def _pad(op: Op, shapes: list[Shape]) -> Shape:
    assert isinstance(op.options, Pad)
    sides = zip(op.options.before, shapes[0], op.options.after, strict=True)
    height, width, channels = (sum(side) for side in sides)
    return height, width, channels


def _concat(op: Op, shapes: list[Shape]) -> Shape:
    assert isinstance(op.options, Concat)
    axis = op.options.axis
    others = {tuple(size for i, size in enumerate(shape) if i != axis) for shape in shapes}
    if len(others) > 1:
        raise GraphError(f"operator {op.name!r} joins {shapes} along axis {axis}")
    total = sum(shape[axis] for shape in shapes)
    height, width, channels = (total if i == axis else n for i, n in enumerate(shapes[0]))
    return height, width, channels


def _reshape(op: Op, source: Shape, wanted: Shape) -> None:
    if math.prod(source) != math.prod(wanted):
        raise GraphError(f"operator {op.name!r} reshapes {source} to {wanted}: other sizes")


def _transpose(op: Op, source: Shape, wanted: Shape) -> None:
    assert isinstance(op.options, Transpose)
    sizes = {math.prod(source), math.prod(op.options.view), math.prod(wanted)}
    if len(sizes) > 1:
        raise GraphError(f"operator {op.name!r} transposes {source} as {op.options.view}")


def _slice(op: Op, source: Shape, wanted: Shape) -> None:
    assert isinstance(op.options, Slice)
    for size, start, step, count in zip(
        source, op.options.start, op.options.step, wanted, strict=True
    ):
        if not (start < size and 0 <= start + (count - 1) * step < size):
            raise GraphError(f"operator {op.name!r} takes {wanted} out of {source}: too much")


def _resize(op: Op, source: Shape, wanted: Shape) -> None:
    if source[2] != wanted[2]:
        raise GraphError(f"operator {op.name!r} resizes {source} to {wanted}: other channels")


def _filters(op: Op) -> int:
    assert op.weights is not None
    return int(op.weights.shape[0])


def _check_channels(op: Op, channels: int) -> None:
    if op.weights is not None and op.weights.shape[-1] != channels:
        raise _misfit(op, channels)


def _misfit(op: Op, channels: int) -> GraphError:
    shape = None if op.weights is None else op.weights.shape
    return GraphError(
        f"operator {op.name!r} ({op.kind}): weights {shape} do not fit {channels} input channels"
    )


FIXED: dict[str, Callable[[Op, list[Shape]], Shape]] = {
    "conv2d": _conv2d,
    "depthwise_conv2d": _depthwise,
    "fully_connected": _fully_connected,
    "average_pool2d": _pool,
    "max_pool2d": _pool,
    "add": broadcast,
    "sub": broadcast,
    "mul": broadcast,
    "mean": _mean,
    "pad": _pad,
    "concat": _concat,
    "softmax": _same,
    "logistic": _same,
    "hard_swish": _same,
    "relu": _same,
    "requantize": _same,
}
FREE: dict[str, Callable[[Op, Shape, Shape], None]] = {
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "resize_nearest": _resize,
}
OP_KINDS = (*FIXED, *FREE)
