"""Networks by their file's suffix, as given and as rewritten."""

import pytest

from engine.errors import GraphError
from engine.graph import Graph, Op, Quant, Tensor
from engine.graph_file import save_graph
from farm.errors import InventoryError
from farm.network_file import load_network, network_name


@pytest.fixture
def path(tmp_path):
    """A network whose first operator does nothing."""
    quant = Quant(1.0, 0)
    tensors = tuple(Tensor(name, (2, 2, 2), quant) for name in "xyz")
    ops = (Op("max_pool2d", "same", ("x",), "y"), Op("relu", "relu", ("y",), "z", clamp=(0, 127)))
    path = tmp_path / "net.v1.tinyrack.npz"
    save_graph(Graph("net", tensors, ops, ("x",), ("z",)), path)
    return path


def test_a_network_is_rewritten_and_the_given_one_kept(path):
    network = load_network(path)
    assert [op.name for op in network.given.ops] == ["same", "relu"]
    assert len(network.graph.ops) == 1
    assert sum(network.rewrites.values()) == 1


def test_a_network_stays_as_it_is_when_asked(path):
    network = load_network(path, rewritten=False)
    assert network.graph is network.given
    assert not network.rewrites


@pytest.mark.parametrize("name", ["net.onnx", "net.npz", "net"])
def test_other_suffixes_are_refused_before_the_file_is_opened(tmp_path, name):
    with pytest.raises(InventoryError, match=r"must end in \.tflite or \.tinyrack\.npz"):
        load_network(tmp_path / name)


@pytest.mark.parametrize("name", ["net.tflite", "net.tinyrack.npz"])
def test_damaged_and_missing_files_are_one_sentence(tmp_path, name):
    with pytest.raises(InventoryError, match="no such file"):
        load_network(tmp_path / name)
    (tmp_path / name).write_bytes(b"junk" * 10)
    with pytest.raises(GraphError, match=name.partition(".")[0]):
        load_network(tmp_path / name)


def test_a_name_is_the_file_without_its_suffix(path, tmp_path):
    assert network_name(path) == "net.v1"
    assert network_name(tmp_path / "person.tflite") == "person"
