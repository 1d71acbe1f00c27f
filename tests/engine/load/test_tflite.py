"""What a whole file becomes: names, interface, what is left out."""

import numpy as np
import pytest
from file_maker import CODES, TYPES, FileMaker, one, schema

from engine.errors import GraphError, UnsupportedError
from engine.graph import Quant
from engine.load.limits import MAX_FILE_BYTES
from engine.load.tflite import load_tflite, parse_tflite

SHAPE = (1, 2, 3, 4)


def chain(maker, *types, scales=None):
    """Tensors of those types with QUANTIZE or DEQUANTIZE between each two; their indices."""
    parts = [
        maker.tensor(SHAPE, kind, None if kind == TYPES.FLOAT32 else scale, zero, name=f"n{place}")
        for place, (kind, scale, zero) in enumerate(zip(
            types, scales or [0.5] * len(types),
            [128 if kind == TYPES.UINT8 else 0 for kind in types], strict=True,
        ))
    ]  # fmt: skip
    for source, target, kind in zip(parts, parts[1:], types[1:], strict=False):
        to_real = kind == TYPES.FLOAT32
        maker.op(CODES.DEQUANTIZE if to_real else CODES.QUANTIZE, [source], [target])
    return parts


def test_a_graph_is_named_after_its_file(tmp_path):
    path = tmp_path / "person.tflite"
    path.write_bytes(one(CODES.RELU, SHAPE, SHAPE))
    assert load_tflite(path).name == "person"


def test_a_missing_file_is_one_sentence_that_names_it(tmp_path):
    with pytest.raises(GraphError, match=r"gone\.tflite cannot be read: No such file"):
        load_tflite(tmp_path / "gone.tflite")


def test_a_file_above_the_limit_is_not_read_whole(tmp_path):
    path = tmp_path / "large.tflite"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 2)
    with pytest.raises(GraphError, match=f"the file has {MAX_FILE_BYTES + 1} bytes, over"):
        load_tflite(path)


def test_float_inputs_and_outputs_become_the_int8_tensors_beside_them():
    maker = FileMaker()
    parts = chain(maker, TYPES.FLOAT32, TYPES.INT8, TYPES.INT8, TYPES.FLOAT32,
                  scales=[0, 0.5, 0.25, 0])  # fmt: skip
    graph = parse_tflite(maker.file(parts[:1], parts[-1:]), "x")
    assert (graph.inputs, graph.outputs) == (("n0",), ("n2",))
    assert [op.kind for op in graph.ops] == ["requantize"]
    assert graph.tensor("n0").quant == Quant(0.5, 0)


def test_uint8_inputs_and_outputs_are_the_int8_tensors_128_below():
    maker = FileMaker()
    parts = chain(maker, TYPES.UINT8, TYPES.INT8, TYPES.INT8, TYPES.UINT8,
                  scales=[0.5, 0.5, 0.25, 0.25])  # fmt: skip
    graph = parse_tflite(maker.file(parts[:1], parts[-1:]), "x")
    assert [op.kind for op in graph.ops] == ["requantize"]
    assert graph.tensor("n0").quant == Quant(0.5, 0)
    assert graph.tensor("n2").quant == Quant(0.25, 0)


def test_uint8_of_another_scale_is_requantised():
    maker = FileMaker()
    parts = chain(maker, TYPES.UINT8, TYPES.INT8, TYPES.UINT8, scales=[0.5, 0.25, 0.125])
    graph = parse_tflite(maker.file(parts[:1], parts[-1:]), "x")
    assert [op.kind for op in graph.ops] == ["requantize", "requantize"]
    assert [tensor.quant.scale for tensor in graph.tensors] == [0.5, 0.25, 0.125]


