"""Operators for kernels to run, and what it takes to call any kernel with any of them.

The constants of a case are the C that the emitter would write for it, so that a compiler, not a
test, lays out the structs.
"""

import functools
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from conv_cases import brim, one, pads
from graph_strategies import inputs_of, operators
from hypothesis import HealthCheck, Phase, given, settings

import engine.emit
from engine import c_text, dispatch, reference
from engine.graph import Graph, Op, Quant, Tensor
from engine.kernel_row import KernelRow
from engine.options import Resize
from engine.shapes import OP_KINDS, output_shape

KERNEL_FOLDER = Path(engine.emit.__file__).parent / "kernels"
EXAMPLES, MANY_EXAMPLES = 40, 250
LEAST = 10
"""Generated operators that each row must take."""
GUARD_BYTES = 32
GUARD = 0x5A
COLLECT = settings(
    deadline=None, derandomize=True, database=None,
    phases=[Phase.generate], suppress_health_check=list(HealthCheck),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Case:
    """One operator, and one kernel that takes it."""

    row: KernelRow
    graph: Graph

    @property
    def op(self):
        return self.graph.ops[0]

    @functools.cached_property
    def values(self):
        """{tensor: int8 [H, W, C]}: inputs, constants and the wanted output."""
        every = reference.run_all(self.graph, inputs_of(self.graph, 7))
        return {**every, **self.graph.constants}

    @property
    def sources(self):
        """Names of the inputs, as the kernel takes them."""
        return self.row.inputs(self.graph, self.op)

    @property
    def scratch_bytes(self):
        return self.row.scratch_bytes(self.graph, self.op)

    @property
    def wanted(self):
        return self.values[self.op.output].tobytes()

    @property
    def overlaps(self):
        """(input, bytes that it lies above the output) where the two may share memory."""
        lead = self.row.lead_bytes(self.graph, self.op)
        if lead is None or (self.row.lead_is_exact and lead % 4):
            return []
        size = self.graph.tensor(self.op.output).size
        only = len(self.op.inputs) == 1
        leads = (lead,) if self.row.lead_is_exact else (aligned(lead), aligned(lead) + 12)
        return [
            (name, above)
            for name in dict.fromkeys(self.op.inputs)
            if only or self.graph.tensor(name).size == size
            for above in leads
        ]

    def constants(self, name):
        """The C text of what the kernel is told."""
        about = self.row.describe(self.graph, self.op)
        tables = [table.text(f"{name}_{table.field}") for table in about.tables]
        pointers = {table.field: f"{name}_{table.field}" for table in about.tables}
        return "".join((*tables, c_text.struct(about.c_type, name, {**about.fields, **pointers})))


@dataclass(frozen=True)
class Layout:
    """Where everything lies in one piece of memory: bytes before the call and after it.

    places: tensor or "scratch" -> offset, multiples of four. What is `free` may have any value
    after the call.
    """

    before: bytes
    places: dict[str, int]
    free: np.ndarray

    def check(self, case, after):
        """The output is as wanted and nothing else was written."""
        out, size = self.places[case.op.output], len(case.wanted)
        assert after[out : out + size] == case.wanted, "another output"
        changed = np.frombuffer(after, np.uint8) != np.frombuffer(self.before, np.uint8)
        changed[out : out + size] = False
        assert not (changed & ~self.free).any(), "wrote elsewhere"


def layout(case, under=None, above=0):
    """Tensors and scratch with guards between; input `under` only `above` bytes over the output."""
    pieces = [(name, case.values[name].size) for name in dict.fromkeys(case.sources)]
    if case.row.takes_scratch:
        pieces.append(("scratch", case.scratch_bytes))
    places, end = {}, GUARD_BYTES
    for name, size in (*pieces, (case.op.output, len(case.wanted))):
        places[name] = end
        end = aligned(end + size) + GUARD_BYTES
    if under is not None:
        places[under] = places[case.op.output] + above
        end = max(end, aligned(places[under] + case.values[under].size) + GUARD_BYTES)
    memory, free = np.full(end, GUARD, np.uint8), np.zeros(end, bool)
    for name, size in pieces:
        at = places[name]
        if name in ("scratch", under):
            free[at : at + size] = True
        if name != "scratch":
            memory[at : at + size] = case.values[name].reshape(-1).view(np.uint8)
    return Layout(memory.tobytes(), places, free)


def aligned(count):
    return (count + 3) & ~3


@functools.cache
def kernel_files():
    return {path.name: path.read_text() for path in sorted(KERNEL_FOLDER.glob("*.[ch]"))}


def constants_c(cases):
    """A C file with the constants of every case, and `cases[]`, a pointer to each one's."""
    texts = [case.constants(f"c{index}") for index, case in enumerate(cases)]
    pointers = ", ".join(f"&c{index}_op" for index in range(len(cases)))
    table = f"extern const void *const cases[];\nconst void *const cases[] = {{ {pointers} }};\n"
    return '#include "kernels.h"\n' + "".join(texts) + table


def cases_of(graphs):
    """Each graph of one operator with each kernel that takes it."""
    return [
        Case(row, graph)
        for graph in graphs
        for row in dispatch.KERNELS
        if row.kind == graph.ops[0].kind and row.accepts(graph, graph.ops[0])
    ]


def generated(kind, count):
    """That many graphs of one operator, the same each time."""
    found = []

    @settings(COLLECT, max_examples=count)
    @given(operators(kind, free=True))
    def collect(graph):
        found.append(graph)

    collect()
    return found


def reached(row, graphs):
    return sum(row.accepts(graph, graph.ops[0]) for graph in graphs)


def graphs_of(kind):
    """Generated graphs, with rarer ones for kernels that take few of them."""
    graphs = generated(kind, EXAMPLES)
    rows = [row for row in dispatch.KERNELS if row.kind == kind]
    if all(reached(row, graphs) >= LEAST for row in rows):
        return graphs
    for graph in generated(kind, MANY_EXAMPLES):
        rare = [row for row in rows if reached(row, graphs) < LEAST]
        if reached_by(graph, rare):
            graphs.append(graph)
    return graphs


def reached_by(graph, rows):
    return any(row.accepts(graph, graph.ops[0]) for row in rows)


def chosen():
    """Convolutions of sizes that are seldom drawn: pairs of pixels, unrolled widths, strips."""
    pixels = [(5, 4), (3, 3), (1, 7), (4, 2)]
    channels = [(3, 1), (4, 2), (9, 7), (16, 5)]
    for index, (size, (inputs, filters)) in enumerate(itertools.product(pixels, channels)):
        scale = 2e-3 if index % 4 else 9.0  # a factor that only the plain twin rounds exactly
        yield one("conv2d", (*size, inputs), filters, scale, index)
    for kernel in ((1, 3), (3, 5), (7, 7), (5, 2)):
        attributes = {
            "kernel": kernel,
            "padding": pads(tuple(n // 2 for n in kernel for _ in "ab")),
        }
        yield one("depthwise_conv2d", (21, 19, 6), seed=kernel[0], **attributes)
        yield one("conv2d", (6, 5, 3), 5, seed=kernel[1], **attributes)
    for scale, inputs in itertools.product((2e-3, 0.1, 8e-4), (1, 3, 8)):  # shifts of 12, 9, 15
        yield one("conv2d", (5, 12, inputs), 5, scale, zero=-128, kernel=(3, 3), padding=pads(1))
        yield one("conv2d", (5, 5, inputs), 4, scale, zero=-128)
    for scale, inputs in itertools.product((2e-3, 0.1, 8e-4), (8, 24, 39, 64, 70, 140)):
        # blocks of six, and what they leave
        filters = {8: 6, 24: 13, 39: 2, 64: 14, 70: 27, 140: 7}[inputs]
        for zero in (-128, 5):
            yield one("fully_connected", (1, 1, inputs), filters, scale, inputs, zero)
    yield one("fully_connected", (1, 1, 128), 27, 5e-4)
    yield one("fully_connected", (1, 1, 128), 13, 5e-3, 128, -128)
    yield one("depthwise_conv2d", (48, 30, 5), kernel=(3, 3), padding=pads(1))
    yield from swept()
    yield from quads()
    yield from images()
    yield one("conv2d", (3, 3, 5), 4, kernel=(3, 3), dilation=(3, 3), padding=pads(6))


def quads():
    """Pointwise layers of whole words of inputs, few and many; all numbers of last pixels."""
    sizes = [(1, 1, 4), (1, 2, 8), (1, 3, 12), (2, 2, 16), (3, 3, 4), (2, 7, 36), (5, 3, 64),
             (1, 3, 68), (3, 1, 72), (2, 3, 76), (3, 3, 80), (1, 6, 92), (1, 3, 100)]  # fmt: skip
    for size, filters in itertools.product(sizes, (2, 6)):
        yield one("conv2d", size, filters, 2e-3 if size[2] > 8 else 4e-3, filters, -128)
    for size in ((5, 7, 8), (3, 11, 64), (6, 6, 72)):
        yield roomy(one("conv2d", size, 4, 2e-3 if size[2] > 8 else 4e-3, 4, -128))


def roomy(graph):
    """The same network with a fuller operator behind, which leaves room for scratch."""
    quant = graph.tensor("out").quant
    large = Tensor("large", (64, 66, 4), quant)
    op = Op("resize_nearest", "resize", ("out",), "large", options=Resize())
    return Graph("net", (*graph.tensors, large), (*graph.ops, op), ("in",), ("large",))


def images():
    """Colour images under 3x3 windows, four in a row and more, with borders on any side."""
    sizes = [((3, 4), 1, 1), ((1, 8), 1, 1), ((8, 8), 2, (0, 1, 0, 1)), ((5, 7), 2, 1),
             ((4, 10), 1, 0), ((6, 9), 2, 0), ((2, 6), 1, (2, 1, 0, 0)), ((7, 24), 2, (0, 0, 1, 0)),
             ((5, 6), 1, (0, 2, 2, 2)), ((9, 12), (3, 1), (1, 1, 2, 0))]  # fmt: skip
    for index, (size, stride, padding) in enumerate(sizes):
        yield one("conv2d", (*size, 3), 2 + index % 5, (2e-3, 0.1, 8e-4)[index % 3], index,
                  (-128, 5)[index % 2], kernel=(3, 3), padding=pads(padding),
                  stride=stride if isinstance(stride, tuple) else (stride, stride))  # fmt: skip


def swept():
    """Depthwise layers of every size, stride and ending, odd and even, with few and many slots."""
    sizes = [(1, 1, 1), (2, 2, 4), (3, 3, 2), (6, 7, 9), (13, 4, 3), (27, 5, 4), (14, 31, 4),
             (15, 16, 4)]  # fmt: skip
    endings = [(2e-3, 5), (2e-3, -128), (0.1, -128), (8e-4, -128)]
    for index, size in enumerate(sizes):
        for stride, (scale, zero) in itertools.product((1, 2), endings):
            padding = pads(index % 2 + 1 if max(size) > 2 else 1)
            yield one("depthwise_conv2d", size, 0, scale, index, zero, kernel=(3, 3),
                      stride=(stride, stride), padding=padding)  # fmt: skip
            if index in (3, 5):
                large = 7 if index == 3 else 5
                yield one("depthwise_conv2d", (23, size[1], 6), 0, scale, index, zero,
                          kernel=(large, large), stride=(stride, stride),
                          padding=pads(large // 2))  # fmt: skip
    yield one("depthwise_conv2d", (5, 5, 2), kernel=(5, 5))
    for index, (size, width) in enumerate(((5, 8), (7, 9), (5, 10), (7, 12))):
        # an even and an odd number of columns, from an even and from an odd one on
        for before, (scale, zero) in itertools.product((1, 2), endings[index % 2 :: 2]):
            yield one("depthwise_conv2d", (9, width, (5, 3)[index // 2]), 0, scale, before, zero,
                      kernel=(size, size), padding=pads((2, 3, before, 1)),
                      stride=(before, before))  # fmt: skip
    yield one("depthwise_conv2d", (8, 9, 5), kernel=(3, 3))
    yield one("depthwise_conv2d", (16, 8, 4), kernel=(3, 3), stride=(2, 2))


def enlarged():
    """Factors above one, and values that nearly fill 32 bits, for the plain twins."""
    for kind in ("conv2d", "depthwise_conv2d", "fully_connected"):
        yield from (brim(kind, zero_point) for zero_point in (-128, 127))
    yield one("fully_connected", (1, 2, 5), 4, 9.0)
    scales = {"a": 0.5, "b": 0.25, "out": 0.03}
    tensors = tuple(Tensor(name, (3, 4, 5), Quant(scale, 2)) for name, scale in scales.items())
    yield Graph("net", tensors, (Op("mul", "mul", ("a", "b"), "out"),), ("a", "b"), ("out",))


def pools():
    """Windows of 2x2 and of whole rows, of more than a word of channels."""
    sizes = [((2, 2), (6, 4, 9)), ((3, 3), (6, 7, 6)), ((4, 6), (8, 6, 5))]
    for kind, (kernel, shape) in itertools.product(("average_pool2d", "max_pool2d"), sizes):
        op = Op(kind, "op", ("in",), "out", kernel, kernel)
        source = Tensor("in", shape, Quant(0.1, 3))
        output = Tensor("out", output_shape(op, [source]), source.quant)
        yield Graph("net", (source, output), (op,), ("in",), ("out",))


@functools.cache
def every_case():
    """Generated and chosen operators of every kind with the kernels that take them."""
    graphs = [graph for kind in OP_KINDS for graph in graphs_of(kind)]
    return cases_of([*graphs, *chosen(), *pools(), *enlarged()])
