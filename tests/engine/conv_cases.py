"""Operators with weights of a given geometry, random otherwise."""

import numpy as np

from engine.graph import Graph, Op, Padding, Quant, Tensor
from engine.shapes import output_shape

SOURCE, OUTPUT = Quant(0.03, -7), Quant(0.06, 5)


def one(kind, shape, filters=0, scale=2e-3, seed=1, zero=OUTPUT.zero_point, **attributes):
    """A graph of one operator from "in" to "out"; filters: output channels, or a multiplier.

    zero: the zero point of the output.
    """
    rng = np.random.default_rng(seed)
    kernel = attributes.get("kernel", (1, 1))
    inputs = shape[2]
    form = {
        "conv2d": (filters, *kernel, inputs),
        "depthwise_conv2d": (*kernel, inputs * max(filters, 1)),
        "fully_connected": (filters, int(np.prod(shape))),
    }[kind]
    channels = form[2] if kind == "depthwise_conv2d" else form[0]
    op = Op(
        kind, "op", ("in",), "out", **attributes,
        weights=rng.integers(-127, 128, form).astype(np.int8),
        weight_scales=rng.uniform(0.5, 1, channels) * scale,
        bias=rng.integers(-2000, 2000, channels).astype(np.int32),
    )  # fmt: skip
    source = Tensor("in", shape, SOURCE)
    output = Tensor("out", output_shape(op, [source]), Quant(OUTPUT.scale, zero))
    return Graph("net", (source, output), (op,), ("in",), ("out",))


def brim(kind, zero_point):
    """Sums at both ends of int32, scaled by nearly one: no room is left for the zero point."""
    shape = {"conv2d": (2, 1, 1, 1), "depthwise_conv2d": (1, 1, 2), "fully_connected": (2, 1)}
    most, least = 127 - SOURCE.zero_point, -128 - SOURCE.zero_point
    op = Op(
        kind, "op", ("in",), "out",
        weights=np.ones(shape[kind], np.int8), weight_scales=np.full(2, 2 - 2.0**-30),
        bias=np.array([(1 << 31) - 1 - most, -(1 << 31) - least], np.int32),
    )  # fmt: skip
    sides = (1, 1, 1) if kind == "fully_connected" else (16, 16, 1)
    output = Tensor("out", (*sides[:2], 2), Quant(OUTPUT.scale, zero_point))
    return Graph("net", (Tensor("in", sides, SOURCE), output), (op,), ("in",), ("out",))


def pads(value):
    """The same padding on all sides, or (top, bottom, left, right)."""
    return Padding(*(value if isinstance(value, tuple) else (value,) * 4))
