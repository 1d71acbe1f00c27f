"""What is refused: in one sentence with the operator, its index and what is supported."""

import numpy as np
import pytest
from file_maker import CODES, SAME, TYPES, FileMaker, conv, one, schema

from engine.errors import GraphError, UnsupportedError
from engine.load.tflite import parse_tflite

SHAPE = (1, 4, 4, 2)
WEIGHTS = np.ones((3, 1, 1, 2), np.int8)
OUT = (1, 4, 4, 3)


def convolution(weights=WEIGHTS, source=None, target=None, shape=SHAPE, output=OUT, **settings):
    """A CONV_2D of those weights and settings."""
    options, extra = conv(weights, **settings)
    return one(CODES.CONV_2D, shape, output, options, extra, source, target)


def dense(weights, shape, output, **parameters):
    """A FULLY_CONNECTED of those weights; parameters: its options."""
    options = schema.FullyConnectedOptionsT(**parameters)
    return one(CODES.FULLY_CONNECTED, shape, output, options, [weights])


def reshaped(code, output, *vectors, options=None, shape=SHAPE, target=None):
    """An operator with constant int32 vectors beside its input."""
    extra = [np.array(vector, np.int32) for vector in vectors]
    return one(code, shape, output, options, extra, target=target)


def changed(data_of, change):
    """A file of one RELU whose parts `change` has spoiled."""
    maker = FileMaker()
    a, out = maker.tensor(SHAPE, name="in"), maker.tensor(SHAPE, name="out")
    maker.op(CODES.RELU, [a], [out])
    change(maker)
    return data_of(maker, a, out)


def whole(maker, a, out):
    return maker.file([a], [out])


def refuse(data, error, sentence):
    with pytest.raises(error) as refusal:
        parse_tflite(data, "net")
    assert str(refusal.value).startswith(f"net: {sentence}")
    assert "\n" not in str(refusal.value)


BY_TYPE = [
    (TYPES.INT16, "int16"), (TYPES.INT4, "int4"), (TYPES.UINT8, "uint8"),
    (TYPES.FLOAT32, "float32"), (TYPES.FLOAT16, "float16"),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "name"), BY_TYPE)
def test_other_types_of_activations(dtype, name):
    data = one(CODES.RELU, SHAPE, SHAPE, source={"dtype": dtype})
    refuse(data, UnsupportedError, f"operator 0 RELU 'out': tensor 'in' is {name}; supported: int8")


def test_float_between_two_operators():
    maker = FileMaker()
    a, real, out = (maker.tensor(SHAPE, name=n) for n in ("a", "real", "out"))
    maker.tensors[real].type = TYPES.FLOAT32
    maker.op(CODES.DEQUANTIZE, [a], [real])
    maker.op(CODES.QUANTIZE, [real], [out])
    refuse(
        maker.file([a], [out]), UnsupportedError,
        "operator 0 DEQUANTIZE 'real': it goes from int8 to float32; supported: int8 to int8, ",
    )  # fmt: skip


def test_a_float_output_that_nothing_dequantizes():
    maker = FileMaker()
    a, out = maker.tensor(SHAPE, name="a"), maker.tensor(SHAPE)
    real = maker.tensor(SHAPE, TYPES.FLOAT32, None, name="real")
    maker.op(CODES.RELU, [a], [out])
    refuse(maker.file([a], [real]), UnsupportedError,
           "output 'real' is float32 and no operator joins it to an int8 tensor")  # fmt: skip


