"""The fully connected kernel of six channels: its stream is what it reads."""

import numpy as np
import pytest
from conv_cases import one

from engine import dense, tiled
from engine.dispatch import choose


@pytest.mark.parametrize("zero", [-128, 5])
@pytest.mark.parametrize("inputs", [8, 13, 40])
@pytest.mark.parametrize("filters", [2, 5, 6, 13, 24])
def test_the_stream_holds_the_weights_of_each_channel_in_the_order_they_are_read(
    filters, inputs, zero
):
    graph = one("fully_connected", (1, 1, inputs), filters, zero=zero)
    op, found = graph.ops[0], tiled.tiles(graph, graph.ops[0])
    words = dense.stream(op, found)
    assert len(words) == dense.word_count(op, found)
    wanted = np.where(found.constant[:, None], 0, op.weights)
    ends, groups, at = len(found.ends), dense.groups(op), 0
    most = filters // 6 * 6
    starts = [*range(0, most, 6), *(min(at, filters - 2) for at in range(most, filters, 2))]
    for index, first in enumerate(starts):
        twos = 3 if index < filters // 6 else 1
        block = words[at + twos : at + twos + twos * 2 * groups]
        halves = block.astype(np.int32).view(np.int16).astype(np.int64)
        halves = halves.reshape(groups, twos, 2, 2).transpose(1, 0, 3, 2).reshape(twos, -1)
        second = (halves + 128) >> 8
        for two in range(twos):
            channels = np.stack([halves[two] - 256 * second[two], second[two]])
            assert not channels[:, inputs:].any()
            rows = wanted[first + 2 * two : first + 2 * two + 2]
            np.testing.assert_array_equal(channels[:, :inputs], rows)
        at += twos * (1 + 2 * groups + ends)
    assert at == len(words)


@pytest.mark.parametrize(
    ("filters", "inputs", "c_name"),
    [
        (4, 16, "tr_fully_connected"),
        (4, 15, "tr_fully_connected"),
        (4, 12, "tr_fully_connected"),
        (4, 256 + 12, "tr_fully_connected_pairs"),  # an odd number of words, too many to copy
        (1, 16, "tr_fully_connected_pairs"),  # no second channel
    ],
)
def test_many_inputs_come_in_two_words_and_channels_in_twos(filters, inputs, c_name):
    graph = one("fully_connected", (1, 1, inputs), filters)
    assert choose(graph, graph.ops[0]).c_name == c_name


def test_blocks_of_six_and_what_they_leave_are_counted():
    graph = one("fully_connected", (1, 1, 40), 17)
    op = graph.ops[0]
    found = choose(graph, op).features(graph, op)
    assert {name: found[name] for name in ("sixes", "six_groups", "twos", "two_groups")} == {
        "sixes": 2, "six_groups": 20, "twos": 3, "two_groups": 30,
    }  # fmt: skip
