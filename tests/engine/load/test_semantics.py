"""A file that was imported computes what TFLite's reference kernels compute of the file."""

import math
from pathlib import Path

import numpy as np
import pytest
from file_maker import CODES, FUSED, SAME, TYPES, VALID, FileMaker, conv, one, schema
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.load.operators import OPERATORS
from engine.load.tflite import parse_tflite
from engine.reference import run, run_all

oracles = pytest.importorskip("oracles", reason="ai-edge-litert is a package of the dev extra")
QUICK = settings(max_examples=60, deadline=None, derandomize=True)
WINDOW = st.fixed_dictionaries({
    "padding": st.sampled_from([SAME, VALID]), "stride": st.integers(1, 3),
    "kernel": st.tuples(st.integers(1, 3), st.integers(1, 3)), "seed": st.integers(0, 1 << 20),
    "size": st.tuples(st.integers(5, 9), st.integers(5, 9)),
    "fused": st.sampled_from([FUSED.NONE, FUSED.RELU, FUSED.RELU6, FUSED.RELU_N1_TO_1]),
})  # fmt: skip


def check(data, seed=0):
    """Both answers for random inputs are equal; returns the graph."""
    graph, rng = parse_tflite(data, "x"), np.random.default_rng(seed)
    inputs = {
        name: rng.integers(-128, 128, graph.tensor(name).shape).astype(np.int8)
        for name in graph.inputs
    }
    ours = run_all(graph, inputs)
    theirs = oracles.litert(data, list(inputs.values()))
    for name, other in zip(graph.outputs, theirs, strict=True):
        np.testing.assert_array_equal(ours[name].ravel(), other.ravel())
    return graph


def windows(size, reach, stride, padding):
    """How many there are along one axis, as TFLite counts them."""
    return math.ceil((size if padding == SAME else size - reach + 1) / stride)


def made(draw, channels, dilation=1):
    """The output's shape of a window operator."""
    reach = [(side - 1) * dilation + 1 for side in draw["kernel"]]
    sides = zip(draw["size"], reach, strict=True)
    return (1, *(windows(*side, draw["stride"], draw["padding"]) for side in sides), channels)


@QUICK
@given(draw=WINDOW, dilation=st.sampled_from([1, 1, 2]))
def test_conv2d(draw, dilation):
    rng = np.random.default_rng(draw["seed"])
    stride = draw["stride"] if dilation == 1 else 1
    draw = draw | {"stride": stride}
    weights = rng.integers(-127, 128, (4, *draw["kernel"], 3))
    options, extra = conv(
        weights, np.array([0.01, 0.02, 0.003, 0.04]), fused=draw["fused"],
        padding=draw["padding"], stride=stride, dilation=dilation,
    )  # fmt: skip
    shape = made(draw, 4, dilation)
    source, target = {"scale": 0.05, "zero": 7}, {"scale": 0.11, "zero": -9}
    data = one(CODES.CONV_2D, (1, *draw["size"], 3), shape, options, extra, source, target)
    graph = check(data, draw["seed"])
    (op,) = graph.ops
    assert (op.stride, op.dilation, op.kernel) == ((stride,) * 2, (dilation,) * 2, draw["kernel"])


@QUICK
@given(draw=WINDOW, multiplier=st.integers(1, 3))
def test_depthwise_conv2d(draw, multiplier):
    rng = np.random.default_rng(draw["seed"])
    weights = rng.integers(-127, 128, (1, *draw["kernel"], 2 * multiplier)).astype(np.int8)
    options = schema.DepthwiseConv2DOptionsT(
        padding=draw["padding"], strideH=draw["stride"], strideW=draw["stride"],
        depthMultiplier=multiplier, dilationHFactor=1, dilationWFactor=1,
        fusedActivationFunction=draw["fused"],
    )  # fmt: skip
    scales = rng.uniform(0.01, 0.03, 2 * multiplier)
    extra = [(weights, scales, 0, 3), np.arange(2 * multiplier, dtype=np.int32)]
    shape = made(draw, 2 * multiplier)
    target = {"scale": 0.3, "zero": 11}
    data = one(CODES.DEPTHWISE_CONV_2D, (1, *draw["size"], 2), shape, options, extra, {}, target)
    assert check(data, draw["seed"]).ops[0].weights.shape == weights.shape[1:]


