"""Inputs of a network on the command line: what a file may be, and what it becomes."""

import numpy as np
import pytest

from engine.graph import Graph, Op, Quant, Tensor
from farm.errors import InventoryError
from farm.model_file import expected_output, input_bytes, load_input


def two_inputs():
    tensors = (Tensor("a", (2, 2, 1), Quant(0.5, 1)), Tensor("b", (2, 2, 1), Quant(0.25, 0)),
               Tensor("c", (2, 2, 1), Quant(0.5, 0)))  # fmt: skip
    return Graph("two", tensors, (Op("add", "add", ("a", "b"), "c"),), ("a", "b"), ("c",))


def test_several_inputs_come_as_an_archive_by_name_quantised_where_they_are_float(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=np.full((2, 2, 1), 2.0, np.float32), b=np.full((2, 2, 1), 8, np.int8))
    inputs = load_input(two_inputs(), path, 0)
    assert input_bytes(two_inputs(), inputs) == bytes([5] * 4 + [8] * 4)
    assert expected_output(two_inputs(), inputs) == bytes([8] * 4)


GOOD = {"a": np.zeros((2, 2, 1), np.int8), "b": np.zeros((2, 2, 1), np.int8)}


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"a": GOOD["a"]}, "no array named 'b'"),
        (GOOD | {"b": np.zeros((1, 2, 1), np.int8)}, r"shape \(1, 2, 1\), .*as 'b'"),
        (GOOD | {"b": np.zeros((2, 2, 1), np.int32)}, "int32, not int8 or float32"),
        (GOOD | {"b": np.array([{}])}, r"not a \.npy or \.npz file"),
    ],
)
def test_archives_that_do_not_fit_are_refused(tmp_path, arrays, why):
    path = tmp_path / "x.npz"
    np.savez(path, **arrays)
    with pytest.raises(InventoryError, match=why):
        load_input(two_inputs(), path, 0)


def test_damaged_archives_and_single_arrays_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, **GOOD)
    path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(InventoryError, match=r"not a \.npy or \.npz"):
        load_input(two_inputs(), path, 0)
    np.save(tmp_path / "one.npy", GOOD["a"])
    with pytest.raises(InventoryError, match=r"takes a \.npz of a, b"):
        load_input(two_inputs(), tmp_path / "one.npy", 0)


@pytest.mark.parametrize("shape", [(3, 1), (1, 3, 1), (1, 1, 3, 1)])
def test_axes_of_one_at_the_front_may_be_there_or_not(tmp_path, shape):
    quant = Quant(0.5, 0)
    tensors = (Tensor("x", (1, 3, 1), quant), Tensor("y", (1, 3, 1), quant))
    graph = Graph("one", tensors, (Op("relu", "relu", ("x",), "y"),), ("x",), ("y",))
    np.save(tmp_path / "x.npy", np.arange(3, dtype=np.int8).reshape(shape))
    inputs = load_input(graph, tmp_path / "x.npy", 0)
    assert inputs["x"].shape == (1, 3, 1)
    assert input_bytes(graph, inputs) == bytes([0, 1, 2])


def test_what_is_wrong_in_a_file_is_said_with_its_name_and_without_advice_to_trust_it(tmp_path):
    np.savez(tmp_path / "nan.npz", a=np.full((2, 2, 1), np.nan, np.float32), b=GOOD["b"])
    with pytest.raises(InventoryError, match=r"nan\.npz: .*not numbers"):
        load_input(two_inputs(), tmp_path / "nan.npz", 0)
    (tmp_path / "text.npy").write_text("1, 2, 3")
    with pytest.raises(InventoryError, match=r"text\.npy: not a \.npy") as caught:
        load_input(two_inputs(), tmp_path / "text.npy", 0)
    assert "pickle" not in str(caught.value)


def test_an_archive_that_unpacks_to_too_much_is_refused_unread(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, a=np.zeros(17 << 20, np.int8))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InventoryError, match="unpacks to more than 16 MiB"):
        load_input(two_inputs(), path, 0)


def test_random_inputs_repeat_for_a_seed_and_differ_between_inputs():
    graph = two_inputs()
    inputs = load_input(graph, None, 1)
    assert input_bytes(graph, inputs) == input_bytes(graph, load_input(graph, None, 1))
    assert (inputs["a"] != inputs["b"]).any()
    assert (inputs["a"] != load_input(graph, None, 2)["a"]).any()


def test_an_array_that_claims_more_than_memory_holds_is_one_sentence(tmp_path):
    path = tmp_path / "huge.npy"
    with path.open("wb") as file:
        header = {"descr": "|i1", "fortran_order": False, "shape": (1 << 60,)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(InventoryError, match=r"huge\.npy: not a \.npy or \.npz file"):
        load_input(two_inputs(), path, 0)


def test_an_encrypted_member_is_one_sentence(tmp_path):
    path = tmp_path / "secret.npz"
    np.savez(path, **GOOD)
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\x01\x02")
    data[6] |= 1  # general purpose bit 0, in the member's own header and in the directory
    data[directory + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(InventoryError, match=r"secret\.npz: not a \.npy or \.npz file"):
        load_input(two_inputs(), path, 0)
