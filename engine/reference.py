"""The oracle: a numpy executor, bit-exact to TFLite's int8 reference kernels.

What each kind of operator computes is in engine/executors; where TFLite's two implementations
differ, TensorFlow Lite Micro's is followed and the executor says so.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.errors import GraphError
from engine.executors import (
    Executor,
    Int8s,
    elementwise,
    functions,
    mean,
    movement,
    pools,
    softmax,
    weighted,
)
from engine.graph import Graph, Op

# Elements of a tensor that an executor sees at once; it needs up to 100 bytes for each.
PIECE_ELEMENTS = 1 << 17

EXECUTORS: dict[str, Executor] = {
    **weighted.EXECUTORS,
    **pools.EXECUTORS,
    **elementwise.EXECUTORS,
    **movement.EXECUTORS,
    **functions.EXECUTORS,
    **mean.EXECUTORS,
    **softmax.EXECUTORS,
}


def run(graph: Graph, x: Int8s | Mapping[str, Int8s]) -> Int8s:
    """The only output of `graph`; what `run_all` takes and raises, `GraphError` for several."""
    name = graph.output
    return run_all(graph, x)[name]


def run_all(graph: Graph, x: Int8s | Mapping[str, Int8s]) -> dict[str, Int8s]:
    """Every tensor of `graph` by name, constants too, batched if `x` is.

    x: int8 [H, W, C] or [N, H, W, C], or such an array for the name of each input, all with the
    same N. `GraphError` for a wrong name, shape or type.
    """
    given = {graph.input: x} if isinstance(x, np.ndarray) else dict(x)
    values = _batched(graph, given)
    batch = len(values[graph.inputs[0]])
    for name, constant in graph.constants.items():
        values[name] = np.broadcast_to(constant, (batch, *constant.shape))
    for op in graph.ops:
        values[op.output] = _run_op(graph, op, [values[name] for name in op.inputs])
    if all(value.ndim == 3 for value in given.values()):
        return {name: value[0] for name, value in values.items()}
    return values


def _batched(graph: Graph, given: Mapping[str, Int8s]) -> dict[str, Int8s]:
    """Each input as [N, H, W, C]."""
    if set(given) != set(graph.inputs):
        raise GraphError(f"network {graph.name!r} takes {graph.inputs}, not {tuple(given)}")
    for name, x in given.items():
        shape = graph.tensor(name).shape
        if x.dtype != np.int8 or x.ndim not in (3, 4) or x.shape[-3:] != shape:
            what = f"takes int8 {shape}, not {x.dtype} {x.shape}"
            raise GraphError(f"network {graph.name!r}, input {name!r}: {what}")
    if len({x.shape[:-3] for x in given.values()}) > 1:
        raise GraphError(f"network {graph.name!r} has inputs of different batches")
    return {name: x if x.ndim == 4 else x[np.newaxis] for name, x in given.items()}


def _run_op(graph: Graph, op: Op, inputs: list[Int8s]) -> Int8s:
    """The output of one operator, a few images at a time so that memory stays bounded."""
    tensors, output = [graph.tensor(name) for name in op.inputs], graph.tensor(op.output)
    step = max(1, PIECE_ELEMENTS // max(tensor.size for tensor in (*tensors, output)))
    pieces = [
        EXECUTORS[op.kind](op, [x[start : start + step] for x in inputs], tensors, output)
        for start in range(0, len(inputs[0]), step)
    ]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
