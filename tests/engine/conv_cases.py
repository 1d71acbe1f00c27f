"""Operators with weights of a given geometry, random otherwise."""

import numpy as np

from engine.graph import Graph, Op, Padding, Quant, Tensor
from engine.shapes import output_shape

SOURCE, OUTPUT = Quant(0.03, -7), Quant(0.06, 5)


def one(kind, shape, filters=0, scale=2e-3, seed=1, **attributes):
    """A graph of one operator from "in" to "out"; filters: output channels, or a multiplier."""
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
    output = Tensor("out", output_shape(op, [source]), OUTPUT)
    return Graph("net", (source, output), (op,), ("in",), ("out",))


def pads(value):
    """The same padding on all sides, or (top, bottom, left, right)."""
    return Padding(*(value if isinstance(value, tuple) else (value,) * 4))
