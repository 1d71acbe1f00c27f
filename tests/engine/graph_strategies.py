"""Networks of one operator each, of every kind, for hypothesis.

Shapes, strides, paddings, dilations, zero points (the ends of int8 often) and scales vary, outputs
saturate now and then, and scales are of single precision, so that `to_tflite` can write each one.
"""

import math

import numpy as np
from hypothesis import strategies as st

from engine import options
from engine.graph import Graph, Op, Padding, Quant, Tensor

WIDE = (-128, 127)
CHANNELS = (1, 2, 3, 4, 5, 7, 8, 9, 16, 17)
PROBABILITY = Quant(1 / 256, -128)  # the only output that TFLite's softmax and logistic have


@st.composite
def operators(draw, kind, free=False):
    """Graphs of one operator of `kind`; the inputs are called "a", "b", ..., the output "out".

    free: also what no .tflite file says: an average pool with any padding, a relu with any clamp.
    """
    return MAKERS[kind](Maker(draw, kind, free))


def inputs_of(graph, seed=0):
    """{input: int8 [H, W, C]}: anything, often the ends of the range."""
    rng = np.random.default_rng(seed)
    values = {}
    for name in graph.inputs:
        x = rng.integers(-128, 128, graph.tensor(name).shape).astype(np.int8)
        ends = rng.random(x.shape) < rng.choice([0, 0.1, 1], p=[0.5, 0.3, 0.2])
        values[name] = np.where(ends, rng.choice(np.array(WIDE, np.int8), x.shape), x)
    return values


