"""Operators whose whole output is known, and operators that compute what another has."""

from __future__ import annotations

import math
import zlib
from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.graph import Graph, Op
from engine.graph_checks import BINARY_KINDS, CONSTANT_KINDS
from engine.options import Triple
from engine.reference import EXECUTORS
from engine.rewrites.draft import Draft, draft, everywhere

MAX_FOLDED_BYTES = 4096
"""Of a constant that takes the place of an operator: it costs flash."""


def _known(change: Draft, op: Op) -> bool:
    """A small constant takes the place of `op` if every reader may read one.

    Not in the place of an input's last reader: `Draft.finished` would refuse.
    """
    readers = change.readers(op.output)
    if change.is_outside(op.output) or any(r.kind not in CONSTANT_KINDS for r in readers):
        return False
    values = _values(change, op)
    if values is None or not change.is_read_without(op):
        return False
    change.swap(op)
    change.set_constant(op.output, values)
    return True


def _values(change: Draft, op: Op) -> NDArray[np.int8] | None:
    """All of the output of `op`, or one pixel if the readers can spread it."""
    tensor, interval = change.tensors[op.output], change.intervals[op.output]
    if interval.points.all():
        shape = (1, 1, tensor.shape[2]) if _is_spread(change, op.output) else tensor.shape
        small = math.prod(shape) <= MAX_FOLDED_BYTES
        return np.broadcast_to(interval.low.astype(np.int8), shape) if small else None
    known = all(name in change.constants for name in op.inputs)
    if not known or tensor.size > MAX_FOLDED_BYTES:
        return None
    inputs = [change.constants[name][np.newaxis] for name in op.inputs]
    tensors = [change.tensors[name] for name in op.inputs]
    made: NDArray[np.int8] = EXECUTORS[op.kind](op, inputs, tensors, tensor)[0]
    return made


def _is_spread(change: Draft, name: str) -> bool:
    """Whether every reader of tensor `name` has another input of its output's shape."""
    return all(
        reader.kind in BINARY_KINDS
        and change.tensors[reader.output].shape in _others(change, reader, name)
        for reader in change.readers(name)
    )


def _others(change: Draft, reader: Op, name: str) -> list[Triple]:
    return [change.tensors[other].shape for other in reader.inputs if other != name]


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


def compute_once(graph: Graph) -> Graph | None:
    """An operator that differs from an earlier one in its name alone goes."""
    change = draft(graph)
    seen: dict[Hashable, list[Op]] = {}
    for place in range(len(graph.ops)):
        op = change.ops[place - (len(graph.ops) - len(change.ops))]
        twins = seen.setdefault(_identity(change, op), [])
        twin = next((other for other in twins if _has_same_arrays(op, other)), None)
        if twin is None or op.output in graph.outputs:
            twins.append(op)
            continue
        change.swap(op)
        change.redirect(op.output, twin.output)
    return change.finished() if len(change.ops) < len(graph.ops) else None


def _identity(change: Draft, op: Op) -> Hashable:
    """What equal operators have in common, their arrays as check sums."""
    output = change.tensors[op.output]
    plain = (op.kind, op.inputs, op.kernel, op.stride, op.padding, op.clamp, op.dilation)
    sums = tuple(None if array is None else zlib.crc32(array.data) for array in _arrays(op))
    return (*plain, op.options, output.shape, output.quant, sums)


def _arrays(op: Op) -> tuple[NDArray[Any] | None, ...]:
    return op.weights, op.weight_scales, op.bias


def _has_same_arrays(one: Op, two: Op) -> bool:
    pairs = zip(_arrays(one), _arrays(two), strict=True)
    return all(
        a is b or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs
    )


fold_constants = everywhere(_known)
shrink_constants = everywhere(_shrink)
