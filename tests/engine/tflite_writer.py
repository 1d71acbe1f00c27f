"""Any `Graph` as the bytes of a .tflite file, for TFLite's own kernels to run.

Tensors become [1, H, W, C]. What a .tflite operator cannot say becomes more operators: explicit
padding a PAD before, a clamp that is no activation a MAXIMUM and a MINIMUM behind, the two views
of a transpose RESHAPEs. Those helpers have tensors of their own; every tensor of the graph keeps
its name. `ValueError` for what no operators say exactly (see the functions here).
"""

import math

import numpy as np
from tflite_file import Writer, scales, schema

WIDE = (-128, 127)
CODES, FUSED = schema.BuiltinOperator, schema.ActivationFunctionType


def to_tflite(graph):
    """The bytes of a .tflite file that computes `graph`, its tensors under their own names."""
    return written(graph).packed()


def written(graph):
    """The parts of that file."""
    writer = Writer(graph)
    for op in graph.ops:
        WRITERS[op.kind](writer, op)
    return writer


def activations(quant):
    """The clamp of each fused activation, as TFLite rounds it."""
    zero = quant.zero_point
    six = min(127, zero + round_half_away(np.float32(6) / np.float32(quant.scale)))
    one = round_half_away(np.float32(1) / np.float32(quant.scale))
    return {
        FUSED.NONE: WIDE,
        FUSED.RELU: (zero, 127),
        FUSED.RELU6: (zero, six),
        FUSED.RELU_N1_TO_1: (max(-128, zero - one), min(127, zero + one)),
    }


def round_half_away(value):
    """A positive value to the nearest integer; far above any int8 it may be anything above."""
    return math.floor(min(float(value), 1e6) + 0.5)


def fused(quant, clamp):
    """The fused activation with that clamp, or None."""
    names = [name for name, held in activations(quant).items() if held == clamp]
    return names[0] if names else None


def clamping(writer, op, code, inputs, options):
    """`code`, then what its fused activation cannot say of the operator's clamp."""
    output = writer.output(op)
    activation = fused(output.quant, op.clamp)
    index = writer.index[op.output]
    if activation is not None:
        options.fusedActivationFunction = activation
        writer.operator(code, inputs, index, options)
        return
    free = writer.temporary(output.shape, output.quant)
    writer.operator(code, inputs, free, options)
    clamp_behind(writer, op, free)


def clamp_behind(writer, op, free):
    """MAXIMUM with the clamp's low end, MINIMUM with its high end."""
    output = writer.output(op)
    low, high = (
        writer.constant(np.full((1, 1, 1, 1), end, np.int8), quant=output.quant)
        for end in op.clamp
    )  # fmt: skip
    floored = writer.temporary(output.shape, output.quant)
    writer.operator(CODES.MAXIMUM, (free, low), floored, schema.MaximumMinimumOptionsT())
    writer.operator(
        CODES.MINIMUM, (floored, high), writer.index[op.output], schema.MaximumMinimumOptionsT()
    )  # fmt: skip


