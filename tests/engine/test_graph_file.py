"""Graphs survive a file; files that lie are refused."""

import contextlib
import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import GraphError
from engine.graph import Graph, Op, Padding, Quant, Tensor
from engine.graph_file import SUFFIX, load_graph, save_graph
from engine.reference import run_all


def small_graph():
    rng = np.random.default_rng(0)
    conv = Op(
        "conv2d", "conv", ("in",), "a", (3, 3), (2, 2), Padding(0, 1, 0, 1), (-128, 100),
        weights=rng.integers(-127, 128, (4, 3, 3, 2)).astype(np.int8),
        weight_scales=rng.uniform(0.001, 0.02, 4),
        bias=rng.integers(-1000, 1000, 4).astype(np.int32),
    )  # fmt: skip
    quant = Quant(0.1 / 3, -7)
    tensors = (Tensor("in", (8, 8, 2), quant), Tensor("a", (4, 4, 4), quant),
               Tensor('odd "name" \n*/', (4, 4, 4), Quant(0.05, 1)))  # fmt: skip
    return Graph("net", tensors, (conv, Op("add", "add", ("a", "a"), tensors[2].name)), ("in",),
                 (tensors[2].name,))  # fmt: skip


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / f"net{SUFFIX}"
    save_graph(small_graph(), path)
    return path


def test_a_saved_graph_comes_back_whole(saved):
    graph, back = small_graph(), load_graph(saved)
    assert (back.name, back.tensors, back.input, back.output) == (
        graph.name, graph.tensors, graph.input, graph.output,
    )  # fmt: skip
    for first, second in zip(graph.ops, back.ops, strict=True):
        for field in vars(first):
            assert np.array_equal(getattr(first, field), getattr(second, field)), field
    x = np.random.default_rng(1).integers(-128, 128, (8, 8, 2)).astype(np.int8)
    for name, value in run_all(graph, x).items():
        assert (run_all(back, x)[name] == value).all()


def test_equal_graphs_give_equal_files(saved, tmp_path):
    save_graph(load_graph(saved), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == saved.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again", saved.name]


def test_numpy_reads_the_file_without_pickle(saved):
    with np.load(saved, allow_pickle=False) as members:
        assert members["0.weights"].shape == (4, 3, 3, 2)
        assert json.loads(members["header"].tobytes())["name"] == "net"


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def npy(array, **options):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)
    return stream.getvalue()


def header_of(members):
    return json.loads(np.load(io.BytesIO(members["header.npy"])).tobytes())


def npy_text(text):
    return npy(np.frombuffer(text.encode(), np.uint8))


def change(saved, edit):
    """Rewrite the file with an edited header."""
    members = members_of(saved)
    header = header_of(members)
    edit(header)
    members["header.npy"] = npy_text(json.dumps(header))
    write(saved, members)


@pytest.mark.parametrize(
    "edit",
    [
        lambda h: h.update(version=3),
        lambda h: h.update(version=1),
        lambda h: h.update(format="other"),
        lambda h: h.update(extra=1),
        lambda h: h.pop("inputs"),
        lambda h: h.update(inputs="in"),
        lambda h: h.update(inputs=[["in"]]),
        lambda h: h.update(outputs=[]),
        lambda h: h.update(constants=["in"]),
        lambda h: h.update(name={"a": 1}),
        lambda h: h.update(tensors={}),
        lambda h: h.update(ops=None),
        lambda h: h["tensors"].append(5),
        lambda h: h["tensors"][0].update(shape=[8, 8]),
        lambda h: h["tensors"][0].update(shape=[8, 8, 2.0]),
        lambda h: h["tensors"][0].update(shape=[10**30, 8, 2]),
        lambda h: h["tensors"][0].update(shape=[65535, 65535, 2]),
        lambda h: h["tensors"][0].update(scale=float("nan")),
        lambda h: h["tensors"][0].update(scale="0.1"),
        lambda h: h["tensors"][0].update(zero_point=True),
        lambda h: h["tensors"][0].update(name=["in"]),
        lambda h: h["ops"][0].update(kind="lstm"),
        lambda h: h["ops"][0].update(kind=["conv2d"]),
        lambda h: h["ops"][0].update(inputs="in"),
        lambda h: h["ops"][0].update(inputs=[["in"]]),
        lambda h: h["ops"][0].update(output={}),
        lambda h: h["ops"][0].update(kernel=[3]),
        lambda h: h["ops"][0].update(kernel=[3, None]),
        lambda h: h["ops"][0].update(padding=[9, 9, 9, 9]),
        lambda h: h["ops"][0].update(padding=[0, 0]),
        lambda h: h["ops"][0].update(clamp=[5, "x"]),
        lambda h: h["ops"][0].update(has_weights=False),
        lambda h: h["ops"][1].update(has_weights=True),
    ],
)
def test_headers_that_lie_are_refused(saved, edit):
    change(saved, edit)
    with pytest.raises(GraphError):
        load_graph(saved)


