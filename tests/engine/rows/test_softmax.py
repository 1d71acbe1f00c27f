"""tr_softmax on inputs that generated cases do not reach: every difference, and long rows."""

import numpy as np
import pytest
from given_cases import check_on
from graph_strategies import PROBABILITY
from kernel_machines import MACHINES

from engine.graph import Graph, Op, Quant, Tensor
from engine.options import Softmax
from engine.rows.softmax import ROWS


def softmax(shape, scale, beta=1.0):
    tensors = (Tensor("a", shape, Quant(scale, 5)), Tensor("out", shape, PROBABILITY))
    op = Op("softmax", "softmax", ("a",), "out", options=Softmax(beta))
    return Graph("net", tensors, (op,), ("a",), ("out",))


def every_difference(scale, beta):
    """A row of two for each difference from the maximum."""
    rows = np.stack([np.full(256, 127), np.arange(-128, 128)], 1)[:, None].astype(np.int8)
    return softmax(rows.shape, scale, beta), rows


def every_value(scale):
    """A row of all values, shuffled."""
    row = np.random.default_rng(1).permutation(256).astype(np.uint8).view(np.int8)[None, None]
    return softmax(row.shape, scale), row


def equal(channels):
    return softmax((1, 1, channels), 0.1), np.full((1, 1, channels), -3, np.int8)


@pytest.mark.parametrize("name", MACHINES)
def test_softmax_equals_the_reference_at_every_difference(name):
    scales = [2.0**power for power in range(-25, 8)]
    check_on(name, [
        *(every_difference(scale, beta) for scale in scales for beta in (1.0, 1.3)),
        *(every_value(scale * 1.1) for scale in scales),
        every_difference((1 - 2**-23) * 16, 1 + 2**-23),  # the factor rounds up to 2**30
    ])  # fmt: skip


@pytest.mark.parametrize("name", MACHINES)
def test_rows_of_many_equal_channels_equal_the_reference(name):
    check_on(name, [equal(channels) for channels in (1, 255, 256, 257, 511, 512, 1000, 4095)])


def test_softmax_counts_rows_and_elements():
    graph = softmax((2, 3, 7), 0.1)
    assert ROWS[0].features(graph, graph.ops[0]) == {"calls": 1, "rows": 6, "elements": 42}