def test_one_float_input_may_be_quantised_twice_alike_but_not_in_two_ways():
    for scale, fits in ((0.5, True), (0.25, False)):
        maker = FileMaker()
        real = maker.tensor(SHAPE, TYPES.FLOAT32, None, name="real")
        a, b = maker.tensor(SHAPE, scale=0.5), maker.tensor(SHAPE, scale=scale)
        maker.op(CODES.QUANTIZE, [real], [a])
        maker.op(CODES.QUANTIZE, [real], [b])
        total = maker.tensor(SHAPE)
        maker.op(CODES.ADD, [a, b], [total], schema.AddOptionsT())
        data = maker.file([real], [total])
        if fits:
            assert parse_tflite(data, "x").ops[0].inputs == ("real", "real")
        else:
            with pytest.raises(UnsupportedError, match="'real' is quantised in two ways"):
                parse_tflite(data, "x")


def test_several_inputs_and_outputs_keep_the_order_of_the_file():
    maker = FileMaker()
    a, b = (maker.tensor(SHAPE, name=name) for name in "ab")
    total, less = (maker.tensor(SHAPE, name=name) for name in ("total", "less"))
    maker.op(CODES.ADD, [a, b], [total], schema.AddOptionsT())
    maker.op(CODES.SUB, [total, a], [less], schema.SubOptionsT())
    graph = parse_tflite(maker.file([b, a], [less, total]), "x")
    assert (graph.inputs, graph.outputs) == (("b", "a"), ("less", "total"))


def test_what_no_output_needs_is_left_out():
    maker = FileMaker()
    a, out = maker.tensor(SHAPE, name="a"), maker.tensor(SHAPE, name="out")
    unused, fixed = maker.tensor(SHAPE), maker.constant(np.ones((1,), np.int8), 0.5)
    maker.op(CODES.ADD, [a, fixed], [unused], schema.AddOptionsT())
    maker.op(CODES.RELU, [a], [out])
    maker.tensor((7, 7, 7, 7), TYPES.INT16, name="nobody's")
    graph = parse_tflite(maker.file([a], [out]), "x")
    assert [op.name for op in graph.ops] == ["relu_1"]
    assert [tensor.name for tensor in graph.tensors] == ["a", "out"]
    assert not graph.constants


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (("", ""), ("tensor_0", "tensor_1")),
        (("x", "x"), ("x", "x_1")),
        (("a\nb\0", "\u20ac"), ("a_b_", "\u20ac")),
        (("y" * 500, "z"), ("y" * 200, "z")),
    ],
)
def test_names_become_printable_short_and_unique(given, names):
    data = one(CODES.RELU, SHAPE, SHAPE, source={"name": given[0]}, target={"name": given[1]})
    assert tuple(tensor.name for tensor in parse_tflite(data, "x").tensors) == names


def test_a_name_that_is_no_text_is_read_all_the_same():
    data = one(CODES.RELU, SHAPE, SHAPE, source={"name": "abcd"}).replace(b"abcd", b"a\xff\xfed")
    assert parse_tflite(data, "x").input == "a\ufffd\ufffdd"


def test_a_dimension_of_scales_on_a_tensor_of_one_scale_is_ignored():
    maker = FileMaker()
    a, out = maker.tensor(SHAPE, name="a"), maker.tensor(SHAPE)
    maker.tensors[a].quantization.quantizedDimension = 3
    maker.op(CODES.RELU, [a], [out])
    assert parse_tflite(maker.file([a], [out]), "x").tensor("a").quant == Quant(0.5, 0)


@pytest.mark.parametrize(
    ("shape", "seen"),
    [
        ((), (1, 1, 1)), ((5,), (1, 1, 5)), ((1, 5), (1, 1, 5)), ((1, 4, 5), (1, 4, 5)),
        ((3, 4, 5), (3, 4, 5)), ((1, 3, 4, 5), (3, 4, 5)), ((1, 1, 3, 4, 5), (3, 4, 5)),
    ],
)  # fmt: skip
def test_shapes_of_any_rank_are_seen_as_height_width_and_channels(shape, seen):
    assert parse_tflite(one(CODES.RELU, shape, shape), "x").tensors[0].shape == seen
