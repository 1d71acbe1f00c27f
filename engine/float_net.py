"""A network in floating point, as training leaves it, and its executor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.errors import GraphError
from engine.float_checks import check_net
from engine.graph import Padding
from engine.graph_checks import WEIGHT_RANK
from engine.windows import windows

Activation = Literal["none", "relu", "relu6"]
Floats = NDArray[np.float32]
NO_PADDING = Padding()

FLOAT_KINDS = (*WEIGHT_RANK, "average_pool2d", "add")
ACTIVATION_RANGES: dict[str, tuple[float, float]] = {
    "none": (-np.inf, np.inf),
    "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0),
}


@dataclass(frozen=True, eq=False)
class FloatOp:
    """One operator; layouts as in `engine.graph.Op`, the activation comes last."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    output: str
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: Padding = NO_PADDING
    activation: Activation = "none"
    weights: Floats | None = None
    bias: Floats | None = None

    def __post_init__(self) -> None:
        if self.kind not in FLOAT_KINDS or self.activation not in ACTIVATION_RANGES:
            raise GraphError(
                f"operator {self.name!r} has kind {self.kind!r} and activation "
                f"{self.activation!r}; kinds are {', '.join(FLOAT_KINDS)}, "
                f"activations {', '.join(ACTIVATION_RANGES)}"
            )
        arrays = (self.weights is not None, self.bias is not None)
        if arrays != (self.kind in WEIGHT_RANK,) * 2:
            raise GraphError(f"operator {self.name!r} ({self.kind}): weights or bias do not fit")


@dataclass(frozen=True, eq=False)
class FloatNet:
    """Operators in execution order; the input is float32 [H, W, C].

    Raises `GraphError` where names, shapes or attributes do not fit together.
    """

    name: str
    input_shape: tuple[int, int, int]
    ops: tuple[FloatOp, ...]
    input: str
    output: str

    def __post_init__(self) -> None:
        check_net(self)


def run_float(net: FloatNet, x: NDArray[Any]) -> dict[str, Floats]:
    """Every tensor of `net`, float32 [N, H, W, C], for the batch `x` [N, H, W, C]."""
    if x.ndim != 4 or x.shape[1:] != net.input_shape:
        raise GraphError(f"network {net.name!r} takes [N, *{net.input_shape}], not {x.shape}")
    values: dict[str, Floats] = {net.input: x.astype(np.float32)}
    with np.errstate(over="ignore", invalid="ignore"):  # quantize says what overflows
        for op in net.ops:
            result = EXECUTORS[op.kind](op, [values[name] for name in op.inputs])
            low, high = ACTIVATION_RANGES[op.activation]
            values[op.output] = np.clip(result, low, high).astype(np.float32)
    return values


def _conv(op: FloatOp, inputs: list[Floats]) -> Floats:
    assert op.weights is not None
    assert op.bias is not None
    patches = _windows(op, inputs[0]).transpose(0, 1, 2, 4, 5, 3)
    matrix = patches.reshape(-1, op.weights[0].size)
    result: Floats = matrix @ op.weights.reshape(len(op.weights), -1).T + op.bias
    return result.reshape(*patches.shape[:3], len(op.weights))


def _depthwise(op: FloatOp, inputs: list[Floats]) -> Floats:
    assert op.weights is not None
    assert op.bias is not None
    cells = _windows(op, inputs[0])
    total: Floats = np.broadcast_to(op.bias, cells.shape[:4]).astype(np.float32)
    for row, column in np.ndindex(op.kernel):
        total += cells[..., row, column] * op.weights[row, column]
    return total


def _dense(op: FloatOp, inputs: list[Floats]) -> Floats:
    assert op.weights is not None
    assert op.bias is not None
    result: Floats = inputs[0].reshape(len(inputs[0]), -1) @ op.weights.T + op.bias
    return result[:, np.newaxis, np.newaxis, :]


def _average(op: FloatOp, inputs: list[Floats]) -> Floats:
    inside = np.ones((1, *inputs[0].shape[1:3], 1), np.float32)
    total: Floats = _windows(op, inputs[0]).sum(axis=(4, 5))
    count: Floats = _windows(op, inside).sum(axis=(4, 5))
    return total / count


def _add(_op: FloatOp, inputs: list[Floats]) -> Floats:
    return inputs[0] + inputs[1]


def _windows(op: FloatOp, x: Floats) -> Floats:
    return windows(x, op.kernel, op.stride, op.padding)


EXECUTORS: dict[str, Callable[[FloatOp, list[Floats]], Floats]] = {
    "conv2d": _conv,
    "depthwise_conv2d": _depthwise,
    "fully_connected": _dense,
    "average_pool2d": _average,
    "add": _add,
}
