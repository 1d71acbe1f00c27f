"""Operators whose whole output is known, and operators that compute what another has."""

from __future__ import annotations

import numpy as np

from engine.graph import Op
from engine.graph_checks import BINARY_KINDS, CONSTANT_KINDS
from engine.reference import EXECUTORS
from engine.rewrites.draft import Draft, everywhere


def _known(change: Draft, op: Op) -> bool:
    """A constant takes the place of `op` if every reader may read one.

    Not in the place of an input's last reader: `Draft.finished` would refuse.
    """
    if change.is_outside(op.output) or not _may_be_constant(change, op):
        return False
    tensor, interval = change.tensors[op.output], change.intervals[op.output]
    if all(name in change.constants for name in op.inputs):
        inputs = [change.constants[name][np.newaxis] for name in op.inputs]
        tensors = [change.tensors[name] for name in op.inputs]
        values = EXECUTORS[op.kind](op, inputs, tensors, tensor)[0]
    elif interval.points.all():
        values = np.broadcast_to(interval.low.astype(np.int8), tensor.shape)
    else:
        return False
    change.constants[op.output] = values
    change.swap(op)
    return True


def _may_be_constant(change: Draft, op: Op) -> bool:
    readers = change.readers(op.output)
    return all(reader.kind in CONSTANT_KINDS for reader in readers) and change.is_read_without(op)


def _shrink(change: Draft, op: Op) -> bool:
    """A constant that repeats itself is kept once; element-wise operators broadcast it."""
    if op.kind not in BINARY_KINDS:
        return False
    for name in op.inputs:
        if name not in change.constants or change.only_reader(name) is not op:
            continue
        values = change.constants[name]
        for axis in range(3):
            first = values.take([0], axis)
            others = [change.tensors[n].shape[axis] for n in op.inputs if n != name]
            wide = all(size == change.tensors[op.output].shape[axis] for size in others)
            if others and wide and np.array_equal(np.broadcast_to(first, values.shape), values):
                values = first
        if values.shape != change.constants[name].shape:
            change.set_constant(name, values)
            return True
    return False


def _repeated(change: Draft, op: Op) -> bool:
    """An operator that differs from an earlier one in its name alone."""
    for other in change.ops[: change.ops.index(op)]:
        if not _computes_same(change, op, other) or op.output in change.graph.outputs:
            continue
        change.swap(op)
        change.redirect(op.output, other.output)
        return True
    return False


def _computes_same(change: Draft, op: Op, other: Op) -> bool:
    one, two = change.tensors[op.output], change.tensors[other.output]
    if (op.kind, op.inputs, one.shape, one.quant) != (
        other.kind,
        other.inputs,
        two.shape,
        two.quant,
    ):
        return False
    plain = ("kernel", "stride", "padding", "clamp", "dilation", "options")
    arrays = ("weights", "weight_scales", "bias")
    return all(getattr(op, field) == getattr(other, field) for field in plain) and all(
        np.array_equal(getattr(op, field), getattr(other, field))
        for field in arrays
        if getattr(op, field) is not None
    )


fold_constants = everywhere(_known)
shrink_constants = everywhere(_shrink)
compute_once = everywhere(_repeated)
