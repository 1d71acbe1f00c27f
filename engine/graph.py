"""An int8 network: tensors and operators in execution order, checked when made.

Layouts are without a batch: activations int8 [H, W, C], of lower rank with leading ones;
weights of conv2d [Cout, KH, KW, Cin], of depthwise_conv2d [KH, KW, Cout] with output channel
c * multiplier + m of input channel c, of fully_connected [Cout, Cin] over the input flattened in
H, W, C order; biases int32 [Cout]. Weights are symmetric (zero point 0), one scale per output
channel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import GraphError
from engine.graph_checks import check_graph, check_op, require_int, require_name
from engine.options import Options
from engine.shapes import OP_KINDS

__all__ = [
    "OP_KINDS",
    "Graph",
    "Op",
    "Padding",
    "Quant",
    "Tensor",
    "op_macs",
]

MAX_DIMENSION = 65_535
MAX_TENSOR_BYTES = 1 << 28  # far above any microcontroller, far below any overflow


@dataclass(frozen=True)
class Quant:
    """real = scale * (q - zero_point), with q an int8 value."""

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        if not (isinstance(self.scale, float) and math.isfinite(self.scale) and self.scale > 0):
            raise GraphError(f"quantisation scale {self.scale!r} is not a positive finite float")
        require_int("zero point", self.zero_point, -128, 127)


@dataclass(frozen=True)
class Tensor:
    """An int8 activation [H, W, C]."""

    name: str
    shape: tuple[int, int, int]
    quant: Quant

    def __post_init__(self) -> None:
        require_name("tensor", self.name)
        if not (isinstance(self.shape, tuple) and len(self.shape) == 3):
            raise GraphError(f"tensor {self.name!r} has shape {self.shape!r}, not (H, W, C)")
        for dimension in self.shape:
            require_int(f"a dimension of tensor {self.name!r}", dimension, 1, MAX_DIMENSION)
        if self.size > MAX_TENSOR_BYTES:
            raise GraphError(f"tensor {self.name!r} has {self.size} bytes, over {MAX_TENSOR_BYTES}")

    @property
    def size(self) -> int:
        """Bytes, which is also the number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Padding:
    """Rows and columns of zero points around the input, each less than the kernel's reach."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __post_init__(self) -> None:
        for side in (self.top, self.bottom, self.left, self.right):
            require_int("padding", side, 0, MAX_DIMENSION)


@dataclass(frozen=True, eq=False)
class Op:
    """One operator; which attributes it has depends on its kind (see `OP_KINDS`).

    `clamp` is the closed range of the int8 output and holds a fused activation. `options` says
    what only some kinds have (see `OPTIONS` in engine/options.py). Arrays are kept read-only.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    output: str
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: Padding = Padding()
    clamp: tuple[int, int] = (-128, 127)
    weights: NDArray[np.int8] | None = None
    weight_scales: NDArray[np.float64] | None = None
    bias: NDArray[np.int32] | None = None
    dilation: tuple[int, int] = (1, 1)
    options: Options | None = None

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns that the kernel spans, its dilation counted."""
        (rows, columns), (down, right) = self.kernel, self.dilation
        return (rows - 1) * down + 1, (columns - 1) * right + 1

    def __post_init__(self) -> None:
        check_op(self)
        for part in ("weights", "weight_scales", "bias"):
            object.__setattr__(self, part, _frozen(getattr(self, part)))


@dataclass(frozen=True, eq=False)
class Graph:
    """Operators in execution order over named tensors, from `inputs` to `outputs`.

    `constants` holds the values [H, W, C] of tensors that no operator makes. Raises `GraphError`
    when a name is unknown, repeated or dangling, when an operator runs before its input exists,
    or when shapes and quantisation do not fit its attributes.
    """

    name: str
    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, NDArray[np.int8]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_graph(self)
        frozen = {name: _frozen(values) for name, values in self.constants.items()}
        object.__setattr__(self, "constants", MappingProxyType(frozen))

    @property
    def input(self) -> str:
        """The name of the only input; `GraphError` when there are several."""
        return self._only("inputs", self.inputs)

    @property
    def output(self) -> str:
        """The name of the only output; `GraphError` when there are several."""
        return self._only("outputs", self.outputs)

    def _only(self, what: str, names: tuple[str, ...]) -> str:
        if len(names) != 1:
            raise GraphError(f"network {self.name!r} has {len(names)} {what}, not one")
        return names[0]

    @cached_property
    def _by_name(self) -> Mapping[str, Tensor]:
        return {tensor.name: tensor for tensor in self.tensors}

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name; `GraphError` when there is none."""
        if name not in self._by_name:
            raise GraphError(f"network {self.name!r} has no tensor {name!r}")
        return self._by_name[name]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(op_macs(self, op) for op in self.ops)


def op_macs(graph: Graph, op: Op) -> int:
    """Multiply-accumulates of one operator, padding counted; none without weights."""
    if op.weights is None:
        return 0
    if op.kind == "fully_connected":
        return op.weights.size
    height, width, _ = graph.tensor(op.output).shape
    return height * width * op.weights.size


def _frozen(array: NDArray[Any] | None) -> NDArray[Any] | None:
    """A read-only, contiguous array that nobody else can write."""
    if array is None or (not array.flags.writeable and array.flags.c_contiguous):
        return array
    own = np.array(array, order="C", copy=True)
    own.setflags(write=False)
    return own
