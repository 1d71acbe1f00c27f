"""Write the small files that the fuzzer spoils: one operator of each kind, and a few together."""

import sys
from pathlib import Path

import numpy as np
from file_maker import CODES, SAME, TYPES, FileMaker, schema

CORPUS = Path(__file__).resolve().parent / "corpus"


def residual():
    """Float in, a padded and a depthwise convolution, a sum, a mean, a softmax, float out."""
    maker, rng = FileMaker(), np.random.default_rng(0)
    image = maker.tensor((1, 6, 6, 2), TYPES.FLOAT32, None, name="image")
    start = maker.tensor((1, 6, 6, 2), scale=0.1, zero=-3, name="start")
    maker.op(CODES.QUANTIZE, [image], [start], schema.QuantizeOptionsT())
    weights = maker.constant(rng.integers(-127, 128, (4, 3, 3, 2)).astype(np.int8), [0.01] * 4)
    bias = maker.constant(np.arange(4, dtype=np.int32), [0.001] * 4)
    wide = maker.tensor((1, 6, 6, 4), scale=0.2, name="wide")
    options = schema.Conv2DOptionsT(
        padding=SAME, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1
    )
    maker.op(CODES.CONV_2D, [start, weights, bias], [wide], options)
    kernel = maker.constant(
        rng.integers(-127, 128, (1, 3, 3, 4)).astype(np.int8), [0.01] * 4, axis=3
    )
    deep = maker.tensor((1, 6, 6, 4), scale=0.2, zero=4, name="deep")
    options = schema.DepthwiseConv2DOptionsT(
        padding=SAME, strideH=1, strideW=1, depthMultiplier=1, dilationHFactor=1,
        dilationWFactor=1, fusedActivationFunction=3,
    )  # fmt: skip
    maker.op(CODES.DEPTHWISE_CONV_2D, [wide, kernel, bias], [deep], options)
    total = maker.tensor((1, 6, 6, 4), scale=0.3, name="total")
    maker.op(CODES.ADD, [wide, deep], [total], schema.AddOptionsT())
    return head(maker, image, total)


def head(maker, image, total):
    """A mean, a fully connected operator, a softmax, float out."""
    small = maker.tensor((1, 4), scale=0.3, name="small")
    maker.op(CODES.MEAN, [total, maker.integers(1, 2)], [small], schema.ReducerOptionsT())
    dense = maker.constant(np.arange(-6, 6, dtype=np.int8).reshape(3, 4), 0.02)
    logits = maker.tensor((1, 3), scale=0.5, name="logits")
    maker.op(CODES.FULLY_CONNECTED, [small, dense, -1], [logits], schema.FullyConnectedOptionsT())
    odds = maker.tensor((1, 3), scale=1 / 256, zero=-128, name="odds")
    maker.op(CODES.SOFTMAX, [logits], [odds], schema.SoftmaxOptionsT(beta=1.0))
    real = maker.tensor((1, 3), TYPES.FLOAT32, None, name="real")
    maker.op(CODES.DEQUANTIZE, [odds], [real], schema.DequantizeOptionsT())
    return maker.file([image], [real])


