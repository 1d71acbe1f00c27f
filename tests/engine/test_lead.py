"""An output may lie over its input at the distance that is claimed, and not much nearer.

The kernels' own loads and stores, on an emulated core, say what is true: memory is shared well if
no byte is stored before the last load of the input byte beneath it.
"""

import functools
import math

import numpy as np
import pytest
from conv_cases import one, pads
from engine_arm import DATA
from kernel_cases import Case, cases_of, generated, layout
from kernel_machines import ArmMachine
from unicorn import UC_HOOK_MEM_READ, UC_HOOK_MEM_WRITE, UC_MEM_WRITE

from engine import lead
from engine.dispatch import KERNELS
from engine.graph import op_macs
from engine.graph_checks import BINARY_KINDS
from engine.shapes import OP_KINDS

KINDS = tuple(kind for kind in OP_KINDS if kind not in (*BINARY_KINDS, "concat"))
EXAMPLES, MAX_TAPS = 25, 4_000
NEVER = 1 << 40
QUADS = ("tr_depthwise", "tr_depthwise_swept")
TALL = [
    one("depthwise_conv2d", (height, width, channels), kernel=(rows, 3), stride=(stride, stride),
        dilation=(apart, 1), padding=pads((before, after, side, side)))
    for height, width, channels, rows, stride, apart, before, after, side in [
        (40, 20, 3, 3, 1, 1, 1, 1, 1),  # as large as its input
        (40, 20, 5, 3, 2, 1, 0, 1, 0),
        (40, 20, 1, 3, 1, 1, 0, 0, 0),
        (60, 11, 4, 1, 3, 1, 0, 0, 1),  # rows that no window reads
        (33, 20, 2, 5, 1, 2, 4, 4, 1),
        (40, 20, 3, 3, 1, 1, 2, 2, 2),  # larger than its input
        (40, 20, 4, 3, 1, 1, 1, 1, 2),
        (40, 20, 1, 7, 1, 1, 6, 6, 2),
        (9, 40, 4, 7, 1, 2, 12, 12, 1),
        (9, 40, 3, 3, 2, 1, 1, 1, 1),
        (10, 40, 4, 3, 2, 1, 2, 2, 2),
        (7, 5, 2, 3, 1, 1, 0, 0, 0),  # one strip, and a row of which it needs nothing
    ]
]  # fmt: skip
POINTS = [
    one("conv2d", (height, width, inputs), filters)
    for height, width, inputs, filters in [
        (3, 5, 4, 9), (4, 4, 8, 16), (1, 1, 3, 7), (2, 1, 3, 7), (5, 3, 9, 9), (6, 2, 7, 3),
    ]
]  # fmt: skip


@functools.cache
def cases():
    graphs = [*POINTS, *(graph for kind in KINDS for graph in generated(kind, EXAMPLES))]
    tall = [Case(row, graph) for graph in TALL for row in quad_rows(graph)]
    every = [*cases_of(graphs), *tall]
    return [case for case in every if graph_taps(case.graph) <= MAX_TAPS or case.graph in TALL]


def quad_rows(graph):
    return [row for row in KERNELS if row.c_name in QUADS and row.accepts(graph, graph.ops[0])]


def graph_taps(graph):
    op = graph.ops[0]
    return op_macs(graph, op) or graph.tensor(op.output).size * math.prod(op.kernel)


@functools.cache
def core():
    return ArmMachine(cases(), "cortex-m4")


def unused(case, at):
    """Bytes of a load whose channels are done: a last quad that is not whole begins with some."""
    channels = case.graph.tensor(case.op.inputs[0]).shape[2]
    return -(at % channels) % 4 if case.row.c_name == QUADS[-1] and channels > 4 else 0


