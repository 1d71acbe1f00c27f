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
from engine.options import Concat, Mean, Pad, Resize, Slice, Softmax, Transpose
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


def rich_graph():
    """Two inputs and outputs, a constant, a dilation, and options of every type."""
    quant = Quant(0.1, -7)
    shapes = {"a": (6, 5, 2), "b": (6, 5, 2), "k": (1, 1, 2), "s": (6, 5, 2), "c": (2, 5, 2),
              "p": (8, 6, 2), "t": (2, 6, 8), "j": (4, 5, 2), "r": (3, 9, 2), "m": (1, 1, 2),
              "x": (4, 5, 2), "z": (2, 3, 3)}  # fmt: skip
    quants = dict.fromkeys(shapes, quant) | {"x": Quant(1 / 256, -128)}
    conv = {"weights": np.ones((2, 3, 1, 2), np.int8), "weight_scales": np.full(2, 0.01),
            "bias": np.zeros(2, np.int32), "kernel": (3, 1), "dilation": (2, 1)}  # fmt: skip
    ops = (
        Op("mul", "scale", ("a", "k"), "s"),
        Op("conv2d", "conv", ("s",), "c", **conv),
        Op("pad", "pad", ("s",), "p", options=Pad((1, 0, 0), (1, 1, 0), -7)),
        Op("transpose", "turn", ("p",), "t", options=Transpose((8, 6, 2), (2, 1, 0))),
        Op("concat", "join", ("c", "c"), "j", options=Concat(0)),
        Op("resize_nearest", "grow", ("b",), "r", options=Resize(half_pixel_centers=True)),
        Op("mean", "mean", ("r",), "m", options=Mean((0, 1))),
        Op("softmax", "soft", ("j",), "x", options=Softmax(0.5)),
        Op("slice", "cut", ("t",), "z", options=Slice((1, 5, 0), (-1, -2, 3))),
    )
    tensors = tuple(Tensor(name, shape, quants[name]) for name, shape in shapes.items())
    constants = {"k": np.array([[[3, -4]]], np.int8)}
    return Graph("rich", tensors, ops, ("b", "a"), ("x", "m", "z"), constants)


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


def test_all_that_a_graph_can_say_comes_back(tmp_path):
    graph = rich_graph()
    save_graph(graph, tmp_path / "net")
    back = load_graph(tmp_path / "net")
    for part in ("name", "tensors", "inputs", "outputs"):
        assert getattr(back, part) == getattr(graph, part)
    for first, second in zip(graph.ops, back.ops, strict=True):
        assert (first.options, first.dilation) == (second.options, second.dilation)
        assert type(first.options) is type(second.options)
    rng = np.random.default_rng(2)
    x = {n: rng.integers(-128, 128, graph.tensor(n).shape).astype(np.int8) for n in "ab"}
    wanted, got = run_all(graph, x), run_all(back, x)
    assert all((wanted[name] == got[name]).all() for name in wanted)


@pytest.fixture
def rich(tmp_path):
    path = tmp_path / f"rich{SUFFIX}"
    save_graph(rich_graph(), path)
    return path


def with_options(index, **options):
    return lambda h: h["ops"][index]["options"].update(options)


@pytest.mark.parametrize(
    "edit",
    [
        lambda h: h.update(constants=[]),
        lambda h: h.update(constants=["k", "k"]),
        lambda h: h.update(constants=["k", "b"]),
        lambda h: h.update(constants=["a"]),
        lambda h: h.update(constants={"k": 0}),
        lambda h: h.update(inputs=["a", "b", "b"]),
        lambda h: h.update(outputs=["x", "m"]),
        lambda h: h["ops"][1].update(dilation=[2]),
        lambda h: h["ops"][1].update(dilation=[99, 1]),
        lambda h: h["ops"][2].update(dilation=[2, 1]),
        lambda h: h["ops"][0].update(options={}),
        lambda h: h["ops"][1].update(options={"axis": 0}),
        lambda h: h["ops"][4].update(options=None),
        lambda h: h["ops"][4].update(options=[0]),
        lambda h: h["ops"][4].update(options={"axes": 0}),
        lambda h: h["ops"][4].update(kind=["concat"]),
        with_options(2, before=[1, 0]),
        with_options(2, value=[1]),
        with_options(2, value=None),
        with_options(3, order=[0, 0, 1]),
        with_options(3, view=[[8], [6], [2]]),
        with_options(4, axis=True),
        with_options(4, axis=10**40),
        with_options(5, half_pixel_centers=1),
        with_options(6, axes=[]),
        with_options(6, axes=[0, [1]]),
        with_options(7, beta="1"),
        with_options(7, beta=float("inf")),
        with_options(8, start=[1, 5, 99]),
        with_options(8, step={"a": 1}),
    ],
)
def test_headers_that_lie_about_options_and_constants_are_refused(rich, edit):
    change(rich, edit)
    with pytest.raises(GraphError):
        load_graph(rich)


def test_constants_that_do_not_fit_are_refused(rich):
    whole = members_of(rich)
    for values in (np.zeros((1, 1, 3), np.int8), np.zeros(2, np.int8)):
        write(rich, whole | {"0.constant.npy": npy(values)})
        with pytest.raises(GraphError):
            load_graph(rich)


def first_version(path):
    """Rewrite a file as version 1 had it."""

    def edit(header):
        header.update(version=1, input=header["inputs"][0], output=header["outputs"][0])
        for key in ("inputs", "outputs", "constants"):
            del header[key]
        for op in header["ops"]:
            del op["dilation"], op["options"]

    change(path, edit)


def test_a_file_of_version_1_still_loads(saved, tmp_path):
    first_version(saved)
    back = load_graph(saved)
    save_graph(small_graph(), tmp_path / "now")
    save_graph(back, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "now").read_bytes()


@pytest.mark.parametrize(
    "edit",
    [
        lambda h: h.update(inputs=["in"]),
        lambda h: h.update(input=["in"]),
        lambda h: h.pop("output"),
        lambda h: h.update(ops={}),
        lambda h: h["ops"].append(3),
        lambda h: h["ops"][0].update(dilation=[1, 1]),
        lambda h: h["ops"][0].update(inputs=[["in"]]),
        lambda h: h["ops"][1].pop("clamp"),
    ],
)
def test_headers_of_version_1_that_lie_are_refused(saved, edit):
    first_version(saved)
    change(saved, edit)
    with pytest.raises(GraphError):
        load_graph(saved)


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


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_damaged_bytes_never_raise_anything_else(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "net"
    save_graph(data.draw(st.sampled_from([small_graph(), rich_graph()])), path)
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