def moves():
    """uint8 in and out; pads, pools, slices, splits, joins, transposes, resizes, reshapes."""
    maker = FileMaker()
    image = maker.tensor((1, 4, 4, 2), TYPES.UINT8, zero=128, name="image")
    start = maker.tensor((1, 4, 4, 2))
    maker.op(CODES.QUANTIZE, [image], [start], schema.QuantizeOptionsT())
    padded = maker.tensor((1, 5, 6, 2))
    sides = maker.constant(np.array([[0, 0], [1, 0], [1, 1], [0, 0]], np.int32))
    maker.op(CODES.PAD, [start, sides], [padded], schema.PadOptionsT())
    pooled = maker.tensor((1, 3, 3, 2))
    pool = schema.Pool2DOptionsT(padding=SAME, strideH=2, strideW=2, filterHeight=2, filterWidth=3)
    maker.op(CODES.MAX_POOL_2D, [padded], [pooled], pool)
    left, right = (maker.tensor((1, 3, 3, 1)) for _ in range(2))
    maker.op(
        CODES.SPLIT, [maker.constant(np.int32(3)), pooled], [left, right],
        schema.SplitOptionsT(numSplits=2),
    )  # fmt: skip
    joined = maker.tensor((1, 3, 6, 1))
    maker.op(CODES.CONCATENATION, [left, right], [joined], schema.ConcatenationOptionsT(axis=2))
    turned = maker.tensor((1, 6, 3, 1))
    maker.op(
        CODES.TRANSPOSE, [joined, maker.integers(0, 2, 1, 3)], [turned], schema.TransposeOptionsT()
    )
    return tail(maker, image, turned)


def tail(maker, image, turned):
    """A resize, a strided slice, a reshape, uint8 out."""
    larger = maker.tensor((1, 12, 6, 1))
    maker.op(
        CODES.RESIZE_NEAREST_NEIGHBOR, [turned, maker.integers(12, 6)], [larger],
        schema.ResizeNearestNeighborOptionsT(),
    )  # fmt: skip
    part = maker.tensor((6, 3, 1))
    places = [maker.integers(*numbers) for numbers in ((0, 0, 5, 0), (1, 12, -7, 1), (1, 2, -2, 1))]
    maker.op(
        CODES.STRIDED_SLICE, [larger, *places], [part],
        schema.StridedSliceOptionsT(shrinkAxisMask=1, endMask=4),
    )  # fmt: skip
    flat = maker.tensor((1, 18))
    maker.op(CODES.RESHAPE, [part, maker.integers(-1, 18)], [flat], schema.ReshapeOptionsT())
    last = maker.tensor((1, 18), TYPES.UINT8, scale=0.7, zero=120)
    maker.op(CODES.QUANTIZE, [flat], [last], schema.QuantizeOptionsT())
    return maker.file([image], [last])


def functions():
    """Two inputs, two outputs: products, differences and functions of one value."""
    maker = FileMaker()
    a, b = maker.tensor((1, 3, 3, 4), name="a"), maker.tensor((1, 1, 1, 4), name="b")
    gate = maker.tensor((1, 1, 1, 4), scale=1 / 256, zero=-128)
    maker.op(CODES.LOGISTIC, [b], [gate])
    scaled, lower = maker.tensor((1, 3, 3, 4)), maker.tensor((1, 3, 3, 4), scale=0.25)
    maker.op(CODES.MUL, [a, gate], [scaled], schema.MulOptionsT())
    fixed = maker.constant(np.array([[1], [2], [3]], np.int8), 0.5)
    maker.op(CODES.SUB, [scaled, fixed], [lower], schema.SubOptionsT(fusedActivationFunction=1))
    swish, rect = maker.tensor((1, 3, 3, 4), zero=-100), maker.tensor((1, 3, 3, 4), zero=-90)
    maker.op(CODES.HARD_SWISH, [lower], [swish], schema.HardSwishOptionsT())
    maker.op(CODES.RELU6, [lower], [rect])
    pooled = maker.tensor((1, 1, 1, 4), zero=-90)
    pool = schema.Pool2DOptionsT(padding=1, strideH=1, strideW=1, filterHeight=3, filterWidth=3)
    maker.op(CODES.AVERAGE_POOL_2D, [rect], [pooled], pool)
    return maker.file([a, b], [swish, pooled])


FILES = {"residual": residual, "moves": moves, "functions": functions}


def main():
    """Write all files."""
    CORPUS.mkdir(exist_ok=True)
    for name, make in FILES.items():
        (CORPUS / f"{name}.tflite").write_bytes(make())


if __name__ == "__main__":
    sys.exit(main())