class Maker:
    """What the makers of all kinds draw from: small numbers from hypothesis, arrays from numpy."""

    def __init__(self, draw, kind, free):
        self.kind, self.free, self.draw = kind, free, draw
        self.rng = np.random.default_rng(self.choose(0, 2**32 - 1))

    def choose(self, low, high):
        return self.draw(st.integers(low, high))

    def pick(self, *values):
        return self.draw(st.sampled_from(values))

    def shape(self, side=9):
        return self.choose(1, side), self.choose(1, side), self.pick(*CHANNELS)

    def scale(self, low=-8.0, high=2.0):
        """A power of two between those of `low` and `high`, or a number between them."""
        power = self.rng.uniform(low, high)
        return single(2.0 ** (round(power) if self.rng.random() < 0.2 else power))

    def quant(self, scale=None):
        zero_point = self.pick(0, -128, 127, *[self.choose(-100, 100)] * 4)
        return Quant(self.scale() if scale is None else single(scale), zero_point)

    def clamp(self, quant):
        """No clamp, that of relu or relu6, or any; mostly none where zero is the largest value."""
        zero, six = quant.zero_point, min(127, quant.zero_point + math.floor(6 / quant.scale + 0.5))
        ends = sorted((self.choose(-128, 127), self.choose(-128, 127)))
        fused = [(zero, 127), (zero, six)] if zero < 100 or self.choose(0, 4) == 0 else []
        return self.pick(WIDE, WIDE, WIDE, *fused, tuple(ends))

    def graph(self, sources, output, quant, constants=(), repeat=None, **attributes):
        """sources: [(shape, quant)]; constants: indices of those with values; repeat: one twice."""
        names = [chr(ord("a") + index) for index in range(len(sources))]
        tensors = [Tensor(name, *part) for name, part in zip(names, sources, strict=True)]
        op = Op(self.kind, self.kind, tuple(repeat or names), "out", **attributes)
        fixed = {
            names[index]: self.rng.integers(-128, 128, sources[index][0]).astype(np.int8)
            for index in constants
        }
        return Graph(
            "net", (*tensors, Tensor("out", output, quant)), (op,),
            tuple(name for name in names if name not in fixed), ("out",), fixed,
        )  # fmt: skip

    def axis(self, scheme, dilated):
        """(size, kernel, stride, dilation, before, after, size of the output)."""
        kernel, stride = self.choose(1, 5), self.choose(1, 4)
        dilation = self.choose(1, 3) if dilated else 1
        reach = (kernel - 1) * dilation + 1
        before = self.choose(0, reach - 1) if scheme == "explicit" else 0
        after = self.choose(0, reach - 1) if scheme == "explicit" else 0
        least = 1 if scheme == "same" else max(1, reach - before - after)
        size = self.choose(least, least + 7)
        if scheme == "same":
            needed = max((-(-size // stride) - 1) * stride + reach - size, 0)
            before, after = needed // 2, needed - needed // 2
        out = (size + before + after - reach) // stride + 1
        return size, kernel, stride, dilation, before, after, out

    def window(self, schemes=("same", "valid", "explicit"), dilated=False):
        """((H, W), (Ho, Wo), attributes of an operator with a window)."""
        scheme = self.pick(*schemes)
        tall, wide = self.axis(scheme, dilated), self.axis(scheme, dilated)
        padding = Padding(tall[4], tall[5], wide[4], wide[5])
        kernel, stride, dilation = ((tall[i], wide[i]) for i in (1, 2, 3))
        attributes = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        return (tall[0], wide[0]), (tall[6], wide[6]), attributes

    def weights(self, shape, axis, terms, source, one_scale=False):
        """(weights, scales and bias; the output's scale): outputs of a few units up to far off.

        One channel in a while has no weights, any bias and any scale, as converters leave it.
        """
        rng, channels = self.rng, shape[axis]
        weights = rng.integers(-127, 128, shape).astype(np.int8)
        if rng.random() < 0.2:
            weights = rng.choice(np.array([-128, 127], np.int8), shape)
        scales = singles(2.0 ** rng.uniform(-12, -5, 1 if one_scale else channels))
        scales = np.broadcast_to(scales, channels).copy()
        typical = source.scale * float(np.median(scales)) * 12000 * math.sqrt(terms)
        bias = rng.integers(-9000, 9000, channels).astype(np.int32)
        if rng.random() < 0.25 and not one_scale:
            dead = rng.integers(channels)
            np.moveaxis(weights, axis, 0)[dead] = 0
            scales[dead] *= 2.0 ** -rng.integers(8, 31)
            bias[dead] = rng.integers(-(1 << 31), 1 << 31)
        parts = {"weights": weights, "weight_scales": scales, "bias": bias}
        return parts, typical / 2.0 ** self.pick(6, 5, 4, 3, 7, 12)


def single(value):
    """The nearest number of single precision, as a Python float."""
    return float(np.float32(value))


def singles(values):
    return values.astype(np.float32).astype(np.float64)


def conv2d(make):
    size, out, attributes = make.window(dilated=True)
    channels, filters = make.pick(*CHANNELS), make.pick(*CHANNELS)
    source = make.quant()
    shape = (filters, *attributes["kernel"], channels)
    parts, scale = make.weights(shape, 0, math.prod(shape[1:]), source)
    quant = make.quant(scale)
    attributes |= parts | {"clamp": make.clamp(quant)}
    return make.graph([((*size, channels), source)], (*out, filters), quant, **attributes)


def depthwise(make):
    size, out, attributes = make.window(dilated=True)
    channels, multiplier = make.pick(*CHANNELS), make.pick(1, 1, 2, 3)
    source = make.quant()
    shape = (*attributes["kernel"], channels * multiplier)
    parts, scale = make.weights(shape, 2, math.prod(shape[:2]), source)
    quant = make.quant(scale)
    attributes |= parts | {"clamp": make.clamp(quant)}
    return make.graph(
        [((*size, channels), source)], (*out, channels * multiplier), quant, **attributes
    )  # fmt: skip


def fully_connected(make):
    shape, filters, source = make.shape(4), make.pick(*CHANNELS), make.quant()
    terms = math.prod(shape)
    parts, scale = make.weights((filters, terms), 0, terms, source, make.pick(True, False))
    quant = make.quant(scale)
    return make.graph([(shape, source)], (1, 1, filters), quant, clamp=make.clamp(quant), **parts)


def pool(make):
    average = make.kind == "average_pool2d" and not make.free
    schemes = ("same", "valid") if average else ("same", "valid", "explicit")
    size, out, attributes = make.window(schemes)
    channels, quant = make.pick(*CHANNELS), make.quant()
    attributes["clamp"] = make.clamp(quant)
    return make.graph([((*size, channels), quant)], (*out, channels), quant, **attributes)


def binary(make):
    shape = make.shape()
    ones = [tuple(make.pick(n, n, 1) for n in shape) for _ in range(2)]
    shapes = [shape, shape] if make.pick(True, False) else ones
    first = make.scale()
    second = first * 2.0 ** make.rng.uniform(*make.pick((-2, 2), (0, 0), (-9, 9)))
    quants = [make.quant(first), make.quant(second)]
    whole = first * second * 64 if make.kind == "mul" else max(first, second)
    quant = make.quant(whole * 2.0 ** make.rng.uniform(*make.pick((0, 2), (-2, 4), (-9, 9))))
    clamp = make.clamp(quant)
    if make.choose(0, 9) == 0:  # an input with itself
        return make.graph([(shape, quants[0])], shape, quant, repeat="aa", clamp=clamp)
    out = tuple(max(pair) for pair in zip(*shapes, strict=True))
    constants = make.pick((), (), (0,), (1,))
    sources = list(zip(shapes, quants, strict=True))
    return make.graph(sources, out, quant, constants, clamp=clamp)


def mean(make):
    shape, axes = make.shape(), make.pick((0, 1), (2,), (0,), (1,), (1, 2), (0, 2), (0, 1, 2))
    source = make.quant()
    quant = make.pick(source, make.quant(source.scale * 2.0 ** make.rng.uniform(-6, 3)))
    out = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return make.graph([(shape, source)], out, quant, options=options.Mean(axes))


def pad(make):
    shape, quant = make.shape(), make.quant()
    before, after = (tuple(make.choose(0, 3) for _ in range(3)) for _ in range(2))
    out = tuple(sum(parts) for parts in zip(before, shape, after, strict=True))
    value = make.pick(quant.zero_point, make.choose(-128, 127))
    return make.graph([(shape, quant)], out, quant, options=options.Pad(before, after, value))


def concat(make):
    axis, quant, count = make.choose(0, 2), make.quant(), make.choose(1, 4)
    shapes = [list(make.shape(5))] * count
    shapes = [(*s[:axis], make.choose(1, 6), *s[axis + 1 :]) for s in shapes]
    total = sum(shape[axis] for shape in shapes)
    out = (*shapes[0][:axis], total, *shapes[0][axis + 1 :])
    constants = (make.choose(0, count - 1),) if count > 1 and make.pick(True, False) else ()
    sources = [(shape, quant) for shape in shapes]
    return make.graph(sources, out, quant, constants, options=options.Concat(axis))


def softmax(make):
    beta = make.pick(1.0, 1.0, 0.5, 2.0)
    shape, quant = make.shape(), make.quant(make.scale(-8, 1))
    return make.graph([(shape, quant)], shape, PROBABILITY, options=options.Softmax(beta))


def logistic(make):
    shape = make.shape()
    return make.graph([(shape, make.quant(make.scale(-8, 0)))], shape, PROBABILITY)


def function(make):
    """Hard_swish, relu and requantize: scales that keep or squeeze the range."""
    shape, source = make.shape(), make.quant()
    quant = make.pick(source, make.quant(source.scale * 2.0 ** make.rng.uniform(-3, 3)))
    if make.kind != "relu":
        return make.graph([(shape, source)], shape, quant)
    low, high = make.clamp(quant)
    clamp = (low, high) if make.free else (max(low, quant.zero_point), max(high, quant.zero_point))
    return make.graph([(shape, source)], shape, quant, clamp=clamp)


def reshape(make):
    shape, quant = make.shape(), make.quant()
    return make.graph([(shape, quant)], factors(make, math.prod(shape)), quant)


def transpose(make):
    shape, quant = make.shape(), make.quant()
    view = make.pick(shape, factors(make, math.prod(shape)))
    order = make.pick((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    turned = options.Transpose(view, order)
    out = make.pick(turned.shape, factors(make, math.prod(shape)))
    return make.graph([(shape, quant)], out, quant, options=turned)


def factors(make, size):
    """Three numbers whose product is `size`."""
    divisors = [n for n in range(1, size + 1) if size % n == 0]
    first = make.pick(*divisors)
    second = make.pick(*(n for n in divisors if (size // first) % n == 0))
    return first, second, size // first // second


def strided_slice(make):
    shape, quant = make.shape(), make.quant()
    axes = [slice_axis(make, size) for size in shape]
    start, step, out = zip(*axes, strict=True)
    return make.graph([(shape, quant)], out, quant, options=options.Slice(start, step))


def slice_axis(make, size):
    """(start, step, count) within `size` elements."""
    start, step = make.choose(0, size - 1), make.pick(1, 1, 2, 3, -1, -2)
    room = (size - 1 - start) // step if step > 0 else start // -step
    return start, step, make.choose(1, room + 1)


def resize(make):
    shape, quant = make.shape(), make.quant()
    flags = make.pick((False, False), (True, False), (False, True))
    out = (make.choose(1, 20), make.choose(1, 20), shape[2])
    return make.graph([(shape, quant)], out, quant, options=options.Resize(*flags))


MAKERS = {
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise,
    "fully_connected": fully_connected,
    "average_pool2d": pool,
    "max_pool2d": pool,
    "add": binary,
    "sub": binary,
    "mul": binary,
    "mean": mean,
    "pad": pad,
    "concat": concat,
    "softmax": softmax,
    "logistic": logistic,
    "hard_swish": function,
    "relu": function,
    "requantize": function,
    "reshape": reshape,
    "transpose": transpose,
    "slice": strided_slice,
    "resize_nearest": resize,
}
