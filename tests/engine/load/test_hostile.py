"""Files made to break a reader: each ends in one EngineError, soon, in little memory."""

import contextlib
import itertools
import struct
import time
import tracemalloc

import numpy as np
import pytest
import tflite
from file_maker import CODES, FileMaker, conv, one, schema

from engine.errors import EngineError, GraphError
from engine.load import limits
from engine.load.tflite import parse_tflite

SHAPE = (1, 2, 2, 1)
LIMIT_S = 5.0  # of CPU time; a tenth of it is usual


@pytest.fixture
def plain():
    """A sound file of one operator."""
    return bytearray(one(CODES.RELU, SHAPE, SHAPE))


def refused(data, sentence):
    """The error, which came soon."""
    start = time.process_time()
    with pytest.raises(GraphError, match=sentence) as refusal:
        parse_tflite(bytes(data), "net")
    assert time.process_time() - start < LIMIT_S
    return refusal.value


def length_of_tensors(data):
    """Where the file says how many tensors it has."""
    table = tflite.Model.GetRootAs(bytes(data), 0).Subgraphs(0)._tab
    return table.Vector(table.Offset(4)) - 4


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\0" * 7, b"\0" * 8, b"\0" * 4096, b"PK\3\4" * 9])
def test_what_is_no_tflite_file(data):
    refused(data, r"not a \.tflite file")


def test_every_prefix_of_a_file(plain):
    for length in range(len(plain)):
        with pytest.raises(EngineError):
            parse_tflite(bytes(plain[:length]), "net")


def test_a_root_that_points_outside(plain):
    for root in (len(plain), 0x7FFF_FFFF, 0xFFFF_FFFF):
        struct.pack_into("<I", plain, 0, root)
        refused(plain, "the file is damaged: an offset or a length in it leads outside")


def test_a_vector_that_claims_to_be_huge_is_not_allocated(plain):
    buffers = tflite.Model.GetRootAs(bytes(plain), 0)._tab
    at = buffers.Vector(buffers.Offset(6)) - 4  # how many operator codes, then how many operators
    graph = tflite.Model.GetRootAs(bytes(plain), 0).Subgraphs(0)._tab
    for place in (at, graph.Vector(graph.Offset(10)) - 4, length_of_tensors(plain)):
        data = plain.copy()
        struct.pack_into("<I", data, place, 1 << 31)
        tracemalloc.start()
        with contextlib.suppress(EngineError):
            parse_tflite(bytes(data), "net")
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak_bytes < 1 << 22


def test_an_operator_vector_that_claims_to_be_huge(plain):
    graph = tflite.Model.GetRootAs(bytes(plain), 0).Subgraphs(0)._tab
    struct.pack_into("<I", plain, graph.Vector(graph.Offset(10)) - 4, 1 << 31)
    refused(plain, f"the network has {1 << 31} operators, over {limits.MAX_OPERATORS}")


def test_a_shape_of_more_elements_than_the_file_has_bytes():
    maker = FileMaker()
    a, out = maker.tensor(SHAPE), maker.tensor(SHAPE)
    big = maker.constant(np.ones(4, np.int8), 0.5)
    maker.tensors[big].shape = [1 << 30, 1 << 30]
    maker.op(CODES.ADD, [a, big], [out], schema.AddOptionsT())
    refused(maker.file([a], [out]), "a dimension of tensor 't2' is 1073741824, not an integer")


def test_negative_sizes_whose_product_is_right():
    maker = FileMaker()
    a, out = maker.tensor(SHAPE), maker.tensor(SHAPE)
    axes = maker.constant(np.ones(4, np.int32))
    maker.tensors[axes].shape = [-2, -2]
    maker.op(CODES.MEAN, [a, axes], [out])
    refused(maker.file([a], [out]), r"tensor 't2' of shape \(-2, -2\) has 16 bytes of data")


def test_many_tensors_that_share_one_long_name():
    maker, count = FileMaker(), 40
    parts = [maker.tensor(SHAPE, name="n") for _ in range(count)]
    maker.tensors[0].name = "n" * 200_000
    for source, target in itertools.pairwise(parts):
        maker.op(CODES.RELU, [source], [target])
    data = bytearray(maker.file(parts[:1], parts[-1:]))
    graph = tflite.Model.GetRootAs(bytes(data), 0).Subgraphs(0)
    name_at = []
    for index in range(count):
        table = graph.Tensors(index)._tab
        place = table.Pos + table.Offset(10)
        name_at.append((place, place + struct.unpack_from("<I", data, place)[0]))
    longest = name_at[0][1]
    for place, _ in name_at:
        struct.pack_into("<I", data, place, (longest - place) & 0xFFFF_FFFF)
    refused(data, "the network has .* bytes of names, over|leads outside")


def test_many_operators_that_share_one_large_weight():
    maker, channels = FileMaker(), 60_000
    a = maker.tensor((1, 1, 1, 1))
    options, (weights, bias) = conv(np.ones((channels, 1, 1, 1)))
    w, b = maker.constant(*weights), maker.constant(bias)
    outs = [maker.tensor((1, 1, 1, channels)) for _ in range(20)]
    for out in outs:
        maker.op(CODES.CONV_2D, [a, w, b], [out], options)
    refused(maker.file([a], outs), r"operator 2 CONV_2D .*: the weights take .* so far, over")


def test_offsets_that_go_in_circles(plain):
    # every word becomes an offset to the root table
    for place in range(8, len(plain) - 3, 4):
        data = plain.copy()
        struct.pack_into("<I", data, place, (4 - place) & 0xFFFF_FFFF)
        with contextlib.suppress(EngineError):
            parse_tflite(bytes(data), "net")


def test_as_many_operators_and_operands_as_are_allowed():
    maker = FileMaker()
    a, outs = maker.tensor(SHAPE), []
    for _ in range(limits.MAX_OPERATORS):
        outs.append(maker.tensor((1, 2, 2, 64)))
        options = schema.ConcatenationOptionsT(axis=3)
        maker.op(CODES.CONCATENATION, [a] * 64, outs[-1:], options)
    data = maker.file([a], outs[:60])
    start = time.process_time()
    assert len(parse_tflite(data, "net").ops) == 60
    assert time.process_time() - start < LIMIT_S
    refused(maker.file([a] * 67, outs[:60]), "the network has 67 inputs, over 66")
