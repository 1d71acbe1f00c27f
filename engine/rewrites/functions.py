"""Functions of single values: into the clamp of what comes before, or two into one."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from engine.errors import GraphError
from engine.executors.functions import FUNCTIONS, function_table
from engine.graph import Op
from engine.graph_checks import BINARY_KINDS
from engine.rewrites.draft import Draft, everywhere
from engine.rewrites.values import EVERY, Unary, unary

CLAMPING = (
    "conv2d", "depthwise_conv2d", "fully_connected", "average_pool2d", "max_pool2d",
    "add", "sub", "mul", "mean", *FUNCTIONS,
)  # fmt: skip
"""Kinds that hold their output within `clamp`."""


EXPRESSING = ("requantize", "relu", "logistic", "hard_swish")
"""Kinds that may stand for a function, the plainest first."""


def _into_clamp(change: Draft, op: Op) -> bool:
    """A function that only cuts off both ends becomes the clamp of the operator before."""
    maker, function = _before(change, op)
    if maker is None or function is None or maker.kind not in CLAMPING:
        return False
    if change.tensors[function.source].quant != change.tensors[op.output].quant:
        return False
    low, high = _ends(function)
    if not function.equals(np.clip(EVERY, low, high)):
        return False
    first, last = (min(max(end, low), high) for end in maker.clamp)
    change.swap(op)
    change.swap(maker, replace(maker, output=op.output, clamp=(first, last)))
    return True


def _ends(function: Unary) -> tuple[int, int]:
    """The range that the function holds its values in, as far as it cuts any off."""
    values, held = EVERY[function.reached], function.table[function.reached]
    low = int(held.min()) if (held > values).any() else -128
    return low, int(held.max()) if (held < values).any() else 127


def _join(change: Draft, op: Op) -> bool:
    """Two functions become one where some kind computes just that, for every value."""
    maker, after = _before(change, op)
    if maker is None or after is None:
        return False
    before = unary(change, maker)
    if before is None:
        return False
    both = after.table[before.table.astype(np.int64) + 128]
    joined = _expressed(change, op, replace(before, table=both))
    if joined is None:
        return False
    change.swap(maker)
    change.swap(op, joined)
    return True


def _without_constant(change: Draft, op: Op) -> bool:
    """An element-wise operator with one constant number, where a function does the same."""
    function = unary(change, op) if op.kind in BINARY_KINDS else None
    if function is None or not any(name in change.constants for name in op.inputs):
        return False
    single = _expressed(change, op, function)
    if single is not None:
        change.swap(op, single)
    return single is not None


def _before(change: Draft, op: Op) -> tuple[Op | None, Unary | None]:
    """The operator whose output only `op` reads, and what `op` does to each of its values."""
    function = unary(change, op)
    if function is None or change.only_reader(function.source) is not op:
        return None, None
    return change.maker(function.source), function


def _expressed(change: Draft, op: Op, wanted: Unary) -> Op | None:
    """An operator from wanted.source to the output of `op` with the table `wanted`."""
    held = wanted.table[wanted.reached]
    clamps = ((-128, 127), (int(held.min()), int(held.max())))
    source, output = change.tensors[wanted.source], change.tensors[op.output]
    for clamp, kind in itertools.product(clamps, EXPRESSING):
        one = Op(kind, op.name, (wanted.source,), op.output, clamp=clamp)
        try:
            if wanted.equals(function_table(one, source, output)):
                return one
        except GraphError:  # this kind does not go between these quantisations
            continue
    return None


clamp_before = everywhere(_into_clamp)
drop_numbers = everywhere(_without_constant)
join_functions = everywhere(_join)
