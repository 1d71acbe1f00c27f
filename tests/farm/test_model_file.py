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
