"""Networks as people bring them: blocks of well-known families behind each other, and any operator.

Scales are of single precision and clamps are fused activations, so that a .tflite file can say
all of it.
"""

from dataclasses import replace

from graph_strategies import PROBABILITY, single, singles
from rewrite_nets import Net
from tflite_writer import FUSED, WIDE, activations

from engine.graph import OP_KINDS, Padding, Quant, Tensor
from engine.options import Concat, Mean, Pad, Slice, Softmax, Transpose

MAX_BYTES = 3000
MAX_OPERATORS = 60


class Whole(Net):
    """Each block reads the tensor of a name and gives the name of what it makes."""

    def quant(self, scale=None):
        found = super().quant(scale)
        return Quant(single(found.scale), found.zero_point)

    def weights(self, shape, channels):
        parts = super().weights(shape, channels)
        return parts | {"weight_scales": singles(parts["weight_scales"])}

    def append(self, kind, inputs, shape, quant=None, **attributes):
        """Any clamp becomes that of some fused activation."""
        quant = quant or self.quant()
        if kind != "relu" and attributes.get("clamp", WIDE) != WIDE:
            attributes["clamp"] = list(activations(quant).values())[self.int(0, 3)]
        return super().append(kind, inputs, shape, quant, **attributes)

    def function(self, kind, x):
        quant = x.quant if self.int(0, 1) else self.quant()
        if kind == "logistic":
            quant = PROBABILITY
        clamp = WIDE
        if kind == "relu":  # no RELU6 that rescales, which TensorFlow Lite Micro gets wrong
            fused = activations(quant)
            clamp = fused[(FUSED.RELU, FUSED.RELU6)[quant == x.quant and self.int(0, 1)]]
        return self.append(kind, (x.name,), x.shape, quant, clamp=clamp)

    def windowed(self, kind, x):
        if kind != "average_pool2d":
            return super().windowed(kind, x)
        axes = [self.pool_axis(size) for size in x.shape[:2]]  # no file pads one explicitly
        kernel, stride, before, after, size = zip(*axes, strict=True)
        padding = Padding(before[0], after[0], before[1], after[1])
        shape, window = (*size, x.shape[2]), {"kernel": kernel, "stride": stride}
        return self.append(
            kind, (x.name,), shape, x.quant, padding=padding, clamp=self.clamp(), **window
        )

    def pool_axis(self, size):
        """Kernel, stride, padding of SAME before and behind, and size of the output."""
        kernel, stride = min(size, self.int(1, 3)), self.int(1, 2)
        count = -(-size // stride)
        needed = max(0, (count - 1) * stride + kernel - size)
        return kernel, stride, needed // 2, needed - needed // 2, count

    def relu6(self):
        """A quantisation with the clamp of a fused RELU6."""
        quant = self.quant()
        return {"quant": quant, "clamp": activations(quant)[FUSED.RELU6]}

    def pointwise(self, name, channels, **attributes):
        x = self.tensor(name)
        parts = self.weights((channels, 1, 1, x.shape[2]), channels)
        return self.append("conv2d", (name,), (*x.shape[:2], channels), **attributes, **parts)

    def either_way(self, kind, first, second, **attributes):
        """A sum or product of two tensors, in one order or the other."""
        pair = (first, second) if self.int(0, 1) else (second, first)
        return self.append(kind, pair, self.tensor(first).shape, **attributes)

    def inverted_residual(self, name):
        x = self.tensor(name)
        wide = x.shape[2] * self.int(1, 3)
        inside = self.pointwise(name, wide, **self.relu6())
        inside = self.append(
            "depthwise_conv2d", (inside,), (*x.shape[:2], wide), kernel=(3, 3),
            padding=Padding(1, 1, 1, 1), **self.relu6(), **self.weights((3, 3, wide), wide),
        )  # fmt: skip
        if self.int(0, 1):
            inside = self.gate(inside)
        inside = self.pointwise(inside, x.shape[2])
        return self.either_way("add", name, inside, clamp=self.clamp())

    def gate(self, name):
        """Squeeze and excite."""
        x = self.tensor(name)
        shape = (1, 1, x.shape[2])
        small = self.append("mean", (name,), shape, options=Mean((0, 1)))
        small = self.pointwise(small, self.int(1, 4), **self.relu6())
        small = self.pointwise(small, x.shape[2])
        small = self.append("logistic", (small,), shape, PROBABILITY)
        return self.either_way("mul", name, small, quant=x.quant)

    def branches(self, name):
        """Split, some parts convolved, joined again."""
        x, axis = self.tensor(name), self.int(0, 2)
        count, made, at = min(self.int(2, 3), x.shape[axis]), [], 0
        for part in range(count):
            start, shape = [0, 0, 0], list(x.shape)
            start[axis] = at
            shape[axis] = (x.shape[axis] - at) // (count - part)
            at += shape[axis]
            options = Slice(tuple(start))
            piece = self.append("slice", (name,), shape, x.quant, options=options)
            made.append(self.pointwise(piece, shape[2], quant=x.quant) if self.int(0, 1) else piece)
        return self.append("concat", tuple(made), x.shape, x.quant, options=Concat(axis))

    def padded_conv(self, name):
        """A pad of its own before the convolution, as Keras writes strided ones."""
        x = self.tensor(name)
        height, width, channels = x.shape
        pad = Pad((self.int(0, 1), self.int(0, 1), 0), (1, 1, 0), x.quant.zero_point)
        shape = (height + pad.before[0] + 1, width + pad.before[1] + 1, channels)
        inside = self.append("pad", (name,), shape, x.quant, options=pad)
        stride, filters = self.int(1, 2), self.int(1, 5)
        made = (*((size - 2) // stride + 1 for size in shape[:2]), filters)
        parts = self.weights((filters, 2, 2, channels), filters)
        return self.append(
            "conv2d", (inside,), made, kernel=(2, 2), stride=(stride, stride), clamp=self.clamp(),
            **parts,
        )  # fmt: skip

    def torch_head(self, name):
        """TRANSPOSE to channels first, MEAN of each axis, and a classifier, as PyTorch exports."""
        x = self.tensor(name)
        turned = Transpose(x.shape, (2, 0, 1))
        inside = self.append("transpose", (name,), turned.shape, x.quant, options=turned)
        shape = list(turned.shape)
        for axis in ((2, 1), (1, 2))[self.int(0, 1)]:
            shape[axis] = 1
            quant = self.quant() if self.int(0, 1) else self.tensor(inside).quant
            inside = self.append("mean", (inside,), shape, quant, options=Mean((axis,)))
        quant = self.tensor(inside).quant
        inside = self.append("reshape", (inside,), (1, 1, shape[0]), quant)
        inside = self.dense(self.tensor(inside))
        shape = self.tensor(inside).shape
        return self.append("softmax", (inside,), shape, PROBABILITY, options=Softmax())

    def swished(self, name):
        x = self.tensor(name)
        return self.append("hard_swish", (self.pointwise(name, x.shape[2]),), x.shape)

    def second_input(self):
        """A sum or product of the input and another of its shape."""
        shape = self.tensors[0].shape
        self.tensors.append(Tensor("in2", shape, self.quant()))
        kind = ("add", "sub", "mul")[self.int(0, 2)]
        return self.either_way(kind, "in2", "in", clamp=self.clamp())

    def ended(self):
        """The graph, now and then with an output that is read further as well."""
        graph = self.graph()
        inner = [op.output for op in graph.ops if op.output not in graph.outputs]
        if not inner or self.int(0, 4):
            return graph
        return replace(graph, outputs=(*graph.outputs, inner[self.int(0, len(inner) - 1)]))


BLOCKS = (
    Whole.inverted_residual, Whole.gate, Whole.branches, Whole.padded_conv, Whole.torch_head,
    Whole.swished,
)  # fmt: skip


def whole_net(seed, most=8):
    """Up to `most` blocks and single operators behind each other or apart; the same for a seed."""
    net = Whole(seed)
    made = ["in"] if net.int(0, 3) else ["in", net.second_input()]
    for _ in range(net.int(1, most)):
        recent = [name for name in made[-3:] if net.tensor(name).size <= MAX_BYTES]
        if not recent or len(net.ops) > MAX_OPERATORS:
            break
        source = recent[-1] if net.int(0, 3) else recent[net.int(0, len(recent) - 1)]
        if net.int(0, 1):
            made.append(BLOCKS[net.int(0, len(BLOCKS) - 1)](net, source))
        else:
            made.append(net.grow(OP_KINDS[net.int(0, len(OP_KINDS) - 1)], source))
    return net.ended()
