"""Layers write nothing but their output and scratch, and read nothing that nobody wrote.

Random branching networks run in an arena full of garbage, with guard bytes between its buffers
and, as it is delivered, without. Behind each layer every byte outside of its output and scratch is
as before, and its output is the reference's; other garbage changes nothing.
"""

import ctypes
import functools
from dataclasses import dataclass

import numpy as np
import pytest
from many_models import joined
from rewrite_nets import KINDS, Net, inputs_for

from engine.cmodel import CModel
from engine.dispatch import KERNELS
from engine.emit import emit
from engine.graph import OP_KINDS, Graph, Quant
from engine.plan import Plan, plan
from engine.reference import run_all

SEEDS = range(10)
OPERATORS = 14
VARIANTS = {"fast": (False, 16), "plain": (True, 16), "packed": (False, 0)}
EVERY_KIND = (*KINDS, "softmax")
MAX_BYTES = 3000


@dataclass(frozen=True)
class Case:
    graph: Graph
    arena: Plan
    model: CModel


@functools.cache
def network(seed):
    """A network of several branches and outputs; operators read one of the last three tensors."""
    net = Net(seed, (7, 6, 5))
    # One of the other kind of convolution, which random kernels seldom are.
    made = ["in", net.append("conv2d", ("in",), (7, 6, 3), **net.weights((3, 1, 1, 5), 3))]
    if seed == 0:
        made += seldom(net)
    for _ in range(OPERATORS):
        recent = [name for name in made[-3:] if net.tensor(name).size < MAX_BYTES] or ["in"]
        made.append(net.grow(EVERY_KIND[net.int(0, len(EVERY_KIND) - 1)], recent[net.int(-1, 0)]))
    return net.graph()


def seldom(net):
    """What random scales and windows seldom ask for; the names of what is made."""
    options = net.weights((3, 3, 5), 5)
    swept = net.append("depthwise_conv2d", ("in",), (5, 4, 5), kernel=(3, 3), **options)
    scales = (Quant(0.45, 3), Quant(0.0625, -7))  # of sums that are no line
    left, right = (net.append("requantize", ("in",), (7, 6, 5), quant) for quant in scales)
    sums = [net.append(k, (left, right), (7, 6, 5), Quant(1.0, 0)) for k in ("add", "sub")]
    return [colours(net), swept, *sums, rectified(net), wide(net)]


def wide(net):
    """A fully connected layer of more inputs than its fast kernel takes in odd numbers of fours."""
    rng = np.random.default_rng(3)

    def ends(count):
        return {"bias": np.zeros(count, np.int32), "weight_scales": np.full(count, 2e-3)}

    weights = rng.integers(-127, 128, (9, 1, 1, 5)).astype(np.int8)
    source = net.append("conv2d", ("in",), (7, 6, 9), weights=weights, **ends(9))
    weights = rng.integers(-127, 128, (7, 7 * 6 * 9)).astype(np.int8)
    return net.append("fully_connected", (source,), (1, 1, 7), weights=weights, **ends(7))


def colours(net):
    """3x3 windows of three channels, four in a row; random numbers are its own."""
    weights = np.random.default_rng(2).integers(-127, 128, (2, 3, 3, 3)).astype(np.int8)
    ends = {"weight_scales": np.full(2, 2e-3), "bias": np.zeros(2, np.int32)}
    return net.append("conv2d", ("t0",), (5, 4, 2), kernel=(3, 3), weights=weights, **ends)


def rectified(net):
    """Pointwise layers of four inputs and of many, behind one that makes four; random numbers are
    its own."""
    rng, quant = np.random.default_rng(1), Quant(0.05, -128)

    def pointwise(source, inputs, filters):
        return net.append(
            "conv2d", (source,), (7, 6, filters), quant,
            weights=rng.integers(-127, 128, (filters, 1, 1, inputs)).astype(np.int8),
            weight_scales=np.full(filters, 1.5e-3 * quant.scale / net.tensor(source).quant.scale),
            bias=np.zeros(filters, np.int32),
        )  # fmt: skip

    return pointwise(pointwise(pointwise("in", 5, 4), 4, 68), 68, 2)


