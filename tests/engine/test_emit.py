"""The C that comes out of a graph gives the reference's bits, stands alone, and is safe to read."""

import ctypes
import functools
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from conv_cases import one
from elftools.elf.elffile import ELFFile
from engine_arm import DATA, Arm
from engine_nets import KINDS, Maker, inputs_for, seeded
from many_models import joined

from engine.c_text import Names, identifier
from engine.cmodel import files_sha256
from engine.dispatch import KERNELS
from engine.emit import emit
from engine.graph import Graph, Op, Quant, Tensor
from engine.host import HostModel
from engine.plan import plan
from engine.reference import run, run_all
from engine.toolchain import compile_object

DEEP, WIDE = 72, 300
SEEDS = (*range(14), 73, 98, 121, 172, 5712, DEEP, WIDE)
IMAGES = 3


def network(seed):
    """The seed's, and layers of many inputs, which no seed has."""
    if seed == WIDE:
        return one("fully_connected", (1, 1, WIDE), 4)
    return one("conv2d", (3, 3, DEEP), 2, 2e-3, 2, -128) if seed == DEEP else seeded(seed)


@functools.cache
def batch():
    """One library of every seed's network, fast and plain."""
    models = {
        f"n{seed}{'p' if plain else 'f'}": emit(network(seed), plain=plain)
        for seed in SEEDS
        for plain in (False, True)
    }
    return joined(models, "batch")


@pytest.mark.parametrize("seed", SEEDS)
def test_c_equals_the_reference(seed):
    graph = network(seed)
    x = inputs_for(graph, IMAGES, seed)
    wanted = run(graph, x)
    for variant in "fp":
        invoke = getattr(batch(), f"n{seed}{variant}_invoke")
        for image, expected in zip(x, wanted, strict=True):
            source, out = image.copy(), np.full(expected.shape, 0x55, np.int8)
            invoke(ctypes.c_void_p(source.ctypes.data), ctypes.c_void_p(out.ctypes.data))
            np.testing.assert_array_equal(out, expected)
            np.testing.assert_array_equal(source, image, "the input was written")


def test_the_batch_uses_every_kernel_of_its_kinds():
    used = {
        layer.kernel
        for seed in SEEDS
        for plain in (False, True)
        for layer in emit(network(seed), plain=plain).layers
    }
    assert used == {row.c_name for row in KERNELS if row.kind in KINDS}


def every_kind():
    """One network with every kind of operator and a residual add."""
    rng = np.random.default_rng(3)
    maker = Maker(lambda low, high: int(rng.integers(low, high + 1)), (9, 7, 3))
    kinds = ("conv2d", "pointwise", "depthwise_conv2d", "add", "average_pool2d", "fully_connected")
    for kind in kinds:
        maker.add_op(kind)
    return maker.graph()


ENTRIES = ["tinyrack_invoke", "tinyrack_input", "tinyrack_output", "tinyrack_run", "tinyrack_trace"]


@pytest.mark.parametrize("cpu", ["cortex-m4", "cortex-m7"])
def test_a_whole_network_equals_the_reference_on_an_emulated_core(cpu):
    graph = every_kind()
    model = emit(graph)
    core = Arm(model.files, ENTRIES, cpu)
    for image in inputs_for(graph, IMAGES):
        wanted = run(graph, image).tobytes()
        core.write(DATA, image.tobytes())
        core.call("tinyrack_invoke", DATA, DATA + 0x8000)
        assert core.read(DATA + 0x8000, model.output_bytes) == wanted
        assert core.read(DATA, image.size) == image.tobytes()
        core.write(address(core, "tinyrack_input"), image.tobytes())
        core.call("tinyrack_run")
        assert core.read(address(core, "tinyrack_output"), model.output_bytes) == wanted


def address(core, function, index=0):
    core.call(function, index)
    return core.result()


