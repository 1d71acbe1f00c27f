"""Means: over the axes that a transpose would have moved.

A mean of a mean stays two, as the first one rounds. Nor does a mean become an average pool: its
factor is rounded and it rounds twice, which for more than three elements gives another output
for some sum (compared for every sum of up to 81 elements and five zero points).
"""

from __future__ import annotations

from dataclasses import replace

from engine.graph import Op
from engine.options import Mean, Transpose, Triple
from engine.rewrites.draft import Draft, everywhere


def _before_transpose(change: Draft, op: Op) -> bool:
    """The transpose moves what the mean leaves, which is less, or nothing any more."""
    maker = change.maker(op.inputs[0])
    if maker is None or change.only_reader(maker.output) is not op:
        return False
    if not (isinstance(op.options, Mean) and isinstance(maker.options, Transpose)):
        return False
    source, output = change.tensors[maker.inputs[0]], change.tensors[op.output]
    order, view = maker.options.order, maker.options.view
    if (source.shape, change.tensors[maker.output].shape) != (view, maker.options.shape):
        return False
    axes = tuple(sorted(order[axis] for axis in op.options.axes))
    shape = _mean_shape(view, axes)
    inner = change.fresh(replace(output, shape=shape))
    mean = replace(op, inputs=maker.inputs, output=inner, options=Mean(axes))
    moves = replace(maker, inputs=(inner,), output=op.output, options=Transpose(shape, order))
    change.swap(maker)
    change.swap(op, mean, moves)
    return True


def _mean_shape(shape: Triple, axes: tuple[int, ...]) -> Triple:
    height, width, channels = (1 if i in axes else size for i, size in enumerate(shape))
    return height, width, channels


mean_before_transpose = everywhere(_before_transpose)