@functools.cache
def cases():
    """(every case by its prefix, one library of them all)."""
    made = {}
    for seed in SEEDS:
        for variant, (plain, guard_bytes) in VARIANTS.items():
            graph = network(seed)
            arena = plan(graph, plain=plain, guard_bytes=guard_bytes)
            made[f"{variant}{seed}"] = Case(graph, arena, emit(graph, arena, plain=plain))
    return made, joined({prefix: case.model for prefix, case in made.items()}, "guards")


class Watched:
    """The arena of one case, looked at behind each layer."""

    def __init__(self, prefix):
        made, self.library = cases()
        self.prefix, self.case = prefix, made[prefix]
        graph, arena = self.case.graph, self.case.arena
        at = self.function("input", ctypes.c_void_p)(0) - arena.offsets[graph.inputs[0]]
        self.bytes = np.ctypeslib.as_array((ctypes.c_int8 * arena.peak_bytes).from_address(at))
        self.before = self.bytes.copy()
        self.complaints = []

    def function(self, name, result=None):
        found = getattr(self.library, f"{self.prefix}_{name}")
        found.restype = result
        return found

    def place(self, name):
        start = self.case.arena.offsets[name]
        return slice(start, start + self.case.graph.tensor(name).size)

    def run(self, x, garbage):
        """Complaints of one inference in an arena filled with that garbage."""
        self.values = run_all(self.case.graph, x)
        self.bytes[:] = garbage
        self.bytes[self.place(self.case.graph.input)] = x.ravel()
        self.before = self.bytes.copy()
        self.complaints = []
        self.function("trace")(ctypes.CFUNCTYPE(None, ctypes.c_uint32)(self.look))
        for name in self.case.graph.outputs:
            self.expect(name, "at the end")
        return self.complaints

    def look(self, layer):
        arena = self.case.arena
        op = self.case.graph.ops[arena.order[layer]]
        written = np.zeros(len(self.bytes), bool)
        written[self.place(op.output)] = True
        if op.name in arena.scratch_offsets:
            start = arena.scratch_offsets[op.name]
            written[start : start + arena.scratch_sizes[op.name]] = True
        touched = np.flatnonzero((self.bytes != self.before) & ~written)
        if touched.size:
            self.complaints.append(f"{op.name} wrote to {touched.tolist()[:9]}")
        self.expect(op.output, f"behind {op.name}")
        self.before = self.bytes.copy()

    def expect(self, name, when):
        if (self.bytes[self.place(name)] != self.values[name].ravel()).any():
            self.complaints.append(f"{name} is wrong {when}")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_layer_touches_its_output_and_scratch_alone_whatever_else_is_there(variant, seed):
    watched = Watched(f"{variant}{seed}")
    rng = np.random.default_rng(seed)
    for x in inputs_for(watched.case.graph, 4, seed)["in"][2:]:
        for _ in range(2):
            garbage = rng.integers(-128, 128, watched.bytes.size)
            assert watched.run(x, garbage) == []


def test_a_write_outside_is_seen():
    """The watch itself: a byte changed between layers, and one within an output."""
    watched = Watched("fast0")
    watched.run(inputs_for(watched.case.graph, 3)["in"][2], 7)
    layer = len(watched.case.graph.ops) - 1
    place = watched.place(watched.case.graph.ops[watched.case.arena.order[layer]].output)
    outside = np.ones(watched.bytes.size, bool)
    outside[place] = False
    watched.bytes[outside.argmax()] ^= 1
    watched.bytes[place] ^= 1
    watched.look(layer)
    wrote, wrong = watched.complaints
    assert f"wrote to [{outside.argmax()}]" in wrote
    assert "is wrong behind" in wrong


def test_every_kind_and_every_kernel_took_part():
    layers = [layer for case in cases()[0].values() for layer in case.model.layers]
    assert {layer.kind for layer in layers} == set(OP_KINDS)
    assert {layer.kernel for layer in layers} == {row.c_name for row in KERNELS}
    assert any(len(case.graph.outputs) > 1 for case in cases()[0].values())
    assert any(case.arena.in_place for case in cases()[0].values())