@pytest.mark.parametrize(
    ("data", "error", "sentence"),
    [
        (convolution(scale=[0.1, 0.2]), GraphError, "weights 't1' have 2 scales and 2 zero points"),
        (convolution(scale=[0.1] * 3, axis=3), UnsupportedError,
         "weights 't1' have scales along axis 3; supported: one, or one an output channel"),
        (convolution(np.ones((3, 1, 1, 1))), UnsupportedError,
         "its weights (3, 1, 1, 1) take 1 channels of 2; supported: all of them (no groups)"),
        (convolution(stride=0), GraphError, "it has stride (0, 0) and a kernel that spans (1, 1)"),
        (convolution(dilation=0), GraphError, "it has dilation (0, 0)"),
        (convolution(padding=7), UnsupportedError, "padding 7; supported: SAME and VALID"),
        (convolution(fused=4), UnsupportedError, "fused activation 4; supported: none, RELU,"),
        (convolution(fused=3, target={"scale": 1e-30}), UnsupportedError,
         "scale 1.0000000031710769e-30 is too small for an activation that ends at 6.0; supported"),
        (convolution(shape=(4, 4, 2)), UnsupportedError,
         "its input has shape (4, 4, 2); supported: 4 axes"),
        (convolution(output=(1, 4, 4, 4)), GraphError,
         "it makes (4, 4, 3), but the file says (4, 4, 4)"),
        (convolution(output=(1, 8, 2, 3)), GraphError,
         "it makes (4, 4, 3), but the file says (8, 2, 3)"),
        (convolution(target={"scale": [0.1, 0.2]}), UnsupportedError,
         "tensor 'out' has 2 scales and 2 zero points; supported: one of each"),
        (convolution(target={"zero": 200}), GraphError, "zero point is 200, not an integer of"),
        (convolution(target={"scale": float("nan")}), GraphError, "quantisation scale nan is not"),
        (convolution(target={"isVariable": True}), UnsupportedError,
         "tensor 'out' is a variable; supported: dense tensors of fixed shape"),
        (convolution(target={"sparsity": schema.SparsityParametersT()}), UnsupportedError,
         "tensor 'out' is sparse; supported"),
        (convolution(target={"shapeSignature": [-1, -1, 4, 3]}), UnsupportedError,
         "tensor 'out' has a dynamic shape; supported"),
    ],
)  # fmt: skip
def test_convolutions(data, error, sentence):
    refuse(data, error, f"operator 0 CONV_2D 'out': {sentence}")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"shape": (2, 4, 4, 2)}, "tensor 'in' has a batch of 2; supported: batch 1"),
        ({"shape": (2, 1, 4, 4, 2)}, "tensor 'in' has shape (2, 1, 4, 4, 2); supported: batch 1"),
        ({"source": {"scale": None}}, "tensor 'in' has 0 scales and 0 zero points; supported: one"),
        ({"source": {"scale": [1, 2]}}, "tensor 'in' has 2 scales and 2 zero points; supported"),
    ],
)
def test_inputs_of_the_network(settings, sentence):
    refuse(convolution(**settings), UnsupportedError, sentence)


def test_weights_and_biases():
    row = schema.Conv2DOptionsT(
        padding=SAME, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1
    )
    for extra, sentence in [
        ([(WEIGHTS, 0.1, 3)], "weights 't1' have zero points other than 0; supported: symmetric"),
        ([np.ones((3, 1, 1, 2), np.float32)], "weights 't1' are float32 of shape (3, 1, 1, 2)"),
        ([(WEIGHTS[0], 0.1)], "weights 't1' are int8 of shape (1, 1, 2); supported: a constant"),
        ([(WEIGHTS, 0.1), np.ones(3, np.int64)], "bias 't2' is int64; supported: int32"),
        ([(WEIGHTS, 0.1), (np.ones(3, np.int32), 0.1, 9)], "bias 't2' is int32 with a zero point"),
    ]:  # fmt: skip
        data = one(CODES.CONV_2D, SHAPE, OUT, row, extra)
        refuse(data, UnsupportedError, f"operator 0 CONV_2D 'out': {sentence}")


def test_weights_that_another_operator_makes():
    maker = FileMaker()
    a, w, out = maker.tensor((1, 2)), maker.tensor((3, 2), name="w"), maker.tensor((1, 3))
    maker.op(CODES.FULLY_CONNECTED, [a, w, -1], [out], schema.FullyConnectedOptionsT())
    refuse(maker.file([a, w], [out]), UnsupportedError, "operator 0 FULLY_CONNECTED 't2': "
           "weights 'w' are int8 of shape (3, 2), no constant; supported: a const")  # fmt: skip


def test_depthwise_weights_that_do_not_fit():
    options = schema.DepthwiseConv2DOptionsT(
        padding=SAME, strideH=1, strideW=1, depthMultiplier=3, dilationHFactor=1, dilationWFactor=1
    )
    extra = [(np.ones((1, 1, 1, 4), np.int8), 0.5)]
    data = one(CODES.DEPTHWISE_CONV_2D, SHAPE, (1, 4, 4, 4), options, extra)
    refuse(data, GraphError, "operator 0 DEPTHWISE_CONV_2D 'out': its weights (1, 1, 1, 4) and "
           "multiplier 3 do not fit 2 channels")  # fmt: skip


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (dense((np.ones((3, 4), np.int8), 0.5), (5, 4), (5, 3)),
         "it has 5 rows for weights (3, 4); supported: one row of 4"),
        (dense((np.ones((3, 4), np.int8), 0.5), (1, 7), (1, 3)),
         "it has 7 inputs for weights (3, 4); supported: one row of 4"),
        (dense((np.ones((3, 4), np.int8), 0.5), (1, 4), (1, 3), weightsFormat=1),
         "its weights are shuffled; supported: the default format"),
    ],
)  # fmt: skip
def test_fully_connected(data, sentence):
    refuse(data, UnsupportedError, f"operator 0 FULLY_CONNECTED 'out': {sentence}")


