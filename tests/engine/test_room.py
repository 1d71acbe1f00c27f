"""Room that an operator has in an arena that others make as large as it is."""

from conv_cases import one
from kernel_cases import roomy

from engine.plan import plan
from engine.room import spare_bytes
from engine.rows.tiled import kept_words


def test_the_only_operator_has_none():
    graph = one("conv2d", (9, 9, 8), 4, zero=-128)
    assert spare_bytes(graph, graph.ops[0], 0) == 0


def test_room_is_what_the_fullest_operator_takes_beyond_this_one():
    graph = roomy(one("conv2d", (9, 9, 8), 4, zero=-128))
    op = graph.ops[0]
    large, source, made = 64 * 66 * 4, 9 * 9 * 8, 9 * 9 * 4
    assert spare_bytes(graph, op, None) == large - source - made
    assert spare_bytes(graph, op, 100) == large - source - 100
    assert spare_bytes(graph, graph.ops[1], None) == 0


def test_a_stream_is_kept_where_the_arena_does_not_grow_for_it():
    alone = one("conv2d", (9, 9, 8), 4, 4e-3, zero=-128)
    graph = roomy(alone)
    assert kept_words(alone, alone.ops[0]) == 0
    assert kept_words(graph, graph.ops[0]) > 0
    assert plan(graph).peak_bytes == plan(graph, plain=True).peak_bytes


def test_a_depthwise_layer_counts_with_its_scratch():
    small = one("depthwise_conv2d", (9, 9, 8), kernel=(1, 1), zero=-128)
    swept = one("depthwise_conv2d", (9, 9, 8), kernel=(3, 3), zero=-128)
    for graph, room in ((small, 0), (swept, plan(swept).scratch_bytes)):
        assert spare_bytes(graph, graph.ops[0], 0) == room


def test_few_pixels_do_not_pay_for_a_copy():
    graph = roomy(one("conv2d", (5, 6, 8), 4, 4e-3, zero=-128))
    assert kept_words(graph, graph.ops[0]) == 0