@QUICK
@given(draw=WINDOW, code=st.sampled_from([CODES.AVERAGE_POOL_2D, CODES.MAX_POOL_2D]))
def test_pools(draw, code):
    options = schema.Pool2DOptionsT(
        padding=draw["padding"], strideH=draw["stride"], strideW=draw["stride"],
        filterHeight=draw["kernel"][0], filterWidth=draw["kernel"][1],
        fusedActivationFunction=draw["fused"],
    )  # fmt: skip
    check(one(code, (1, *draw["size"], 2), made(draw, 2), options), draw["seed"])


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("shape", [(1, 6), (1, 1, 6), (1, 1, 2, 3)])
def test_fully_connected(shape, many):
    rng = np.random.default_rng(1)
    scale = rng.uniform(0.01, 0.02, 4) if many else 0.013
    extra = [(rng.integers(-127, 128, (4, 6)).astype(np.int8), scale)]
    extra.append(np.arange(4, dtype=np.int32))
    graph = check(one(
        CODES.FULLY_CONNECTED, shape, (1, 4), schema.FullyConnectedOptionsT(), extra
    ))  # fmt: skip
    assert len(set(graph.ops[0].weight_scales)) == (4 if many else 1)


def test_one_scale_repeated_for_each_channel_is_that_scale_to_the_last_bit():
    rng, x = np.random.default_rng(1), np.zeros((1, 1, 1), np.int8)
    for _ in range(20):
        scale, weight = (np.float32(rng.uniform(0.01, 0.1)) for _ in "ab")
        output = float(scale * weight * np.float32(2**23))
        halves = rng.integers(40, 127, 200) + 0.5  # biases near half steps, where a bit shows
        bias = halves * output / (float(scale) * float(weight))
        bias *= 1 + 2.0**-25 * rng.uniform(-2, 2, 200)
        data = one(
            *(CODES.FULLY_CONNECTED, (1, 1), (1, 200), schema.FullyConnectedOptionsT()),
            [(np.zeros((200, 1), np.int8), np.full(200, weight)), np.round(bias).astype(np.int32)],
            {"scale": scale}, {"scale": output},
        )  # fmt: skip
        wanted = oracles.micro(data, [x])[0]
        np.testing.assert_array_equal(run(parse_tflite(data, "x"), x).ravel(), wanted.ravel())


