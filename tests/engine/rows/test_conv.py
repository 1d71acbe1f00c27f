"""Which kernel takes a convolution, what it is told, and its outputs over its input."""

import functools

import pytest
from conv_cases import one, pads
from kernel_cases import cases_of
from kernel_machines import MACHINES, check, machine

from engine.dispatch import KERNELS, choose
from engine.rows.conv import CONV_BYTES, describe
from engine.strips import STRIP_BYTES, strips
from engine.tables import CHANNEL_BYTES, weight_rows

DEPTHWISE = [
    one("depthwise_conv2d", (high, wide, channels), kernel=(rows, columns), stride=(down, right),
        dilation=(apart, across), padding=pads(padding))
    for (high, wide, channels), (rows, columns), (down, right), (apart, across), padding in [
        ((48, 48, 8), (3, 3), (1, 1), (1, 1), 1),
        ((49, 47, 19), (3, 3), (2, 2), (1, 1), (0, 1, 0, 1)),
        ((40, 30, 6), (5, 5), (1, 1), (1, 1), 2),
        ((40, 30, 57), (7, 7), (3, 1), (1, 1), 3),
        ((40, 40, 5), (3, 3), (1, 1), (2, 1), (2, 2, 1, 1)),
        ((40, 40, 5), (3, 3), (1, 1), (1, 2), (1, 1, 2, 2)),
        ((60, 30, 3), (2, 4), (4, 3), (3, 2), (1, 2, 0, 3)),
        ((70, 25, 2), (1, 1), (3, 1), (1, 1), 0),
        ((30, 400, 1), (3, 3), (1, 1), (1, 1), 1),
    ]
]  # fmt: skip
OTHERS = [
    one(
        "depthwise_conv2d", (6, 7, 5), 3, kernel=(3, 3), dilation=(2, 1), padding=pads((2, 2, 1, 1))
    ),
    one("conv2d", (12, 11, 19), 57, kernel=(3, 3), stride=(2, 1), padding=pads(1)),
    one("conv2d", (12, 11, 57), 19),
    one("conv2d", (13, 9, 7), 5, kernel=(3, 3), dilation=(3, 2), padding=pads((3, 3, 2, 2))),
    one("conv2d", (13, 9, 4), 6, kernel=(2, 5), dilation=(1, 2), padding=pads((1, 0, 8, 8))),
    one("fully_connected", (3, 3, 19), 57),
]


@functools.cache
def cases():
    return cases_of([*DEPTHWISE, *OTHERS])


@functools.cache
def machine_of(name):
    return machine(name, cases())


@pytest.mark.parametrize("name", MACHINES)
def test_strips_odd_channels_and_dilation_are_exact_and_in_place(name):
    """Apart from the input, and over it as near as the kernel says."""
    for index, case in enumerate(cases()):
        check(machine_of(name), index, case)


def test_most_of_these_depthwise_layers_need_several_strips():
    several = [strips(graph, graph.ops[0]) for graph in DEPTHWISE]
    assert sum(len(list(strip.gathers())) > 1 for strip in several) == len(DEPTHWISE)
    assert {strip.rows for strip in several} > {1}


@pytest.mark.parametrize("graph", DEPTHWISE, ids=lambda graph: str(graph.tensor("in").shape))
def test_a_depthwise_layer_takes_its_inputs_place_with_little_scratch(graph):
    row = next(row for row in KERNELS if row.c_name == "tr_depthwise")
    strip = strips(graph, graph.ops[0])
    assert row.lead_bytes(graph, graph.ops[0]) == 0
    assert row.scratch_bytes(graph, graph.ops[0]) == strip.scratch_bytes
    assert strip.scratch_bytes <= STRIP_BYTES or strip.rows == 1


@pytest.mark.parametrize(
    ("graph", "c_name"),
    [
        (one("conv2d", (5, 5, 3), 4), "tr_pointwise"),
        (one("conv2d", (5, 5, 3), 4, stride=(2, 1)), "tr_conv2d"),
        (one("conv2d", (5, 5, 3), 4, kernel=(3, 3), dilation=(2, 2)), "tr_conv2d"),
        (one("conv2d", (5, 5, 3), 4, scale=9.0, kernel=(3, 3)), "tr_conv2d_plain"),
        (one("conv2d", (5, 5, 3), 4, scale=9.0), "tr_pointwise_plain"),
        (one("depthwise_conv2d", (5, 5, 3), kernel=(3, 3)), "tr_depthwise_swept"),
        (one("depthwise_conv2d", (5, 5, 3), kernel=(3, 3), stride=(2, 1)), "tr_depthwise"),
        (one("depthwise_conv2d", (5, 5, 3), kernel=(3, 3), dilation=(2, 2)), "tr_depthwise"),
        (one("depthwise_conv2d", (5, 5, 3), 2, kernel=(3, 3)), "tr_depthwise_plain"),
        (one("depthwise_conv2d", (5, 5, 3), scale=9.0), "tr_depthwise_plain"),
        (one("fully_connected", (5, 5, 3), 4), "tr_fully_connected"),
        (one("fully_connected", (10, 10, 3), 4), "tr_fully_connected_pairs"),
        (one("fully_connected", (5, 5, 3), 4, scale=9.0), "tr_fully_connected_plain"),
    ],
)
def test_the_fast_kernel_runs_what_it_computes_exactly(graph, c_name):
    assert choose(graph, graph.ops[0]).c_name == c_name


def test_a_fully_connected_layer_keeps_apart_from_its_input():
    graph = one("fully_connected", (5, 5, 3), 4)
    rows = [row for row in KERNELS if row.kind == "fully_connected"]
    assert [row.lead_bytes(graph, graph.ops[0]) for row in rows] == [None] * len(rows)


def test_a_pointwise_layer_that_does_not_grow_takes_its_inputs_place():
    """And one that grows needs what its channels add, for every pair but the last."""
    for filters, lead in ((16, 0), (7, 0), (24, 8 * (25 - 1))):
        graph = one("conv2d", (5, 5, 16), filters)
        assert choose(graph, graph.ops[0]).lead_bytes(graph, graph.ops[0]) == lead


@pytest.mark.parametrize("graph", [*DEPTHWISE[:3], *OTHERS], ids=lambda graph: graph.ops[0].kind)
def test_sizes_of_tables_are_known_before_their_texts(graph):
    op = graph.ops[0]
    about = describe(graph, op)
    weights, channels = about.tables
    assert weights.byte_count == weight_rows(op).size
    assert channels.text("t").count("    {") == channels.byte_count / CHANNEL_BYTES
    assert about.const_bytes == CONV_BYTES + weights.byte_count + channels.byte_count
    assert len(about.fields) == CONV_BYTES / 4 - len(about.tables)
