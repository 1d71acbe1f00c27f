"""Files whose parts do not fit each other: a GraphError that says which."""

import numpy as np
import pytest
from file_maker import CODES, TYPES, FileMaker, conv, one, schema

from engine.errors import GraphError, UnsupportedError
from engine.load.tflite import parse_tflite

SHAPE = (1, 4, 4, 2)


def refuse(data, sentence, error=GraphError):
    with pytest.raises(error, match=sentence):
        parse_tflite(data, "net")


def relu():
    """A maker of a sound file of one operator, and its two tensors."""
    maker = FileMaker()
    a, out = maker.tensor(SHAPE, name="in"), maker.tensor(SHAPE, name="out")
    maker.op(CODES.RELU, [a], [out])
    return maker, a, out


def test_an_input_that_is_no_tensor():
    maker, _a, out = relu()
    refuse(maker.file([-1], [out]), "the network has tensor -1 as input or output")


def test_a_file_without_networks():
    maker, a, out = relu()
    refuse(maker.file([a], [out], subgraphs=0), "the file has no network")


def test_an_operator_code_that_is_not_there():
    maker, a, out = relu()
    maker.operators[0].opcodeIndex = 5
    refuse(maker.file([a], [out]), "operator 0 has code 5, which is not there")


def test_a_buffer_that_is_not_there():
    maker, a, out = relu()
    maker.tensors[a].buffer = 9
    refuse(maker.file([a], [out]), "tensor 0 'in' has buffer 9, the file has 1")


def test_data_behind_the_end_of_the_file():
    maker, a, out = relu()
    maker.buffers[0].offset = 4096
    refuse(maker.file([a], [out]), "has its data behind the file's end", UnsupportedError)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (TYPES.UINT8, TYPES.UINT8), (TYPES.INT16, TYPES.INT8), (TYPES.INT8, TYPES.INT16),
        (TYPES.FLOAT32, TYPES.UINT8), (TYPES.FLOAT16, TYPES.INT8),
    ],
)  # fmt: skip
def test_quantize_between_other_types(source, target):
    data = one(CODES.QUANTIZE, SHAPE, SHAPE, None, (), {"dtype": source}, {"dtype": target})
    refuse(data, "operator 0 QUANTIZE 'out': it goes from .* to .*; supported: ", UnsupportedError)


def test_weights_without_values_and_biases_of_another_size():
    options, extra = conv(np.ones((3, 1, 1, 2)))
    output = (1, 4, 4, 3)
    refuse(one(CODES.CONV_2D, SHAPE, output, options, [extra[0], np.ones(4, np.int32)]),
           "bias 't2' has 4 values for 3 channels")  # fmt: skip
    maker = FileMaker()
    a, out = maker.tensor(SHAPE), maker.tensor(output)
    w, b = maker.constant(*extra[0]), maker.tensor((3,), TYPES.INT32, name="b")
    maker.op(CODES.CONV_2D, [a, w, b], [out], options)
    refuse(maker.file([a], [out]), "tensor 'b' is not a constant", UnsupportedError)
    maker.operators[0].inputs = [a, w, -1]
    maker.tensors[w].shape = [3, 1, 1, 1]
    refuse(maker.file([a], [out]), r"tensor 't2' of shape \(3, 1, 1, 1\) has 6 bytes of data")


def moved(code, output, *vectors, options=None):
    """A file of an operator with int32 vectors beside its input."""
    return one(code, SHAPE, output, options, [np.array(vector, np.int32) for vector in vectors])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (moved(CODES.TRANSPOSE, (1, 4, 4, 2), (0, 1, 3, 2)), "makes another shape than the file"),
        (moved(CODES.STRIDED_SLICE, (1, 4, 2), (0, 9, 0, 0), SHAPE, (1,) * 4,
               options=schema.StridedSliceOptionsT(shrinkAxisMask=2)), "takes element 9 of 4"),
        (moved(CODES.STRIDED_SLICE, SHAPE, (0,) * 5, (1,) * 5, (1,) * 5,
               options=schema.StridedSliceOptionsT()), "begins, ends and strides"),
        (moved(CODES.STRIDED_SLICE, (1, 2, 2, 2), (0,) * 4, (1, 3, 4, 2), (1,) * 4,
               options=schema.StridedSliceOptionsT()), r"makes \(3, 4, 2\), but the file says"),
        (moved(CODES.SLICE, SHAPE, (0, 0, 0), SHAPE), "takes .* from .* in shape"),
        (moved(CODES.SPLIT_V, SHAPE, (1, 2), (3,)), r"splits 2 into \[1, 2\]"),
        (moved(CODES.SPLIT_V, SHAPE, (2,), (3, 3)), r"splits along axes \[3, 3\]"),
    ],
)  # fmt: skip
def test_moves(data, sentence):
    refuse(data, f"operator 0 .* 'out': it {sentence}")


def test_a_split_into_parts_that_are_not_equal():
    maker = FileMaker()
    a, parts = maker.tensor(SHAPE), [maker.tensor((1, 4, 1, 2)) for _ in range(3)]
    options = schema.SplitOptionsT(numSplits=3)
    maker.op(CODES.SPLIT, [maker.constant(np.int32(2)), a], parts, options)
    refuse(maker.file([a], parts), "operator 0 SPLIT 't1': it splits 4 into 3 equal parts")
