"""Operators that change nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.executors.movement import nearest
from engine.graph import Op
from engine.options import Resize, Slice, Transpose
from engine.rewrites.draft import Draft, everywhere
from engine.rewrites.values import EVERY, unary


def _remove(change: Draft, op: Op) -> bool:
    """`op` goes where its output is its input: same shape, quantisation and every value."""
    source, output = change.tensors[op.inputs[0]], change.tensors[op.output]
    if (source.shape, source.quant) != (output.shape, output.quant):
        return False
    is_same = SAME.get(op.kind, _same_values)
    return is_same(change, op) and change.bypass(op)


def _same_values(change: Draft, op: Op) -> bool:
    function = unary(change, op)
    return function is not None and function.source == op.inputs[0] and function.equals(EVERY)


def _same_shape(_change: Draft, _op: Op) -> bool:
    return True


def _whole_slice(_change: Draft, op: Op) -> bool:
    assert isinstance(op.options, Slice)
    return op.options.start == (0, 0, 0)  # else it runs backwards


def _one_input(_change: Draft, op: Op) -> bool:
    return len(op.inputs) == 1


def _unmoved(_change: Draft, op: Op) -> bool:
    assert isinstance(op.options, Transpose)
    return moves_nothing(op.options)


def _same_pixels(change: Draft, op: Op) -> bool:
    assert isinstance(op.options, Resize)
    sizes = change.tensors[op.output].shape[:2]
    picked = (nearest(size, size, op.options).tolist() for size in sizes)
    return all(list(range(size)) == pixels for size, pixels in zip(sizes, picked, strict=True))


def moves_nothing(options: Transpose) -> bool:
    """Whether a transpose leaves every byte in its place: only axes of size 1 move."""
    long = [axis for axis in options.order if options.view[axis] > 1]
    return long == sorted(long)


SAME: Mapping[str, Callable[[Draft, Op], bool]] = {
    "reshape": _same_shape,
    "pad": _same_shape,
    "slice": _whole_slice,
    "concat": _one_input,
    "transpose": _unmoved,
    "resize_nearest": _same_pixels,
}
"""Whether an operator that keeps its input's shape keeps its values; others: value by value."""

remove_no_ops = everywhere(_remove)
