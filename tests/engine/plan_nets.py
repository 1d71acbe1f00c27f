"""Random int8 networks that branch and join: several inputs and outputs, constants, reshapes."""

import numpy as np
from hypothesis import strategies as st

from engine.graph import Graph, Op, Quant, Tensor
from engine.options import Concat

Q = Quant(0.05, 0)
KINDS = ("conv2d", "depthwise_conv2d", "average_pool2d", "add", "add", "mul", "concat", "reshape")
MAX_CHANNELS = 64


class Branches:
    """Grows a network of tensors [side, side, channels]; `choose(low, high)` decides."""

    def __init__(self, choose, input_count, side=4):
        self.choose, self.side = choose, side
        self.tensors = [self._tensor(f"in{n}", choose(1, 12)) for n in range(input_count)]
        self.inputs = tuple(tensor.name for tensor in self.tensors)
        self.ops, self.constants = [], {}

    def grow(self, kinds=KINDS):
        """Append an operator that reads one of the last tensors."""
        recent = self.tensors[-5:]
        source = recent[self.choose(0, len(recent) - 1)]
        kind = kinds[self.choose(0, len(kinds) - 1)]
        getattr(self, f"_{kind}", self._same)(kind, source)
        return self

    def convolve(self, source, count):
        """Append a pointwise layer of `count` channels."""
        channels = next(t.shape[2] for t in self.tensors if t.name == source)
        self._append("conv2d", (source,), count, **_weights((count, 1, 1, channels), count))
        return self

    def graph(self):
        read = {name for op in self.ops for name in op.inputs}
        inputs = tuple(name for name in self.inputs if name in read)
        tensors = [t for t in self.tensors if t.name in read or t.name not in self.inputs]
        constants = [
            self._tensor(name, c.shape[2], c.shape[0]) for name, c in self.constants.items()
        ]
        outputs = [t.name for t in tensors if t.name not in read]
        made = [op.output for op in self.ops if op.output not in outputs]
        if made and self.choose(0, 3) == 0:
            outputs.append(made[self.choose(0, len(made) - 1)])  # read further, and an output
        return Graph(
            "branches", (*tensors, *constants), tuple(self.ops), inputs, tuple(outputs),
            self.constants,
        )  # fmt: skip

    def _tensor(self, name, channels, side=None):
        side = side or self.side
        return Tensor(name, (side, side, channels), Q)

    def _append(self, kind, inputs, channels, **attributes):
        name = f"t{len(self.ops)}"
        self.ops.append(Op(kind, f"{kind} {len(self.ops)}", inputs, name, **attributes))
        self.tensors.append(self._tensor(name, channels))

    def _same(self, kind, source):
        self._append(kind, (source.name,), source.shape[2])

    def _conv2d(self, _kind, source):
        self.convolve(source.name, self.choose(1, 12))

    def _depthwise_conv2d(self, kind, source):
        channels = source.shape[2]
        self._append(kind, (source.name,), channels, **_weights((1, 1, channels), channels))

    def _add(self, kind, source):
        same = [tensor for tensor in self.tensors if tensor.shape == source.shape]
        other = same[self.choose(0, len(same) - 1)]
        self._append(kind, (source.name, other.name), source.shape[2])

    def _mul(self, kind, source):
        name, side = f"c{len(self.ops)}", (1, self.side)[self.choose(0, 1)]
        self.constants[name] = np.ones((side, side, source.shape[2]), np.int8)
        self._append(kind, (source.name, name), source.shape[2])

    def _concat(self, kind, source):
        others = self.tensors[-3:]
        channels = source.shape[2] + sum(other.shape[2] for other in others)
        if channels > MAX_CHANNELS:
            self._same("average_pool2d", source)
            return
        names = (source.name, *(other.name for other in others))
        self._append(kind, names, channels, options=Concat(2))


def _weights(shape, channels):
    scales, bias = np.full(channels, 0.01), np.zeros(channels, np.int32)
    return {"weights": np.ones(shape, np.int8), "weight_scales": scales, "bias": bias}


def seeded_branches(seed, count, kinds=KINDS, side=4):
    """`count` operators, the same for the same seed."""
    rng = np.random.default_rng(seed)
    net = Branches(lambda low, high: int(rng.integers(low, high + 1)), 2, side)
    for _ in range(count):
        net.grow(kinds)
    return net.graph()


@st.composite
def branching(draw, max_ops=8, kinds=KINDS):
    """Strategy of networks of up to `max_ops` operators."""
    net = Branches(lambda low, high: draw(st.integers(low, high)), draw(st.integers(1, 3)))
    for _ in range(draw(st.integers(1, max_ops))):
        net.grow(kinds)
    return net.graph()
