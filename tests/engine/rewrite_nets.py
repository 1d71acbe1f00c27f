"""Random networks with much to rewrite: constant and unread channels, no-ops, odd paddings."""

import numpy as np

from engine import reference
from engine.graph import Graph, Op, Padding, Quant, Tensor
from engine.options import Concat, Mean, Pad, Resize, Slice, Softmax, Transpose
from engine.rewrite import REWRITES, rewrite

WIDE = (-128, 127)
FUNCTIONS = ("relu", "requantize", "logistic", "hard_swish")
KEEPING = ("average_pool2d", "max_pool2d", "resize_nearest")
KINDS = (
    "conv2d", "depthwise_conv2d", "fully_connected", *KEEPING, *FUNCTIONS, "add", "sub", "mul",
    "mean", "pad", "concat", "reshape", "transpose", "slice",
)  # fmt: skip


class Net:
    """Grows a network; every choice comes from numpy's generator of `seed`."""

    def __init__(self, seed, shape=None):
        self.rng = np.random.default_rng(seed)
        shape = shape or (self.int(1, 5), self.int(1, 5), self.int(1, 5))
        self.tensors = [Tensor("in", shape, self.quant())]
        self.ops, self.constants = [], {}

    def int(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def quant(self, scale=None):
        zero_point = (-128, 0, self.int(-128, 127))[self.int(0, 2)]
        return Quant(scale or float(self.rng.uniform(0.03, 0.1)), zero_point)

    def clamp(self):
        low, high = sorted((self.int(-128, 127), self.int(-128, 127)))
        return ((low, high), (low, 127), WIDE)[self.int(0, 2)]

    def tensor(self, name):
        return next(tensor for tensor in self.tensors if tensor.name == name)

    def append(self, kind, inputs, shape, quant=None, **attributes):
        """One operator behind `inputs`; the name of what it makes."""
        name = f"t{len(self.ops)}"
        self.tensors.append(Tensor(name, tuple(shape), quant or self.quant()))
        self.ops.append(Op(kind, f"{kind} {name}", tuple(inputs), name, **attributes))
        return name

    def constant(self, shape, quant=None):
        """A constant tensor of random values; its name."""
        name = f"c{len(self.tensors)}"
        self.tensors.append(Tensor(name, tuple(shape), quant or self.quant()))
        self.constants[name] = self.rng.integers(-128, 128, shape).astype(np.int8)
        return name

    def weights(self, shape, channels):
        """Weights, some rows or columns of them zero, and biases, some of which saturate."""
        weights = self.rng.integers(-127, 128, shape).astype(np.int8)
        scales = self.rng.uniform(1e-3, 2e-2, channels)
        bias = self.rng.integers(-3000, 3000, channels).astype(np.int32)
        dead = self.rng.random(channels) < 0.4
        if len(shape) == 3:
            weights[..., dead] = 0
        else:
            weights[dead] = 0
            weights[..., self.rng.random(shape[-1]) < 0.2] = 0
        huge = self.rng.random(channels) < 0.2
        bias[huge] = self.rng.integers(-(1 << 24), 1 << 24, huge.sum())
        if self.int(0, 9) == 0:
            bias[0] = (1 << 31) - 1 - self.int(0, 20000)
        return {"weights": weights, "weight_scales": scales, "bias": bias}

    def window(self, source, kinds_dilate):
        """Kernel, stride, padding and dilation that fit `source`, and the rows and columns made."""
        parts = [self.axis(size, kinds_dilate) for size in source.shape[:2]]
        (kh, sh, dh, top, bottom, rows), (kw, sw, dw, left, right, columns) = parts
        options = {
            "kernel": (kh, kw), "stride": (sh, sw), "padding": Padding(top, bottom, left, right),
        }  # fmt: skip
        if kinds_dilate:
            options["dilation"] = (dh, dw)
        return options, (rows, columns)

    def axis(self, size, dilates):
        kernel, stride = self.int(1, 3), self.int(1, 2)
        dilation = self.int(1, 2) if dilates else 1
        reach = (kernel - 1) * dilation + 1
        most = reach - 1 if self.int(0, 1) else 0
        before, after = self.int(0, most), self.int(0, most)
        if size + before + after < reach:
            kernel = dilation = reach = 1
            before = after = 0
        return (
            kernel,
            stride,
            dilation,
            before,
            after,
            (size + before + after - reach) // stride + 1,
        )

    def grow(self, kind, source):
        """Append an operator of `kind` that reads tensor `source`; the name of what it makes."""
        special = {
            "reshape": self.reshape, "transpose": self.transpose, "slice": self.slice,
            "fully_connected": self.dense, "mean": self.mean, "pad": self.pad,
            "concat": self.concat, "resize_nearest": self.resize, "softmax": self.softmax,
        }  # fmt: skip
        x = self.tensor(source)
        if kind in special:
            return special[kind](x)
        if kind in ("add", "sub", "mul"):
            return self.binary(kind, x)
        if kind in FUNCTIONS:
            return self.function(kind, x)
        return self.windowed(kind, x)

    def windowed(self, kind, x):
        options, size = self.window(x, "conv" in kind)
        channels, quant = x.shape[2], x.quant
        if kind == "conv2d":
            channels, quant = self.int(1, 6), None
            options |= self.weights((channels, *options["kernel"], x.shape[2]), channels)
        if kind == "depthwise_conv2d":
            channels, quant = x.shape[2] * self.int(1, 2), None
            options |= self.weights((*options["kernel"], channels), channels)
        return self.append(kind, (x.name,), (*size, channels), quant, clamp=self.clamp(), **options)

    def dense(self, x):
        count = self.int(1, 6)
        options = self.weights((count, x.size), count)
        if self.int(0, 1):
            options["weight_scales"][:] = options["weight_scales"][0]
        return self.append(
            "fully_connected", (x.name,), (1, 1, count), clamp=self.clamp(), **options
        )

    def function(self, kind, x):
        quant = Quant(1 / 256, -128) if kind == "logistic" else None
        if kind in ("relu", "requantize") and self.int(0, 1):
            quant = x.quant
        clamp = self.clamp() if kind == "relu" else WIDE
        return self.append(kind, (x.name,), x.shape, quant, clamp=clamp)

    def binary(self, kind, x):
        shape = [size if self.int(0, 3) else 1 for size in x.shape]
        choice = self.int(0, 2)
        same = [t.name for t in self.tensors if t.shape == x.shape and t.name != x.name]
        if choice == 0 and same:
            other = same[self.int(0, len(same) - 1)]
        elif choice == 1:
            other = x.name
        else:
            other = self.constant(shape)
        inputs = (x.name, other) if self.int(0, 1) else (other, x.name)
        return self.append(kind, inputs, x.shape, clamp=self.clamp())

    def mean(self, x):
        axes = tuple(axis for axis in range(3) if self.int(0, 1)) or (0, 1)
        shape = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
        quant = x.quant if self.int(0, 1) else None
        return self.append("mean", (x.name,), shape, quant, options=Mean(axes))

    def pad(self, x):
        before, after = ([self.int(0, 2), self.int(0, 2), 0] for _ in range(2))
        if self.int(0, 3) == 0:
            before[2] = 1
        value = x.quant.zero_point if self.int(0, 3) else self.int(-128, 127)
        shape = [sum(side) for side in zip(before, x.shape, after, strict=True)]
        options = Pad(tuple(before), tuple(after), value)
        return self.append("pad", (x.name,), shape, x.quant, options=options)

    def concat(self, x):
        axis = self.int(0, 2)
        names = [t.name for t in self.tensors if t.shape == x.shape and t.quant == x.quant]
        names = names[: self.int(1, 3)]
        if self.int(0, 2) == 0:
            names.append(self.constant(x.shape, x.quant))
        if x.name not in names:
            names.append(x.name)
        shape = list(x.shape)
        shape[axis] *= len(names)
        return self.append("concat", names, shape, x.quant, options=Concat(axis))

    def resize(self, x):
        shape = (self.int(1, 6), self.int(1, 6), x.shape[2])
        return self.append("resize_nearest", (x.name,), shape, x.quant, options=Resize())

    def softmax(self, x):
        quant = Quant(1 / 256, -128)
        return self.append("softmax", (x.name,), x.shape, quant, options=Softmax())

    def reshape(self, x):
        h, w, c = x.shape
        shapes = [(1, 1, x.size), (h * w, 1, c), (1, h, w * c), (w, h, c), x.shape, (x.size, 1, 1)]
        return self.append("reshape", (x.name,), shapes[self.int(0, 5)], x.quant)

    def transpose(self, x):
        order = tuple(int(axis) for axis in self.rng.permutation(3))
        options = Transpose(x.shape, order)
        return self.append("transpose", (x.name,), options.shape, x.quant, options=options)

    def slice(self, x):
        start = [self.int(0, size - 1) if self.int(0, 1) else 0 for size in x.shape]
        shape = [self.int(1, size - first) for size, first in zip(x.shape, start, strict=True)]
        if self.int(0, 2) == 0:
            start, shape = [0, 0, 0], x.shape
        return self.append("slice", (x.name,), shape, x.quant, options=Slice(tuple(start)))

    def graph(self):
        """The network; its outputs are the tensors that nobody reads."""
        read = {name for op in self.ops for name in op.inputs}
        outputs = tuple(op.output for op in self.ops if op.output not in read)
        tensors = tuple(t for t in self.tensors if t.name in read or t.name in outputs)
        inputs = tuple(t.name for t in tensors if t.name.startswith("in"))
        return Graph("a net", tensors, tuple(self.ops), inputs, outputs, self.constants)


def random_net(seed, kinds=KINDS, most=7):
    """Two to `most` operators of `kinds`, each behind one of the last two tensors made."""
    net = Net(seed)
    made = [second_input(net)] if seed % 4 == 0 else []
    made.append(net.grow(kinds[net.int(0, len(kinds) - 1)], "in"))
    for _ in range(net.int(1, most - 1)):
        source = made[-1] if net.int(0, 3) else made[-min(2, len(made))]
        if net.tensor(source).size > 4000:
            continue
        made.append(net.grow(kinds[net.int(0, len(kinds) - 1)], source))
    return net.graph()


def second_input(net):
    """The difference of a second input and the first; its name."""
    shape = net.tensors[0].shape
    net.tensors.append(Tensor("in2", shape, net.quant()))
    return net.append("sub", ("in2", "in"), shape, clamp=net.clamp())


def planted_net(seed):
    """A convolution with about half of its channels constant, and up to five operators behind."""
    net = Net(seed, (3, 3, 3))
    channels = net.int(4, 8)
    weights = net.rng.integers(-20, 20, (channels, 1, 1, 3)).astype(np.int8)
    weights[net.rng.random(channels) < 0.5] = 0
    bias = net.rng.integers(-1000, 1000, channels).astype(np.int32)
    bias[net.rng.random(channels) < 0.4] = 0
    last = net.append(
        "conv2d", ("in",), (3, 3, channels), net.quant(0.05),
        weights=weights, weight_scales=np.full(channels, 0.01), bias=bias,
    )  # fmt: skip
    middle = [kind for kind in KINDS if kind != "fully_connected"]
    for _ in range(net.int(0, 3)):
        if net.tensor(last).size < 3000:
            last = net.grow(middle[net.int(0, len(middle) - 1)], last)
    for kinds in (("conv2d", "fully_connected", "mean", "depthwise_conv2d"), ("conv2d", "softmax")):
        last = net.grow(kinds[net.int(0, len(kinds) - 1)], last)
    return net.graph()


def inputs_for(graph, count=5, seed=0):
    """int8 [N, H, W, C] of each input by name: the extremes, a mix of both, and random values."""
    rng = np.random.default_rng(seed)
    return {name: _values(rng, count, graph.tensor(name).shape) for name in graph.inputs}


def _values(rng, count, shape):
    x = rng.integers(-128, 128, (count, *shape)).astype(np.int8)
    x[0], x[1] = -128, 127
    x[2] = np.where(rng.random(shape) < 0.5, -128, 127)
    return x


def assert_same(graph, changed):
    """Both have the same inputs and outputs, and for the same input the same output."""
    assert (graph.inputs, graph.outputs) == (changed.inputs, changed.outputs)
    for name in (*graph.inputs, *graph.outputs):
        assert graph.tensor(name) == changed.tensor(name)
    x = inputs_for(graph)
    before, after = reference.run_all(graph, x), reference.run_all(changed, x)
    for name in graph.outputs:
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)


def kinds(graph):
    """The kinds of operators, in order."""
    return [op.kind for op in graph.ops]


def applied(name, graph):
    """`graph` after one pass of row `name`, which changes it but not its output."""
    changed = row(name).apply(graph)
    assert changed is not None
    assert_same(graph, changed)
    return changed


def refused(name, graph):
    """Whether row `name` has nothing to do."""
    return row(name).apply(graph) is None


def row(name):
    """The row of that name."""
    return next(row for row in REWRITES if row.name == name)


def same_if_applied(name, graph):
    """Row `name` keeps the outputs of `graph`, if it applies; how often it does."""
    result = rewrite(graph, [name])
    if result.applied:
        assert_same(graph, result.graph)
    return sum(result.applied.values())
