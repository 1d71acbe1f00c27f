"""Networks of random weights that grow layer by layer, with scales as quantisation makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.graph import Graph, Op, Padding, Quant, Tensor
from nas.network import INPUT

NO_PADDING = Padding()
TYPICAL_PRODUCT = 74 * 28  # root mean square of uniform weights, and of activations behind a ReLU
TYPICAL_OUTPUT = 40  # steps, so that an output seldom saturates


@dataclass(frozen=True)
class Window:
    """A square kernel, its stride and the padding around its input."""

    kernel: int = 1
    stride: int = 1
    padding: Padding = NO_PADDING


POINT = Window()


@dataclass
class Builder:
    """A network under construction; ReLU unless told otherwise."""

    name: str
    rng: np.random.Generator
    shape: tuple[int, int, int]
    max_layer_macs: int = 100_000
    tensors: list[Tensor] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tensors.append(Tensor(INPUT, self.shape, self._quant(-128)))

    @property
    def last(self) -> Tensor:
        """The newest tensor, which the next layer reads unless told otherwise."""
        return self.tensors[-1]

    def _quant(self, zero_point: int) -> Quant:
        """A scale of its own for each tensor, as calibration data would give."""
        return Quant(float(np.float32(self.rng.uniform(0.02, 0.04))), zero_point)

    def graph(self) -> Graph:
        """The network from its input to the newest tensor."""
        return Graph(self.name, tuple(self.tensors), tuple(self.ops), (INPUT,), (self.last.name,))

    def add(
        self,
        kind: str,
        channels: int = 0,
        *,
        window: Window = POINT,
        relu: bool = True,
        clamp: tuple[int, int] = (-128, 127),
        inputs: tuple[str, ...] = (),
        name: str = "",
    ) -> None:
        """Append a layer; `channels` is that of its output where the input does not say it.

        ReLU puts zero at the bottom of int8, where it needs no clamp, as quantisation does.
        """
        inputs = inputs or (self.last.name,)
        source = next(tensor for tensor in self.tensors if tensor.name == inputs[0])
        name = name or f"{kind}_{len(self.ops)}"
        kernel, stride = (window.kernel, window.kernel), (window.stride, window.stride)
        shape = _weight_shape(kind, channels, window.kernel, source)
        zero_point = -128 if relu else int(self.rng.integers(-20, 21))
        quant = source.quant if kind == "average_pool2d" else self._quant(zero_point)
        ratio = quant.scale / source.quant.scale
        weighted = (None,) * 3 if shape is None else _random_weights(kind, shape, ratio, self.rng)
        op = Op(kind, name, inputs, name, kernel, stride, window.padding, clamp, *weighted)
        self.ops.append(op)
        self.tensors.append(Tensor(name, _output_shape(op, source), quant))


def _weight_shape(kind: str, channels: int, kernel: int, source: Tensor) -> tuple[int, ...] | None:
    shapes = {
        "conv2d": (channels, kernel, kernel, source.shape[2]),
        "depthwise_conv2d": (kernel, kernel, source.shape[2]),
        "fully_connected": (channels, source.size),
    }
    return shapes.get(kind)


def _random_weights(
    kind: str, shape: Sequence[int], ratio: float, rng: np.random.Generator
) -> tuple[NDArray[np.int8], NDArray[np.float64], NDArray[np.int32]]:
    """Weights, scales and bias such that outputs spread over int8.

    ratio: the scale of the output over that of the input.
    """
    channels = shape[-1] if kind == "depthwise_conv2d" else shape[0]
    typical_sum = TYPICAL_PRODUCT * np.sqrt(np.prod(shape) / channels)
    scales = rng.uniform(0.7, 1.4, channels) * ratio * TYPICAL_OUTPUT / typical_sum
    return (
        rng.integers(-127, 128, tuple(shape)).astype(np.int8),
        scales.astype(np.float32).astype(np.float64),
        rng.integers(-2000, 2001, channels).astype(np.int32),
    )


def _output_shape(op: Op, source: Tensor) -> tuple[int, int, int]:
    height, width, channels = source.shape
    if op.kind == "add":
        return source.shape
    if op.weights is not None and op.kind != "depthwise_conv2d":
        channels = len(op.weights)
    if op.kind == "fully_connected":
        return (1, 1, channels)
    pad = op.padding
    tall = (height + pad.top + pad.bottom - op.kernel[0]) // op.stride[0] + 1
    wide = (width + pad.left + pad.right - op.kernel[1]) // op.stride[1] + 1
    return (tall, wide, channels)