@pytest.mark.parametrize(
    ("data", "error", "sentence"),
    [
        (one(CODES.SOFTMAX, SHAPE, SHAPE, schema.SoftmaxOptionsT(beta=1.0)), UnsupportedError,
         "SOFTMAX 'out': its output has scale 0.5 and zero point 0; supported: 1/256 and -128"),
        (one(CODES.LOGISTIC, SHAPE, SHAPE, target={"scale": 1 / 256}), UnsupportedError,
         "LOGISTIC 'out': its output has scale 0.00390625 and zero point 0; supported: 1/256"),
        (one(CODES.CONCATENATION, SHAPE, SHAPE, schema.ConcatenationOptionsT(axis=3),
             [(np.ones(SHAPE, np.int8), 0.5)] * 64), GraphError,
         "CONCATENATION 'out': operator 'concat_0' (concat) has 65 inputs, needs 1..64"),
        (one(CODES.ADD, SHAPE, SHAPE, schema.AddOptionsT(), [(np.ones(SHAPE, np.int8), 0.5)],
             target={"scale": 1e-9}), GraphError,
         "ADD 'out': operator 'add_0': a sum cannot go to the output scale"),
        (one(CODES.SOFTMAX, SHAPE, SHAPE, schema.SoftmaxOptionsT(beta=0.0),
             target={"scale": 1 / 256, "zero": -128}), GraphError, "SOFTMAX 'out': softmax beta"),
        (one(CODES.RESHAPE, SHAPE, (1, 32), target={"scale": 0.25}), UnsupportedError,
         "RESHAPE 'out': 'in' has scale 0.5 and zero point 0, 'out' scale 0.25 and"),
        (one(CODES.RESHAPE, SHAPE, (1, 33)), GraphError, "RESHAPE 'out': operator 'reshape_0' "),
        (reshaped(CODES.RESHAPE, (1, 32), (4, 8)), GraphError,
         "RESHAPE 'out': it reshapes to [4, 8], but the file says (1, 32)"),
        (reshaped(CODES.MEAN, SHAPE, (0,)), UnsupportedError,
         "MEAN 'out': it is a mean over the batch; supported: over height, width, channels"),
        (reshaped(CODES.MEAN, SHAPE, (4,)), GraphError, "MEAN 'out': axis 4 is not one of the"),
        (reshaped(CODES.TRANSPOSE, SHAPE, (0, 0, 1, 2)), GraphError,
         "TRANSPOSE 'out': its order [0, 0, 1, 2] is none of 4 axes"),
        (reshaped(CODES.PAD, SHAPE, [[0, 0], [0, 0]]), GraphError,
         "PAD 'out': its paddings are [[0, 0], [0, 0]] for 4 axes"),
        (reshaped(CODES.PAD, SHAPE, [[0, 0], [-1, 0], [0, 0], [0, 0]]), GraphError, "PAD 'out'"),
        (reshaped(CODES.PAD, SHAPE, [[1, 0], [0, 0], [0, 0], [0, 0]]), UnsupportedError,
         "PAD 'out': it pads the batch; supported: height, width and channels"),
        (one(CODES.PADV2, SHAPE, SHAPE, None,
             [np.zeros((4, 2), np.int32), (np.array([1], np.int8), 0.25)]), UnsupportedError,
         "PADV2 'out': it pads with 't2', int8 of shape (1,); supported: one int8 constant of"),
        (reshaped(CODES.RESIZE_NEAREST_NEIGHBOR, SHAPE, (4, 5),
                  options=schema.ResizeNearestNeighborOptionsT()), GraphError,
         "RESIZE_NEAREST_NEIGHBOR 'out': it resizes to [4, 5], but the file says (4, 4)"),
        (reshaped(CODES.CONCATENATION, (1, 4, 4, 2), options=schema.ConcatenationOptionsT(axis=0)),
         UnsupportedError, "CONCATENATION 'out': it joins batches; supported: along height"),
        (reshaped(CODES.CONCATENATION, SHAPE, options=schema.ConcatenationOptionsT(
            axis=3, fusedActivationFunction=1)), UnsupportedError,
         "CONCATENATION 'out': it has a fused activation; supported: none"),
        (reshaped(CODES.STRIDED_SLICE, SHAPE, *[(0,) * 4, SHAPE, (1,) * 4],
                  options=schema.StridedSliceOptionsT(ellipsisMask=1)), UnsupportedError,
         "STRIDED_SLICE 'out': it has EllipsisMask 1; supported: 0"),
        (reshaped(CODES.STRIDED_SLICE, SHAPE, *[(0,) * 4, SHAPE, (0,) * 4],
                  options=schema.StridedSliceOptionsT()), GraphError, "STRIDED_SLICE 'out': it be"),
        (reshaped(CODES.STRIDED_SLICE, SHAPE, *[(0, 2, 0, 0), (1, 2, 4, 2), (1,) * 4],
                  options=schema.StridedSliceOptionsT()), GraphError, "STRIDED_SLICE 'out': it ta"),
        (reshaped(CODES.SLICE, SHAPE, (0, 2, 0, 0), SHAPE), GraphError,
         "SLICE 'out': it takes 4 from 2 of 4"),
        (one(CODES.MEAN, SHAPE, SHAPE, None, [np.ones(129, np.int32)]), UnsupportedError,
         "MEAN 'out': input 't1' is int32 of shape (129,); supported: int32 or int64, at most 128"),
        (one(CODES.ADD, SHAPE, SHAPE), GraphError, "ADD has no AddOptions"),
        (one(CODES.RELU, SHAPE, SHAPE, version=4), UnsupportedError,
         "RELU 'out' has version 4; supported: up to 3"),
        (one(CODES.WHILE, SHAPE, SHAPE), UnsupportedError, "WHILE 'out' is not supported; "),
        (one(CODES.CUSTOM, SHAPE, SHAPE, custom=b"Mine"), UnsupportedError,
         "CUSTOM 'Mine': custom operators are not supported, only TFLite's own"),
    ],
)  # fmt: skip
def test_operators(data, error, sentence):
    refuse(data, error, f"operator 0 {sentence}")