@pytest.mark.parametrize(
    ("code", "options"),
    [
        (CODES.ADD, schema.AddOptionsT), (CODES.SUB, schema.SubOptionsT),
        (CODES.MUL, schema.MulOptionsT),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "other", [(1, 3, 4, 2), (1, 1, 1, 2), (2,), (4, 1), (3, 1, 2), (1, 3, 1, 1)]
)
@pytest.mark.parametrize("constant", [False, True])
def test_binary_operators_broadcast(code, options, other, constant):
    maker = FileMaker()
    a = maker.tensor((1, 3, 4, 2), scale=0.3, zero=5)
    if constant:
        values = np.random.default_rng(0).integers(-128, 128, other).astype(np.int8)
        b = maker.constant(values, 0.2, -3)
    else:
        b = maker.tensor(other, scale=0.2, zero=-3)
    out = maker.tensor((1, 3, 4, 2), scale=0.9)
    maker.op(code, [a, b], [out], options(fusedActivationFunction=FUSED.RELU6))
    graph = check(maker.file([a] if constant else [a, b], [out]))
    assert len(graph.constants) == constant


def test_the_end_of_a_fused_activation_is_rounded_in_single_precision():
    maker = FileMaker()
    a, out = maker.tensor((1, 256), scale=2.4), maker.tensor((1, 256), scale=2.4)
    fixed = maker.constant(np.zeros(1, np.int8), 2.4)
    maker.op(CODES.ADD, [a, fixed], [out], schema.AddOptionsT(fusedActivationFunction=FUSED.RELU6))
    assert check(maker.file([a], [out])).ops[0].clamp == (0, 3)


@pytest.mark.parametrize(
    ("axes", "kept", "output"),
    [
        ((1, 2), True, (1, 1, 1, 5)), ((1, 2), False, (1, 5)), ((-2, -3), False, (1, 5)),
        ((3,), True, (1, 3, 4, 1)), ((3,), False, (1, 3, 4)), ((0, 1), False, (4, 5)),
        ((1, 2, 3), False, (1,)),
    ],
)  # fmt: skip
def test_mean(axes, kept, output):
    options = schema.ReducerOptionsT(keepDims=kept)
    data = one(
        CODES.MEAN, (1, 3, 4, 5), output, options, [np.array(axes, np.int32)],
        {"scale": 0.3, "zero": 4}, {"scale": 0.2, "zero": -6},
    )  # fmt: skip
    check(data)


@QUICK
@given(data=st.data())
def test_transpose_of_any_rank(data):
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    shape = (*[1] * data.draw(st.integers(0, 5 - len(sizes))), *sizes)
    order = data.draw(st.permutations(range(len(shape))))
    output = tuple(shape[axis] for axis in order)
    if len(shape) > 3 and max(output[: len(shape) - 3]) > 1:
        return  # it makes a batch, which is refused
    options = schema.TransposeOptionsT()
    check(one(CODES.TRANSPOSE, shape, output, options, [np.array(order, np.int32)]))


def test_transpose_joins_neighbours_that_stay_neighbours():
    data = one(CODES.TRANSPOSE, (1, 2, 3, 4), (1, 4, 2, 3), schema.TransposeOptionsT(),
               [np.array([0, 3, 1, 2], np.int32)])  # fmt: skip
    (op,) = check(data).ops
    assert (op.options.view, op.options.order) == ((1, 6, 4), (0, 2, 1))


def test_a_transpose_that_moves_only_ones_is_a_reshape():
    data = one(CODES.TRANSPOSE, (1, 1, 3, 4), (1, 3, 1, 4), schema.TransposeOptionsT(),
               [np.array([0, 2, 1, 3], np.int32)])  # fmt: skip
    assert [op.kind for op in check(data).ops] == ["reshape"]


@QUICK
@given(data=st.data())
def test_strided_slice_with_masks(data):
    shape, places, output = (1, 4, 5, 3), [], []
    masks = [data.draw(st.integers(0, 15)) & ~1 for _ in range(2)]
    shrink = data.draw(st.sampled_from([0, 0, 2, 4, 8, 6]))
    for axis, size in enumerate(shape):
        begin, end = (data.draw(st.integers(-size - 1, size + 1)) for _ in range(2))
        step = data.draw(st.sampled_from([1, 1, 2, -1, -2]))
        if axis == 0:
            begin, end, step = 0, 1, 1
        if shrink >> axis & 1:
            begin, end, step = begin % size, begin % size + 1, 1
        ends = [None if mask >> axis & 1 else value
                for mask, value in zip(masks, (begin, end), strict=True)]  # fmt: skip
        count = 1 if shrink >> axis & 1 else len(range(size)[slice(*ends, step)])
        places.append((begin, end, step))
        if not shrink >> axis & 1:
            output.append(count)
    if 0 in output:
        return
    options = schema.StridedSliceOptionsT(
        beginMask=masks[0], endMask=masks[1], shrinkAxisMask=shrink
    )
    extra = [np.array(part, np.int32) for part in zip(*places, strict=True)]
    check(one(CODES.STRIDED_SLICE, shape, output, options, extra))


def test_strided_slice_of_the_first_axes_alone():
    options = schema.StridedSliceOptionsT(beginMask=1, endMask=1)
    extra = [np.array(part, np.int32) for part in ((0, 1), (0, 3), (1, 1))]
    check(one(CODES.STRIDED_SLICE, (1, 4, 5, 3), (1, 2, 5, 3), options, extra))


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
@pytest.mark.parametrize("sizes", [None, (1, 3, 2), (1, -1, 2)])
def test_split_makes_a_slice_an_output(axis, sizes):
    maker, shape = FileMaker(), (1, 6, 6, 6)
    a = maker.tensor(shape)
    position = maker.constant(np.int32(axis))
    parts = []
    for size in sizes or (3, 3):
        part = list(shape)
        part[axis] = 3 if size == -1 else size
        parts.append(maker.tensor(part))
    if sizes is None:
        maker.op(CODES.SPLIT, [position, a], parts, schema.SplitOptionsT(numSplits=2))
    else:
        inputs = [a, maker.integers(*sizes), position]
        maker.op(CODES.SPLIT_V, inputs, parts, schema.SplitVOptionsT(numSplits=3))
    assert {op.kind for op in check(maker.file([a], parts)).ops} == {"slice"}


@pytest.mark.parametrize("size", [(1, 2, 2, 3), (1, -1, 2, -1)])
def test_slice(size):
    extra = [np.array([0, 2, 1, 0], np.int32), np.array(size, np.int32)]
    check(one(CODES.SLICE, (1, 4, 4, 3), (1, 2, 2, 3), schema.SliceOptionsT(), extra))


@pytest.mark.parametrize("axis", [1, 2, 3, -3])
def test_concatenation_with_a_constant(axis):
    maker = FileMaker()
    a, b = maker.tensor((1, 2, 3, 4)), maker.tensor((1, 2, 3, 4))
    fixed = maker.constant(np.arange(24, dtype=np.int8).reshape(1, 2, 3, 4), 0.5)
    shape = [1, 2, 3, 4]
    shape[axis] *= 3
    out = maker.tensor(shape)
    maker.op(CODES.CONCATENATION, [a, fixed, b], [out], schema.ConcatenationOptionsT(axis=axis))
    check(maker.file([a, b], [out]))


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("value", [None, 9])
def test_pad(dtype, value):
    extra = [np.array([[0, 0], [1, 0], [0, 2], [1, 1]], dtype)]
    extra += [] if value is None else [(np.array([value], np.int8), 0.5, 3)]
    code = CODES.PAD if value is None else CODES.PADV2
    side = {"scale": 0.5, "zero": 3}
    graph = check(one(code, (1, 2, 3, 4), (1, 3, 5, 6), None, extra, side, side))
    assert graph.ops[0].options.value == (3 if value is None else 9)


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("centres", [False, True])
def test_resize_nearest_neighbor(corners, centres):
    if corners and centres:
        return
    options = schema.ResizeNearestNeighborOptionsT(alignCorners=corners, halfPixelCenters=centres)
    extra = [np.array([7, 4], np.int32)]
    check(one(CODES.RESIZE_NEAREST_NEIGHBOR, (1, 3, 5, 2), (1, 7, 4, 2), options, extra))


@pytest.mark.parametrize(
    ("code", "output", "extra"),
    [
        (CODES.RESHAPE, (1, 24), [np.array([1, -1], np.int32)]),
        (CODES.RESHAPE, (1, 4, 6, 1), [np.array([1, 4, 6, 1], np.int32)]),
        (CODES.SQUEEZE, (2, 3, 4), []),
        (CODES.EXPAND_DIMS, (1, 1, 2, 3, 4), [np.int32(0)]),
    ],
)
def test_new_shapes(code, output, extra):
    options = schema.ReshapeOptionsT() if code == CODES.RESHAPE else None
    graph = check(one(code, (1, 2, 3, 4), output, options, extra))
    assert [op.kind for op in graph.ops] == ["reshape"]


@pytest.mark.parametrize(
    ("code", "options"),
    [
        (CODES.SOFTMAX, schema.SoftmaxOptionsT(beta=0.5)), (CODES.LOGISTIC, None),
        (CODES.HARD_SWISH, schema.HardSwishOptionsT()), (CODES.RELU, None),
        (CODES.RELU6, None), (CODES.RELU_N1_TO_1, None), (CODES.QUANTIZE, None),
    ],
)  # fmt: skip
def test_functions_of_one_value(code, options):
    target = {"scale": 1 / 256, "zero": -128} if code in (CODES.SOFTMAX, CODES.LOGISTIC) else {}
    source = {"scale": 0.07, "zero": -11}
    check(one(code, (1, 3, 4, 5), (1, 3, 4, 5), options, (), source, {"scale": 0.06} | target))


def test_dequantize_at_the_border():
    maker = FileMaker()
    a, out = maker.tensor((1, 3), name="a"), maker.tensor((1, 3))
    real = maker.tensor((1, 3), TYPES.FLOAT32, None)
    maker.op(CODES.RELU, [a], [out])
    maker.op(CODES.DEQUANTIZE, [out], [real])
    data = maker.file([a], [real])
    x = np.array([[[-5, 0, 9]]], np.int8)
    (theirs,) = oracles.litert(data, [x])
    np.testing.assert_array_equal(run(parse_tflite(data, "x"), x).ravel() * 0.5, theirs.ravel())


def test_every_operator_of_the_table_is_held_against_tflite():
    source = Path(__file__).read_text(encoding="utf-8")
    names = {code: name for name, code in vars(CODES).items() if isinstance(code, int)}
    assert [names[code] for code in OPERATORS if f"CODES.{names[code]}" not in source] == []