def padding_scheme(op, source, output):
    """TFLite's name for the padding of `op`, or None when it has none."""
    before = (op.padding.top, op.padding.left)
    sizes = list(zip(source.shape[:2], output.shape[:2], op.stride, op.reach, strict=True))
    needed = [max((o - 1) * s + r - n, 0) for n, o, s, r in sizes]
    same = all(o == -(-n // s) for n, o, s, _ in sizes)
    if same and before == tuple(n // 2 for n in needed):
        return schema.Padding.SAME
    inside = all(o == (n - r) // s + 1 for n, o, s, r in sizes)
    return schema.Padding.VALID if inside and before == (0, 0) else None


def windowed(writer, op, fill):
    """(index of what the window slides over, its scheme): a PAD in front where it must be."""
    source = writer.source(op)
    scheme = padding_scheme(op, source, writer.output(op))
    if scheme is not None:
        return writer.index[op.inputs[0]], scheme
    pad = op.padding
    shape = tuple(
        n + b + a for n, b, a in zip(
            source.shape, (pad.top, pad.left, 0), (pad.bottom, pad.right, 0), strict=True
        )
    )  # fmt: skip
    padded = writer.temporary(shape, source.quant)
    sides = [[0, 0], [pad.top, pad.bottom], [pad.left, pad.right], [0, 0]]
    write_pad(writer, writer.index[op.inputs[0]], padded, sides, fill, source.quant)
    return padded, schema.Padding.VALID


def write_pad(writer, source, output, sides, value, quant):
    """PAD with the zero point, PADV2 with any other value."""
    inputs = [source, writer.integers(sides)]
    if value == quant.zero_point:
        writer.operator(CODES.PAD, inputs, output, schema.PadOptionsT())
        return
    inputs.append(writer.constant(np.array([value], np.int8), quant=quant))
    writer.operator(CODES.PADV2, inputs, output, schema.PadV2OptionsT())


def weighted(writer, op, weights, axis):
    """The weights and the bias as tensors; one scale where a fully connected one has but one."""
    source = writer.source(op)
    many = list(op.weight_scales)
    if op.kind == "fully_connected" and len(set(many)) == 1:
        many = many[:1]
    products = np.float32(source.quant.scale) * np.float32(many)
    return [
        writer.constant(weights, parameters=scales(many, axis=axis)),
        writer.constant(op.bias, parameters=scales(products)),
    ]


def conv2d(writer, op):
    index, scheme = windowed(writer, op, writer.source(op).quant.zero_point)
    options = schema.Conv2DOptionsT(
        padding=scheme, strideH=op.stride[0], strideW=op.stride[1],
        dilationHFactor=op.dilation[0], dilationWFactor=op.dilation[1],
    )  # fmt: skip
    clamping(writer, op, CODES.CONV_2D, [index, *weighted(writer, op, op.weights, 0)], options)


def depthwise(writer, op):
    index, scheme = windowed(writer, op, writer.source(op).quant.zero_point)
    options = schema.DepthwiseConv2DOptionsT(
        padding=scheme, strideH=op.stride[0], strideW=op.stride[1],
        dilationHFactor=op.dilation[0], dilationWFactor=op.dilation[1],
        depthMultiplier=op.weights.shape[-1] // writer.source(op).shape[2],
    )  # fmt: skip
    inputs = [index, *weighted(writer, op, op.weights[np.newaxis], 3)]
    clamping(writer, op, CODES.DEPTHWISE_CONV_2D, inputs, options)


def fully_connected(writer, op):
    source, index = writer.source(op), writer.index[op.inputs[0]]
    if source.shape[:2] != (1, 1):
        index = reshaped(writer, index, (1, 1, source.size), source.quant)
    options = schema.FullyConnectedOptionsT(keepNumDims=True)
    inputs = [index, *weighted(writer, op, op.weights, 0)]
    clamping(writer, op, CODES.FULLY_CONNECTED, inputs, options)


def pool(writer, op):
    """`ValueError` for an average whose padding is neither SAME nor VALID."""
    average = op.kind == "average_pool2d"
    if average and padding_scheme(op, writer.source(op), writer.output(op)) is None:
        raise ValueError(f"operator {op.name!r}: no .tflite average pool has {op.padding}")
    index, scheme = windowed(writer, op, -128)
    options = schema.Pool2DOptionsT(
        padding=scheme, strideH=op.stride[0], strideW=op.stride[1],
        filterHeight=op.kernel[0], filterWidth=op.kernel[1],
    )  # fmt: skip
    clamping(writer, op, CODES.AVERAGE_POOL_2D if average else CODES.MAX_POOL_2D, [index], options)


def binary(writer, op):
    code, options = {
        "add": (CODES.ADD, schema.AddOptionsT()),
        "sub": (CODES.SUB, schema.SubOptionsT()),
        "mul": (CODES.MUL, schema.MulOptionsT()),
    }[op.kind]
    clamping(writer, op, code, writer.inputs(op), options)


def plain(code, options=None):
    """A writer of kinds that TFLite has as they are."""

    def write(writer, op):
        if op.clamp != WIDE:
            raise ValueError(f"operator {op.name!r} ({op.kind}): its clamp cannot be said")
        writer.operator(code, writer.inputs(op), writer.index[op.output], options and options(op))

    return write


def relu(writer, op):
    """RELU or RELU6, clamped further; `ValueError` for a clamp that reaches below zero."""
    output = writer.output(op)
    zero, six = activations(output.quant)[FUSED.RELU6]
    code = CODES.RELU6 if op.clamp == (zero, six) != (zero, 127) else CODES.RELU
    if op.clamp[0] < zero:
        raise ValueError(f"operator {op.name!r}: no .tflite relu has the clamp {op.clamp}")
    if op.clamp in ((zero, 127), (zero, six)):
        writer.operator(code, writer.inputs(op), writer.index[op.output])
        return
    free = writer.temporary(output.shape, output.quant)
    writer.operator(code, writer.inputs(op), free)
    clamp_behind(writer, op, free)


def mean(writer, op):
    axes = writer.integers([axis + 1 for axis in op.options.axes])
    inputs = [*writer.inputs(op), axes]
    options = schema.ReducerOptionsT(keepDims=True)
    if op.clamp != WIDE:
        raise ValueError(f"operator {op.name!r} (mean): its clamp cannot be said")
    writer.operator(CODES.MEAN, inputs, writer.index[op.output], options)


def pad(writer, op):
    sides = [[0, 0], *zip(op.options.before, op.options.after, strict=True)]
    source, output = writer.index[op.inputs[0]], writer.index[op.output]
    write_pad(writer, source, output, sides, op.options.value, writer.output(op).quant)


def reshaped(writer, index, shape, quant, output=None):
    """The index of `index` as [1, *shape]: `output`, or a new tensor."""
    output = writer.temporary(shape, quant) if output is None else output
    options = schema.ReshapeOptionsT(newShape=[1, *shape])
    writer.operator(CODES.RESHAPE, (index, writer.integers([1, *shape])), output, options)
    return output


def reshape(writer, op):
    output = writer.output(op)
    reshaped(
        writer, writer.index[op.inputs[0]], output.shape, output.quant, writer.index[op.output]
    )


def transpose(writer, op):
    source, output, options = writer.source(op), writer.output(op), op.options
    index, last = writer.index[op.inputs[0]], writer.index[op.output]
    if options.view != source.shape:
        index = reshaped(writer, index, options.view, source.quant)
    direct = options.shape == output.shape
    made = last if direct else writer.temporary(options.shape, output.quant)
    order = writer.integers([0, *(axis + 1 for axis in options.order)])
    writer.operator(CODES.TRANSPOSE, (index, order), made, schema.TransposeOptionsT())
    if not direct:
        reshaped(writer, made, output.shape, output.quant, last)


def strided_slice(writer, op):
    start, step = (0, *op.options.start), (1, *op.options.step)
    counts = (1, *writer.output(op).shape)
    ends = [b + n * s for b, n, s in zip(start, counts, step, strict=True)]
    # an end of -1 would mean the last element: the mask says "to the very end"
    open_ends = sum(1 << axis for axis, end in enumerate(ends) if end < 0)
    options = schema.StridedSliceOptionsT(endMask=open_ends)
    parts = [writer.integers(part) for part in (start, [max(end, 0) for end in ends], step)]
    writer.operator(
        CODES.STRIDED_SLICE, [*writer.inputs(op), *parts], writer.index[op.output], options
    )  # fmt: skip


def resize(writer, op):
    size = writer.integers(writer.output(op).shape[:2])
    options = schema.ResizeNearestNeighborOptionsT(
        alignCorners=op.options.align_corners, halfPixelCenters=op.options.half_pixel_centers
    )
    inputs = [*writer.inputs(op), size]
    writer.operator(CODES.RESIZE_NEAREST_NEIGHBOR, inputs, writer.index[op.output], options)


WRITERS = {
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
    "concat": plain(
        CODES.CONCATENATION, lambda op: schema.ConcatenationOptionsT(axis=op.options.axis + 1)
    ),
    "softmax": plain(CODES.SOFTMAX, lambda op: schema.SoftmaxOptionsT(beta=op.options.beta)),
    "logistic": plain(CODES.LOGISTIC),
    "hard_swish": plain(CODES.HARD_SWISH, lambda _op: schema.HardSwishOptionsT()),
    "relu": relu,
    "requantize": plain(CODES.QUANTIZE, lambda _op: schema.QuantizeOptionsT()),
    "reshape": reshape,
    "transpose": transpose,
    "slice": strided_slice,
    "resize_nearest": resize,
}