def test_operands_that_are_constants():
    maker = FileMaker()
    a, out, end = maker.tensor(SHAPE), maker.tensor(SHAPE), maker.tensor(SHAPE)
    fixed = maker.constant(np.ones(SHAPE, np.int8), 0.5)
    maker.op(CODES.RELU, [fixed], [out])
    maker.op(CODES.ADD, [a, out], [end], schema.AddOptionsT())
    refuse(maker.file([a], [end]), UnsupportedError,
           "operator 0 RELU 't1': input 't3' is a constant; supported: ")  # fmt: skip
    maker.operators[0] = maker.operators[1]
    maker.operators[1].inputs = [fixed, fixed]
    refuse(maker.file([a], [end]), UnsupportedError,
           "operator 0 ADD 't2': both operands are constants; supported: one")  # fmt: skip


def test_settings_that_are_computed():
    maker = FileMaker()
    a, axes = maker.tensor(SHAPE), maker.tensor((2,), TYPES.INT32, name="axes")
    out = maker.tensor((1, 2))
    maker.op(CODES.MEAN, [a, axes], [out])
    refuse(maker.file([a], [out]), UnsupportedError,
           "operator 0 MEAN 't2': input 'axes' is no constant; supported: constants")  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "error", "sentence"),
    [
        (lambda m: m.operators[0].inputs.clear(), GraphError,
         "operator 0 RELU 'out': it has no input 0"),
        (lambda m: m.operators[0].outputs.clear(), GraphError,
         "operator 0 RELU: it has no output 0"),
        (lambda m: m.op(CODES.RELU, [0], [1]), GraphError,
         "operator 1 RELU 'out': it writes 'out': an input, a constant or made before"),
        (lambda m: m.op(CODES.RELU, [1], [0]), GraphError, "operator 1 RELU 'in': it writes 'in'"),
        (lambda m: m.op(CODES.RELU, [m.tensor(SHAPE, name="later")], [m.tensor(SHAPE)]),
         GraphError, "operator 1 RELU 't3': it reads 'later', which nothing made before it"),
        (lambda m: m.op(CODES.RELU, [9], [1]), GraphError, "the network uses tensors 0..9"),
        (lambda m: m.operators.clear(), UnsupportedError, "output 'out' is int8 and no operator"),
    ],
)  # fmt: skip
def test_networks_that_contradict_themselves(spoil, error, sentence):
    refuse(changed(whole, spoil), error, sentence)


def test_an_input_that_nobody_reads():
    data = changed(lambda m, a, out: m.file([a, m.tensor(SHAPE, name="idle")], [out]), lambda _m: 0)
    refuse(data, GraphError, "the network never reads its input 'idle'")


def test_several_subgraphs_and_other_schemas():
    make = FileMaker()
    a, out = make.tensor(SHAPE), make.tensor(SHAPE)
    make.op(CODES.RELU, [a], [out])
    refuse(make.file([a], [out], subgraphs=2), UnsupportedError,
           "the file has 2 subgraphs; supported: one network, without control flow")  # fmt: skip
    refuse(make.file([a], [out], version=2), GraphError, "the file has schema version 2, not 3")
