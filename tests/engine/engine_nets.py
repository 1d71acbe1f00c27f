"""Random int8 networks: every kind of operator, odd shapes, strides, paddings and residuals."""

import numpy as np
from engine_blocks import BLOCKS
from hypothesis import strategies as st

from engine.graph import Graph, Op, Padding, Quant, Tensor

POOLS = ("average_pool2d", "max_pool2d")
WINDOWS = ("conv2d", "depthwise_conv2d", *POOLS)
KINDS = (*WINDOWS, "pointwise", "fully_connected", *BLOCKS)
WIDE = (-128, 127)


class Maker:
    """Grows a network; `choose(low, high)` decides, numpy fills the arrays."""

    def __init__(self, choose, input_shape=None, max_side=9):
        self.choose = choose
        self.rng = np.random.default_rng(choose(0, 1 << 30))
        shape = input_shape or (choose(1, max_side), choose(1, max_side), choose(1, 9))
        self.tensors = [Tensor("in", shape, self.quant())]
        self.ops = []
        self.constants = {}

    def quant(self):
        return Quant(float(self.rng.uniform(0.01, 0.1)), self.choose(-128, 127))

    def clamp(self):
        low, high = sorted((self.choose(-128, 127), self.choose(-128, 127)))
        return (low, high) if self.choose(0, 2) == 0 else WIDE

    def axis(self, size):
        """Kernel, stride and both paddings along one axis of `size`."""
        kernel = self.choose(1, 7)
        before = self.choose(0, kernel - 1)
        after = self.choose(0, kernel - 1)
        if size + before + after < kernel:
            kernel = before = after = 1
            before = after = 0
        stride = self.choose(1, 3)
        return kernel, stride, before, after, (size + before + after - kernel) // stride + 1

    def add_op(self, kind, shift=0):
        """Append one operator; weights scaled so that factors are near 2**shift."""
        source = self._last()
        if kind in BLOCKS:
            BLOCKS[kind](self, source)
        elif kind in WINDOWS:
            self._window(source, kind, shift)
        else:
            {"pointwise": self._pointwise, "fully_connected": self._fully_connected}[kind](source)
        return self

    def _last(self):
        """The tensor that the next operator reads."""
        name = self.ops[-1].output if self.ops else "in"
        return next(tensor for tensor in self.tensors if tensor.name == name)

    def constant(self, shape, quant=None):
        """A constant tensor of random values."""
        name = f"c{len(self.constants)}"
        self.constants[name] = self.rng.integers(-128, 128, shape).astype(np.int8)
        self.tensors.append(Tensor(name, shape, quant or self.quant()))
        return self.tensors[-1]

    def append(self, kind, inputs, shape, quant=None, **attributes):
        index = len(self.ops)
        self.tensors.append(Tensor(f"t{index}", shape, quant or self.quant()))
        self.ops.append(Op(kind, f"{kind} {index}", inputs, f"t{index}", **attributes))

    def _weights(self, shape, channels, shift=0):
        scales = self.rng.uniform(1e-4, 2e-2, channels) * 2.0**shift
        weights = self.rng.integers(-127, 128, shape).astype(np.int8)
        bias = self.rng.integers(-20000, 20000, channels).astype(np.int32)
        if self.rng.random() < 0.25:  # a channel without weights, as converters leave it
            dead = self.rng.integers(channels)
            weights[(..., dead) if len(shape) == 3 else dead] = 0
            scales[dead] *= 2.0 ** -self.rng.integers(31)
            bias[dead] = self.rng.integers(-(1 << 31), 1 << 31)
        return {"weights": weights, "bias": bias, "weight_scales": scales}

    def _window(self, source, kind, shift):
        height, width, cin = source.shape
        kh, sh, top, bottom, rows = self.axis(height)
        kw, sw, left, right, columns = self.axis(width)
        cout = self.choose(1, 9) if kind == "conv2d" else cin
        shapes = {"conv2d": (cout, kh, kw, cin), "depthwise_conv2d": (kh, kw, cin)}
        weights = self._weights(shapes[kind], cout, shift) if kind in shapes else {}
        self.append(
            kind, (source.name,), (rows, columns, cout),
            source.quant if kind in POOLS else None,
            kernel=(kh, kw), stride=(sh, sw), padding=Padding(top, bottom, left, right),
            clamp=self.clamp(), **weights,
        )  # fmt: skip

    def _pointwise(self, source):
        height, width, cin = source.shape
        cout = self.choose(1, 13)
        weights = self._weights((cout, 1, 1, cin), cout)
        shape = (height, width, cout)
        self.append("conv2d", (source.name,), shape, clamp=self.clamp(), **weights)

    def _fully_connected(self, source):
        cout = self.choose(1, 13)
        weights = self._weights((cout, source.size), cout)
        self.append("fully_connected", (source.name,), (1, 1, cout), clamp=self.clamp(), **weights)

    def graph(self):
        tensors = tuple(self.tensors)
        output = self.ops[-1].output
        return Graph("a net", tensors, tuple(self.ops), ("in",), (output,), self.constants)


def grow(choose, kinds=None):
    """A chain of one to six operators of `kinds` (any), some reaching back where shapes allow."""
    maker = Maker(choose)
    for _ in range(choose(1, 6)):
        names = kinds or KINDS
        maker.add_op(names[choose(0, len(names) - 1)])
    return maker.graph()


def seeded(seed):
    """The same network for the same seed."""
    rng = np.random.default_rng(seed)
    return grow(lambda low, high: int(rng.integers(low, high + 1)))


@st.composite
def networks(draw):
    """Hypothesis strategy of whole networks."""
    return grow(lambda low, high: draw(st.integers(low, high)))


def inputs_for(graph, count, seed=0):
    """int8 [count, H, W, C], extremes first."""
    shape = graph.tensor(graph.input).shape
    x = np.random.default_rng(seed).integers(-128, 128, (count, *shape)).astype(np.int8)
    x[0], x[1] = -128, 127
    return x