@pytest.mark.parametrize("cpu", ["cortex-m4", "cortex-m7"])
def test_several_inputs_and_outputs_lie_where_the_functions_say(cpu):
    graph = many_ended()
    model = emit(graph)
    given = {name: np.full(graph.tensor(name).shape, 9 * n, np.int8) for n, name in enumerate("ab")}
    wanted = [run_all(graph, given)[name].tobytes() for name in graph.outputs]
    core = Arm(model.files, ENTRIES, cpu)
    for index, name in enumerate(graph.inputs):
        core.write(address(core, "tinyrack_input", index), given[name].tobytes())
    core.call("tinyrack_run")
    for index, data in enumerate(wanted):
        assert core.read(address(core, "tinyrack_output", index), len(data)) == data
    assert address(core, "tinyrack_input", 2) == address(core, "tinyrack_output", 3) == 0
    core.write(DATA, b"".join(given[name].tobytes() for name in graph.inputs))
    core.call("tinyrack_invoke", DATA, DATA + 0x8000)
    assert core.read(DATA + 0x8000, model.output_bytes) == b"".join(wanted)


KAPPA = "k */\n#error k"  # of a constant and of an operator


def many_ended():
    """Inputs a and b; outputs a + b, a constant added to that, and the sum in another shape."""
    shapes = {"a": (2, 3, 5), "b": (2, 3, 5), "c": (2, 3, 5), KAPPA: (2, 3, 5), "d": (2, 3, 5),
              "flat": (1, 1, 30)}  # fmt: skip
    tensors = tuple(Tensor(name, shape, Quant(0.1, 3)) for name, shape in shapes.items())
    ops = (
        Op("add", "a */ b", ("a", "b"), "c"),
        Op("reshape", "flatten", ("c",), "flat"),
        Op("add", KAPPA, ("c", KAPPA), "d"),
    )
    values = np.arange(-15, 15, dtype=np.int8).reshape(2, 3, 5)
    return Graph("many", tensors, ops, ("a", "b"), ("c", "d", "flat"), {KAPPA: values})


def test_hostile_names_of_constants_do_not_reach_the_c():
    files = emit(many_ended()).files
    assert "k_error_k_constant[30]" in files["model.c"]
    assert not any("#error" in text for text in files.values())


def test_a_reshape_at_its_place_is_a_layer_without_a_call():
    graph = many_ended()
    found = plan(graph)
    together = replace(found, offsets={**found.offsets, "flat": found.offsets["c"]})
    model = emit(graph, together)
    assert [layer.kind for layer in model.layers] == ["add", "reshape", "add"]
    assert "tr_reshape" not in model.files["model.c"]
    given = {name: np.full((2, 3, 5), 40 + n, np.int8) for n, name in enumerate("ab")}
    with HostModel(model) as runner:
        out, seen = runner.trace(given)
    assert seen == [0, 1, 2]
    assert (out["flat"].ravel() == run_all(graph, given)["c"].ravel()).all()


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("make", [every_kind, many_ended])
def test_const_and_arena_bytes_are_what_the_compiler_made(make, plain):
    graph = make()
    model = emit(graph, plain=plain)
    headers = {name: text for name, text in model.files.items() if name.endswith(".h")}
    path = compile_object("model.c", model.files["model.c"], headers, "cortex-m4")
    sections = list(ELFFile(io.BytesIO(path.read_bytes())).iter_sections())
    tables = [s for s in sections if re.match(r"\.rodata\.(?!\.Lswitch)", s.name)]  # that is code
    assert sum(s.data_size for s in tables) == model.const_bytes
    assert sum(s.data_size for s in sections if s.name.startswith(".bss")) == model.arena_bytes
    assert not [s.name for s in sections if s.name.startswith(".data") and s.data_size]


def test_trace_reports_each_layer_once_in_order():
    graph = every_kind()
    image = inputs_for(graph, 2)[0]
    with HostModel(emit(graph)) as model:
        out, seen = model.trace(image)
        np.testing.assert_array_equal(out[graph.output], run(graph, image))
    assert seen == list(range(len(graph.ops)))


def test_layers_and_header_describe_the_network():
    graph = every_kind()
    model = emit(graph)
    assert [layer.name for layer in model.layers] == [op.name for op in graph.ops]
    assert sum(layer.macs for layer in model.layers) == graph.macs
    header = model.files["model.h"]
    assert f"TINYRACK_INPUT_BYTES {graph.tensor(graph.input).size} " in header
    assert model.output_bytes == graph.tensor(graph.output).size
    assert f"TINYRACK_ARENA_BYTES {model.arena_bytes} " in header
    assert f"TINYRACK_LAYER_COUNT {len(graph.ops)}\n" in header