def accesses(index, case):
    """When each input byte is loaded last (-1: never) and each output byte stored first."""
    placed = layout(case)
    spans = [placed.places[name] + DATA for name in (case.op.inputs[0], case.op.output)]
    sizes = [case.graph.tensor(name).size for name in (case.op.inputs[0], case.op.output)]
    loaded, stored = np.full(sizes[0], -1), np.full(sizes[1], NEVER)
    clock = iter(range(NEVER))

    def see(_core, access, address, size, _value, _data):
        now, write = next(clock), access == UC_MEM_WRITE
        at = address - spans[write]
        if 0 <= at < sizes[write]:
            if write:
                stored[at : at + size] = np.minimum(stored[at : at + size], now)
            else:
                loaded[at + unused(case, at) : at + size] = now

    uc = core().core.core
    both = UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE
    hook = uc.hook_add(both, see, begin=DATA, end=DATA + len(placed.before))
    core().call(index, case, placed.before, placed.places)
    uc.hook_del(hook)
    assert stored.max() < NEVER
    return loaded, stored


def is_safe(distance, loaded, stored):
    count = min(len(loaded), len(stored) - distance)
    return count <= 0 or bool((stored[distance : distance + count] > loaded[:count]).all())


def least(loaded, stored):
    """The smallest distance that is safe with every larger one."""
    return max((d + 1 for d in range(len(stored)) if not is_safe(d, loaded, stored)), default=0)


@pytest.mark.parametrize("kind", KINDS)
def test_no_kernel_needs_more_than_its_lead(kind):
    found = 0
    for index, case in enumerate(cases()):
        claimed = case.row.lead_bytes(case.graph, case.op)
        if case.op.kind == kind and claimed is not None and not case.row.lead_is_exact:
            assert least(*accesses(index, case)) <= claimed, case.row.c_name
            found += 1
    assert found >= 5 or kind == "fully_connected"


@pytest.mark.parametrize(
    ("name", "slack"),
    [
        ("tr_pointwise", 0), ("tr_conv2d", 0),
        ("tr_pointwise_plain", 0), ("tr_conv2d_plain", 0), ("tr_depthwise_plain", 0),
        ("tr_average_pool_plain", 0), ("tr_max_pool_plain", 0),
        ("tr_average_pool", "pixel"), ("tr_max_pool", "pixel"),
    ],
)  # fmt: skip
def test_the_lead_is_the_least_that_is_safe(name, slack):
    """slack: kernels that take four channels at a time may need up to a pixel less."""
    found = 0
    for index, case in enumerate(cases()):
        if case.row.c_name == name:
            claimed = case.row.lead_bytes(case.graph, case.op)
            needed = least(*accesses(index, case))
            pixel = case.graph.tensor(case.op.output).shape[2]
            assert 0 <= claimed - needed <= (pixel if slack == "pixel" else 0)
            found += 1
    assert found >= 5


@pytest.mark.parametrize("name", QUADS)
def test_a_depthwise_layer_lies_exactly_on_its_input(name):
    """On its own channels, at the least such distance; 0 where it does not grow."""
    exact = [(i, case) for i, case in enumerate(cases()) if case.row.c_name == name]
    claims = []
    for index, case in exact:
        claimed = case.row.lead_bytes(case.graph, case.op)
        unit = math.lcm(case.graph.tensor(case.op.output).shape[2], 4)
        seen = accesses(index, case)
        assert case.row.lead_is_exact
        assert claimed == next(d for d in range(0, NEVER, unit) if is_safe(d, *seen))
        claims.append(claimed)
    assert any(claims)
    assert claims.count(0) > len(claims) / 2


def test_a_step_may_read_nothing():
    reads, writes = np.array([0, lead.NOTHING, 4, lead.NOTHING]), np.array([3, 9, 20, 30])
    assert lead.lead(reads, writes) == 5


def test_an_output_far_beyond_any_board_keeps_apart():
    graph = one("conv2d", (2000, 2000, 1), 1)
    assert lead.pixel_pairs(graph, graph.ops[0]) is None
    assert lead.every_channel(graph, graph.ops[0]) is None