def with_shape(data, old, new):
    assert old in data
    return data.replace(old, new.ljust(len(old))[: len(old)])


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m.pop("header.npy"),
        lambda m: m.pop("0.weights.npy"),
        lambda m: m.update({"header.npy": npy_text("{")}),
        lambda m: m.update({"header.npy": npy_text("[" * 100_000)}),
        lambda m: m.update({"header.npy": npy_text("[]")}),
        lambda m: m.update({"header.npy": npy(np.frombuffer(b"\xff\xfe{", np.uint8))}),
        lambda m: m.update({"7.weights.npy": m["0.weights.npy"]}),
        lambda m: m.update({"other.npy": m["0.weights.npy"]}),
        lambda m: m.update({"0.weights.npy": b"not an array"}),
        lambda m: m.update({"0.weights.npy": m["0.weights.npy"][:-1]}),
        lambda m: m.update({"0.weights.npy": npy(np.zeros((4, 3, 3, 2), np.uint8))}),
        lambda m: m.update({"0.weights.npy": npy(np.zeros((4, 3, 3, 1), np.int8))}),
        lambda m: m.update({"0.bias.npy": npy(np.array([1, None, 2, 3], object))}),
        lambda m: m.update(
            {"0.bias.npy": with_shape(m["0.bias.npy"], b"(4,), }    ", b"(1<<40,), }")}
        ),
        lambda m: m.update(
            {"0.bias.npy": with_shape(m["0.bias.npy"], b"(4,), }         ", b"(9999999999,), }")}
        ),
        lambda m: m.update(
            {"0.bias.npy": with_shape(m["0.bias.npy"], b"(4,), }    ", b"(-2, -2), }")}
        ),
    ],
)  # fmt: skip
def test_members_that_lie_are_refused(saved, edit):
    members = members_of(saved)
    edit(members)
    write(saved, members)
    with pytest.raises(GraphError):
        load_graph(saved)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compressions_are_refused_unread(saved, method):
    members = members_of(saved)
    with zipfile.ZipFile(saved, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    damaged = bytearray(saved.read_bytes())
    damaged[60:80] = bytes(20)  # where LZMA would raise an error of its own
    saved.write_bytes(damaged)
    with pytest.raises(GraphError, match="stored or deflated"):
        load_graph(saved)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(saved):
    with (
        zipfile.ZipFile(saved, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("1.weights.npy", "w", force_zip64=True) as member,
    ):
        for _ in range(300):
            member.write(bytes(1 << 20))
    with pytest.raises(GraphError, match="unpacks to more"):
        load_graph(saved)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(GraphError, match="cannot be read"):
        load_graph(tmp_path / "none")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_bytes_never_raise_anything_else(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "net"
    save_graph(small_graph(), path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(len(content) // 2, len(content))) :]
    path.write_bytes(content)
    with contextlib.suppress(GraphError):
        load_graph(path)


def test_a_saved_network_can_be_read_by_whom_the_umask_allows(tmp_path):
    path = tmp_path / "network.tinyrack.npz"
    plain = tmp_path / "plain"
    plain.write_text("")
    save_graph(small_graph(), path)
    assert path.stat().st_mode == plain.stat().st_mode
