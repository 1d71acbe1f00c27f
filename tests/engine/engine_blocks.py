"""Operators without weights, and pairs of them, that engine_nets.Maker appends to a network.

Each takes the maker and its last tensor.
"""

import numpy as np
from graph_strategies import PROBABILITY, factors

from engine.graph import Quant
from engine.options import Concat, Mean, Pad, Resize, Slice, Softmax, Transpose

ORDERS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
MAX_SIDE = 12
"""What resizes and pads grow to."""


def binary(kind):
    """With an earlier tensor, a constant or itself, repeated where that has one element."""

    def make(maker, source):
        fitting = [t for t in maker.tensors if fits(t.shape, source.shape)]
        other = fitting[maker.choose(0, len(fitting) - 1)]
        if maker.choose(0, 3) == 0:
            other = maker.constant((1, 1, source.shape[2]))
        pair = [source, other][:: (1, -1)[maker.choose(0, 1)]]
        quant = maker.quant()
        if kind == "mul":
            scale = source.quant.scale * other.quant.scale * 2.0 ** maker.choose(1, 8)
            quant = Quant(scale, quant.zero_point)
        names = tuple(tensor.name for tensor in pair)
        maker.append(kind, names, source.shape, quant, clamp=maker.clamp())

    return make


def fits(shape, whole):
    return all(size in (1, most) for size, most in zip(shape, whole, strict=True))


def function(kind):
    def make(maker, source):
        clamp = maker.clamp() if kind == "relu" else (-128, 127)
        quant = PROBABILITY if kind == "logistic" else None
        maker.append(kind, (source.name,), source.shape, quant, clamp=clamp)

    return make


def squeeze(maker, source):
    """A gate for each channel, as squeeze-and-excite has it."""
    shape = (1, 1, source.shape[2])
    maker.append("mean", (source.name,), shape, options=Mean((0, 1)))
    maker.append("logistic", (maker.tensors[-1].name,), shape, PROBABILITY)
    gate = maker.tensors[-1].name
    maker.append("mul", (source.name, gate), source.shape, source.quant)


def mean(maker, source):
    axes = ((0, 1), (0,), (1,), (2,), (0, 1, 2))[maker.choose(0, 4)]
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(source.shape))
    maker.append("mean", (source.name,), shape, options=Mean(axes))


def softmax(maker, source):
    maker.append("softmax", (source.name,), source.shape, PROBABILITY, options=Softmax())


def keeping(maker, kind, source, shape, options=None):
    """A kind whose output has the quantisation of its input."""
    maker.append(kind, (source.name,), tuple(shape), source.quant, options=options)


def pad(maker, source):
    sides = [min(2, max(0, MAX_SIDE - size)) for size in source.shape]
    before, after = (tuple(maker.choose(0, most) for most in sides) for _ in range(2))
    shape = np.add(np.add(before, source.shape), after).tolist()
    keeping(maker, "pad", source, shape, Pad(before, after, maker.choose(-128, 127)))


def concat(maker, source):
    """The last tensor with a constant, or with itself, or alone."""
    axis = maker.choose(0, 2)
    names = [source.name] * (1 + (max(source.shape) <= MAX_SIDE // 2))
    if maker.choose(0, 1):
        names.insert(maker.choose(0, 1), maker.constant(source.shape, source.quant).name)
    shape = list(source.shape)
    shape[axis] *= len(names)
    maker.append("concat", tuple(names), tuple(shape), source.quant, options=Concat(axis))


def reshape(maker, source):
    keeping(maker, "reshape", source, factors(Picker(maker), source.size))


def transpose(maker, source):
    turned = Transpose(source.shape, ORDERS[maker.choose(0, len(ORDERS) - 1)])
    keeping(maker, "transpose", source, turned.shape, turned)


def strided_slice(maker, source):
    start, step, shape = [], [], []
    for size in source.shape:
        start.append(maker.choose(0, size // 2))
        step.append(maker.choose(1, 2))
        shape.append((size - 1 - start[-1]) // step[-1] + 1)
    keeping(maker, "slice", source, shape, Slice(tuple(start), tuple(step)))


def resize(maker, source):
    height, width = (maker.choose(1, min(2 * size, MAX_SIDE)) for size in source.shape[:2])
    flags = ((False, False), (True, False), (False, True))[maker.choose(0, 2)]
    keeping(maker, "resize_nearest", source, (height, width, source.shape[2]), Resize(*flags))


class Picker:
    """What graph_strategies.factors draws from."""

    def __init__(self, maker):
        self.maker = maker

    def pick(self, *values):
        return values[self.maker.choose(0, len(values) - 1)]


BLOCKS = {
    **{kind: binary(kind) for kind in ("add", "sub", "mul")},
    **{kind: function(kind) for kind in ("relu", "requantize", "logistic", "hard_swish")},
    "squeeze": squeeze,
    "mean": mean,
    "softmax": softmax,
    "pad": pad,
    "concat": concat,
    "reshape": reshape,
    "transpose": transpose,
    "slice": strided_slice,
    "resize_nearest": resize,
}
