"""From the bytes of a .tflite file to C: what TFLite computes of it, to the last bit.

Random networks of well-known blocks and of every kind of operator are written as files, imported,
rewritten, planned and emitted. TensorFlow Lite Micro on the file, the reference on the imported
graph and the C of the rewritten one, on this machine and on emulated cores, all give the same.
"""

import ctypes
import functools
from dataclasses import dataclass

import numpy as np
import pytest
from engine_arm import DATA, Arm
from many_models import joined, joined_files
from oracles import micro
from plan_checks import check_plan
from rewrite_nets import inputs_for
from tflite_borders import outside, to_bordered
from tflite_writer import to_tflite
from whole_nets import whole_net

from engine.cmodel import CModel
from engine.emit import emit
from engine.graph import OP_KINDS, Graph
from engine.load.tflite import parse_tflite
from engine.plan import plan
from engine.reference import run_all
from engine.rewrite import REWRITES, rewrite

SEEDS = range(14)
MANY_SEEDS = range(100, 140)
ON_CORES = range(4)
IMAGES = 3


@dataclass(frozen=True)
class Case:
    """A network, its file, the graph in that, and its C; wanted: outputs by name, [N, H, W, C]."""

    graph: Graph
    data: bytes
    imported: Graph
    rewritten: Graph
    model: CModel
    given: dict[str, np.ndarray]
    wanted: dict[str, np.ndarray]

    def image(self, index):
        """The bytes of all inputs, and of all outputs, of one image."""
        inputs = [self.given[name][index] for name in self.graph.inputs]
        outputs = [self.wanted[name][index] for name in self.graph.outputs]
        return tuple(b"".join(part.tobytes() for part in side) for side in (inputs, outputs))


@functools.cache
def case(seed):
    graph = whole_net(seed)
    data = to_tflite(graph)
    imported = parse_tflite(data, "net")
    rewritten = rewrite(imported).graph
    arena = plan(rewritten)
    check_plan(rewritten, arena)
    given = inputs_for(graph, IMAGES, seed)
    return Case(
        graph, data, imported, rewritten, emit(rewritten, arena), given, run_all(graph, given)
    )  # fmt: skip


@pytest.mark.parametrize("seed", [*SEEDS, *MANY_SEEDS])
def test_the_file_is_computed_as_tflite_computes_it(seed):
    it = case(seed)
    for graph in (it.imported, it.rewritten):
        given = dict(zip(graph.inputs, it.given.values(), strict=True))
        got = run_all(graph, given)
        for wanted, name in zip(it.graph.outputs, graph.outputs, strict=True):
            np.testing.assert_array_equal(got[name], it.wanted[wanted])
    for index in range(IMAGES):
        outputs = micro(it.data, [it.given[name][index] for name in it.graph.inputs])
        assert b"".join(part.tobytes() for part in outputs) == it.image(index)[1]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_file_of_another_interface_is_the_same_network(seed, dtype):
    it = case(seed)
    data = to_bordered(it.graph, dtype)
    graph = parse_tflite(data, "net")
    got = run_all(graph, dict(zip(graph.inputs, it.given.values(), strict=True)))
    image = [outside(it.graph, name, it.given[name][2], dtype) for name in it.graph.inputs]
    theirs = micro(data, image)
    for wanted, name, other in zip(it.graph.outputs, graph.outputs, theirs, strict=True):
        np.testing.assert_array_equal(got[name], it.wanted[wanted])
        expected = outside(it.graph, wanted, it.wanted[wanted][2], dtype)
        np.testing.assert_array_equal(other.ravel(), expected.ravel())


@functools.cache
def library():
    return joined({f"n{seed}": case(seed).model for seed in SEEDS}, "whole")


@pytest.mark.parametrize("seed", SEEDS)
def test_the_c_gives_the_same(seed):
    it, invoke = case(seed), getattr(library(), f"n{seed}_invoke")
    for index in range(IMAGES):
        source, wanted = it.image(index)
        out = ctypes.create_string_buffer(len(wanted))
        invoke(source, out)
        assert out.raw == wanted


@functools.cache
def core_of(cpu):
    models = {f"n{seed}": case(seed).model for seed in ON_CORES}
    return Arm(joined_files(models), [f"n{seed}_invoke" for seed in ON_CORES], cpu)


@pytest.mark.parametrize("cpu", ["cortex-m4", "cortex-m7"])
@pytest.mark.parametrize("seed", ON_CORES)
def test_the_c_gives_the_same_on_emulated_cores(seed, cpu):
    it, core = case(seed), core_of(cpu)
    for index in range(IMAGES):
        source, wanted = it.image(index)
        core.write(DATA, source)
        core.call(f"n{seed}_invoke", DATA, DATA + 0x8000)
        assert core.read(DATA + 0x8000, len(wanted)) == wanted


def test_the_networks_hold_every_kind_and_ends_of_every_sort():
    graphs = [case(seed).graph for seed in (*SEEDS, *MANY_SEEDS)]
    assert {op.kind for graph in graphs for op in graph.ops} == set(OP_KINDS)
    assert any(len(graph.inputs) > 1 for graph in graphs)
    assert any(len(graph.outputs) > 1 for graph in graphs)
    assert any(graph.constants for graph in graphs)


def test_most_rewrites_took_part():
    applied = {
        name for seed in (*SEEDS, *MANY_SEEDS) for name in rewrite(case(seed).imported).applied
    }
    assert len(applied) > len(REWRITES) / 2
