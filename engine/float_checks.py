"""The rules a `FloatNet` must keep: those of the int8 graph that it becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.errors import GraphError
from engine.graph import Graph, Op, Quant, Tensor
from engine.shapes import output_shape

if TYPE_CHECKING:
    from engine.float_net import FloatNet, FloatOp

UNIT = Quant(1.0, 0)


def check_net(net: FloatNet) -> None:
    """`GraphError` where names, order, shapes or attributes do not fit together."""
    tensors = {net.input: Tensor(net.input, net.input_shape, UNIT)}
    ops = []
    for op in net.ops:
        if not all(name in tensors for name in op.inputs):
            raise GraphError(f"operator {op.name!r} reads {op.inputs!r} before all are made")
        if op.kind == "depthwise_conv2d" and _has_multiplier(op, tensors[op.inputs[0]]):
            raise GraphError(f"operator {op.name!r} has a multiplier, which is not supported")
        if len({tensors[name].shape for name in op.inputs}) > 1:
            raise GraphError(f"operator {op.name!r} adds tensors of different shapes")
        ops.append(_twin(op))
        shape = output_shape(ops[-1], [tensors[name] for name in op.inputs])
        tensors.setdefault(op.output, Tensor(op.output, shape, UNIT))
    Graph(net.name, tuple(tensors.values()), tuple(ops), (net.input,), (net.output,))


def _has_multiplier(op: FloatOp, source: Tensor) -> bool:
    """Whether a depthwise filter is not one a channel."""
    return op.weights is not None and op.weights.shape[-1] != source.shape[2]


def _twin(op: FloatOp) -> Op:
    """The int8 operator of the same form; its values are not looked at."""
    common = (op.kind, op.name, op.inputs, op.output, op.kernel, op.stride, op.padding)
    if op.weights is None or op.bias is None:
        return Op(*common)
    return Op(
        *common,
        weights=np.zeros(op.weights.shape, np.int8),
        weight_scales=np.ones(op.bias.shape),
        bias=np.zeros(op.bias.shape, np.int32),
    )