@pytest.mark.parametrize("make", [every_kind, many_ended])
def test_the_header_says_where_every_input_and_output_lies_and_what_its_bytes_mean(make):
    graph = make()
    found, values = plan(graph), dict(re.findall(r"#define TINYRACK_(\w+) (\S+)", header_of(graph)))
    for side, names in (("INPUT", graph.inputs), ("OUTPUT", graph.outputs)):
        assert int(values[f"{side}_COUNT"]) == len(names)
        for index, name in enumerate(names):
            tensor, about = graph.tensor(name), f"{side}_{index}"
            assert np.float32(values[f"{about}_SCALE"].rstrip("f")) == np.float32(
                tensor.quant.scale
            )
            assert int(values[f"{about}_ZERO_POINT"].strip("()")) == tensor.quant.zero_point
            assert int(values[f"{about}_BYTES"]) == tensor.size
            assert int(values[f"{about}_OFFSET"]) == found.offsets[name]


def header_of(graph):
    return emit(graph).files["model.h"]


def test_equal_graphs_give_equal_files():
    first, second = emit(seeded(2)), emit(seeded(2))
    assert first.sha256 == second.sha256 == files_sha256(first.files)
    assert emit(seeded(3)).sha256 != first.sha256


def test_files_need_nothing_but_each_other_and_the_compiler():
    files = emit(every_kind()).files
    for text in files.values():
        for name in re.findall(r"#include\s+(\S+)", text):
            assert name == "<stdint.h>" or name.strip('"') in files
        assert "malloc" not in text


HOSTILE = (
    "*/ int x; /*",
    'a"\n#error no',
    "int",
    "\\",
    "1st",
    "ünïcode",
    "a b",
    "a_b",
    "",
    "A" * 500,
    "tr",
    "tr_channel",
    "tinyrack_run",
    "arena",
)


def test_hostile_names_do_not_reach_the_c():
    graph = seeded(11)
    spaced = [text + " " * times for times in range(9) for text in HOSTILE]
    new = {op.name: spaced[index] or "e" for index, op in enumerate(graph.ops)}
    ends = {graph.input: "in */ #error", graph.output: "out\\\n#error"}
    ops = tuple(
        replace(
            op,
            name=new[op.name],
            inputs=tuple(ends.get(name, name) for name in op.inputs),
            output=ends.get(op.output, op.output),
        )
        for op in graph.ops
    )
    tensors = tuple(replace(t, name=ends.get(t.name, t.name)) for t in graph.tensors)
    sides = [(ends[name],) for name in (graph.input, graph.output)]
    hostile = Graph('net */ #error "\n', tensors, ops, *sides, graph.constants)
    model = emit(hostile)
    text = model.files["model.c"] + model.files["model.h"]
    assert "#error" not in text
    assert text.isascii()
    image = inputs_for(graph, 2)[0]
    with HostModel(model) as runner:
        np.testing.assert_array_equal(runner.run(image), run(graph, image))


def test_identifiers_are_unique_and_plain():
    names = Names(["a b", "a_b", "a-b", "a_b_2", *HOSTILE])
    assert len(set(names.values())) == len(names)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) for name in names.values())
    assert identifier("1st") == "l1st"
    assert identifier("tr_conv") == "ltr_conv"


def test_the_arena_of_one_layer_holds_its_input_and_output():
    quants = [Tensor(name, (2, 2, 4), seeded(1).tensors[0].quant) for name in ("in", "out")]
    op = Op("average_pool2d", "pool", ("in",), "out")
    model = emit(Graph("tiny", tuple(quants), (op,), ("in",), ("out",)))
    assert 16 <= model.arena_bytes <= 32
    image = np.arange(16, dtype=np.int8).reshape(2, 2, 4)
    with HostModel(model) as runner:
        np.testing.assert_array_equal(runner.run(image), image)
