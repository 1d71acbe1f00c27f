"""Operators that are a function of one int8 value, as a table of its 256 outputs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.executors import Int8s
from engine.executors.functions import FUNCTIONS, function_table
from engine.graph import Op
from engine.graph_checks import BINARY_KINDS
from engine.options import Mean
from engine.reference import EXECUTORS
from engine.rewrites.draft import Draft

EVERY: NDArray[np.int8] = np.arange(-128, 128, dtype=np.int64).astype(np.int8)
POOLS = ("average_pool2d", "max_pool2d")


@dataclass(frozen=True, eq=False)
class Unary:
    """An operator that makes table[v + 128] of each value v of tensor `source`, in its place.

    reached: the entries that the network can ask for, bool [256].
    """

    source: str
    table: Int8s
    reached: NDArray[np.bool_]

    def equals(self, table: Int8s) -> bool:
        """Whether `table` gives the same for every value that can occur."""
        return bool(np.array_equal(self.table[self.reached], table[self.reached]))


def unary(change: Draft, op: Op) -> Unary | None:
    """What `op` does to each value by itself; None when it is no such function."""
    varying = {name for name in op.inputs if not _is_one_value(change, name)}
    if len(varying) != 1:
        return None
    source = varying.pop()
    output = change.tensors[op.output]
    shape = change.tensors[source].shape
    if source in change.constants or shape != output.shape or not _is_pointwise(change, op):
        return None
    if op.kind in FUNCTIONS:
        table = function_table(op, change.tensors[source], output)
    else:
        table = _executed(change, op, source)
    return Unary(source, table, reached(change, source))


def reached(change: Draft, name: str) -> NDArray[np.bool_]:
    """Which of -128..127 tensor `name` can hold, bool [256]."""
    interval = change.intervals[name]
    low, high = int(interval.low.min()), int(interval.high.max())
    return np.isin(EVERY, np.arange(low, high + 1))


def _is_one_value(change: Draft, name: str) -> bool:
    values = change.constants.get(name)
    return values is not None and bool((values == values.flat[0]).all())


def _is_pointwise(change: Draft, op: Op) -> bool:
    if isinstance(op.options, Mean):
        return change.tensors[op.inputs[0]].shape == change.tensors[op.output].shape
    if op.kind in POOLS:
        return op.kernel == (1, 1)
    return op.kind in FUNCTIONS or op.kind in BINARY_KINDS


def _executed(change: Draft, op: Op, source: str) -> Int8s:
    """The executor's answer to each value, in tensors of one element."""
    inputs = [
        EVERY if name == source else np.full(256, change.constants[name].flat[0])
        for name in op.inputs
    ]
    one = [replace(change.tensors[name], shape=(1, 1, 1)) for name in (*op.inputs, op.output)]
    single = replace(op, stride=(1, 1)) if op.kind in POOLS else op
    columns = [x.reshape(256, 1, 1, 1) for x in inputs]
    return EXECUTORS[op.kind](single, columns, one[:-1], one[-1]).reshape(256)
