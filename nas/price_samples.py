"""Small networks of one operator each, for the prices of kernels that few networks have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from engine.graph import Graph, Op, Padding, Quant, Tensor
from engine.options import Concat, Mean, Options, Pad, Resize, Slice, Softmax, Transpose
from engine.shapes import output_shape

Shape = tuple[int, int, int]
CLAMP = (-100, 100)
SOFTMAX_SHAPES = ((1, 1, 2), (1, 1, 10), (1, 1, 100), (4, 4, 20))
POOLS = (((8, 8, 6), 2), ((9, 9, 7), 3), ((6, 6, 22), 6), ((16, 16, 9), 2))
SUMS = ((12, 12, 8), (9, 9, 7))
MOVED = ((16, 16, 8), (9, 11, 6), (5, 24, 3))
FUNCTIONS = ("relu", "requantize", "logistic", "hard_swish")
DENSE = ((40, 14), (36, 9), (64, 20), (96, 8), (128, 27), (140, 16), (20, 2), (10, 30))
"""Inputs and outputs."""
DEEP = (
    (1, 3, 72, 2), (3, 1, 128, 4), (3, 2, 100, 8), (3, 3, 80, 12), (3, 3, 128, 40), (6, 4, 68, 6),
    (4, 3, 192, 16), (3, 3, 256, 22), (6, 6, 96, 8), (2, 3, 160, 30), (3, 5, 132, 18),
    (6, 2, 68, 34), (5, 3, 92, 14), (1, 6, 224, 44),
)  # fmt: skip
"""Rows, columns and inputs of rectified pointwise layers, and their outputs."""
IMAGES = (
    (8, 8, 2, 4), (16, 16, 2, 8), (12, 24, 1, 5), (5, 4, 1, 16), (9, 16, 2, 7), (20, 8, 1, 6),
    (24, 24, 2, 4), (6, 12, 1, 3), (3, 40, 1, 2), (32, 8, 2, 9), (7, 20, 1, 10), (4, 8, 1, 12),
    (10, 16, 2, 24), (14, 4, 1, 20),
)  # fmt: skip
"""Rows and columns of colour images under 3x3 windows, their stride, and channels of the output."""


def small_samples() -> list[Graph]:
    """All of them, always the same."""
    return [
        *_softmaxes(),
        *_pools(),
        *_sums(),
        *_moved(),
        *_functions(),
        *_dense(),
        *_deep(),
        *_images(),
        *_apart(),
        *_means(),
    ]


def _one(
    op: Op,
    shapes: tuple[Shape, ...],
    scales: tuple[float, ...],
    to: Shape | None = None,
    zero: int = 3,
) -> Graph:
    """scales: of the inputs, then of the output; to: its shape where only it knows; zero: its."""
    sources = [
        Tensor(name, shape, Quant(scale, 3))
        for name, shape, scale in zip(op.inputs, shapes, scales, strict=False)
    ]
    zero = -128 if op.kind in ("softmax", "logistic") else zero
    output = Tensor("out", to or output_shape(op, sources), Quant(scales[-1], zero))
    return Graph(f"{op.kind} of {shapes}", (*sources, output), (op,), op.inputs, ("out",))


def _softmaxes() -> Iterator[Graph]:
    for shape in SOFTMAX_SHAPES:
        op = Op("softmax", "op", ("in",), "out", options=Softmax())
        yield _one(op, (shape,), (0.05, 1 / 256))


def _pools() -> Iterator[Graph]:
    for kind in ("average_pool2d", "max_pool2d"):
        for shape, size in POOLS:
            for clamp in ((-128, 127), CLAMP):
                op = Op(kind, "op", ("in",), "out", (size, size), (size, size), clamp=clamp)
                yield _one(op, (shape,), (0.05, 0.05))


def _sums() -> Iterator[Graph]:
    for kind in ("add", "sub", "mul"):
        for shape in SUMS:
            for scales in ((0.03, 0.04, 0.06), (0.45, 0.0625, 1.0)):
                op = Op(kind, "op", ("a", "b"), "out", clamp=CLAMP)
                yield _one(op, (shape, shape), scales)


def _moved() -> Iterator[Graph]:
    for shape in MOVED:
        height, width, channels = shape
        same = (0.05, 0.05)
        yield _one(_move("pad", Pad((1, 2, 0), (2, 1, 3), 3)), (shape,), same)
        turned = _move("transpose", Transpose(shape, (1, 0, 2)))
        yield _one(turned, (shape,), same, (width, height, channels))
        planes = _move("transpose", Transpose(shape, (2, 0, 1)))
        yield _one(planes, (shape,), same, (channels, height, width))
        half = ((height + 1) // 2, (width + 1) // 2, channels)
        yield _one(_move("slice", Slice((0, 0, 0), (2, 2, 1))), (shape,), same, half)
        yield _one(_move("resize_nearest", Resize()), (shape,), same, (2 * height, width, channels))
        for axis in range(3):
            joined = Op("concat", "op", ("a", "b"), "out", options=Concat(axis))
            yield _one(joined, (shape, shape), (0.05, 0.05, 0.05))


def _move(kind: str, options: Options) -> Op:
    return Op(kind, "op", ("in",), "out", options=options)


def _functions() -> Iterator[Graph]:
    for kind in FUNCTIONS:
        for shape in SUMS:
            scale = 1 / 256 if kind == "logistic" else 0.04
            yield _one(Op(kind, "op", ("in",), "out"), (shape,), (0.05, scale))


def _means() -> Iterator[Graph]:
    for shape in ((6, 6, 22), (5, 5, 9)):
        op = Op("mean", "op", ("in",), "out", options=Mean((0, 1)))
        yield _one(op, (shape,), (0.05, 0.04))


def _apart() -> Iterator[Graph]:
    """Depthwise taps that are apart, behind each other and clamped."""
    rng = np.random.default_rng(2)
    for channels in (4, 6):
        op = Op(
            "depthwise_conv2d", "op", ("in",), "out", (3, 3), (1, 1), Padding(2, 2, 2, 2), CLAMP,
            rng.integers(-127, 128, (3, 3, channels)).astype(np.int8),
            np.full(channels, 0.002), np.zeros(channels, np.int32), (2, 2),
        )  # fmt: skip
        yield _one(op, ((9, 9, channels),), (0.05, 0.05))


def _dense() -> Iterator[Graph]:
    rng = np.random.default_rng(1)
    for inputs, outputs in DENSE:
        op = Op(
            "fully_connected", "op", ("in",), "out", clamp=CLAMP,
            weights=rng.integers(-127, 128, (outputs, inputs)).astype(np.int8),
            weight_scales=np.full(outputs, 0.002), bias=np.zeros(outputs, np.int32),
        )  # fmt: skip
        yield _one(op, ((1, 1, inputs),), (0.05, 0.05))


def _deep() -> Iterator[Graph]:
    rng = np.random.default_rng(3)
    for height, width, inputs, outputs in DEEP:
        op = _convolution((outputs, 1, 1, inputs), rng)
        yield _one(op, ((height, width, inputs),), (0.05, 0.05), zero=-128)


def _images() -> Iterator[Graph]:
    """With a border on all sides, or behind where windows are two apart."""
    rng, borders = np.random.default_rng(4), (Padding(1, 1, 1, 1), Padding(0, 1, 0, 1))
    for index, (height, width, stride, outputs) in enumerate(IMAGES):
        op = _convolution((outputs, 3, 3, 3), rng)
        op = replace(op, stride=(stride, stride), padding=borders[stride - 1])
        zero = -128 if index % 3 else 3
        yield _one(op, ((height, width, 3),), (0.05, 0.05), zero=zero)


def _convolution(shape: tuple[int, int, int, int], rng: np.random.Generator) -> Op:
    return Op(
        "conv2d", "op", ("in",), "out", shape[1:3],
        weights=rng.normal(0, 40, shape).clip(-127, 127).astype(np.int8),
        weight_scales=rng.uniform(0.5, 1, shape[0]) * 2e-3, bias=np.zeros(shape[0], np.int32),
    )  # fmt: skip
