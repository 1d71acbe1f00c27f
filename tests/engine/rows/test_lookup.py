"""Rows of functions of one byte; what tr_lookup computes is tested with all other kernels."""

import numpy as np
import pytest

from engine.executors.functions import FUNCTIONS, function_table
from engine.graph import Graph, Op, Quant, Tensor
from engine.rows.lookup import ROWS

BY_KIND = {row.kind: row for row in ROWS}


def requantize(size):
    tensors = (Tensor("a", (1, 1, size), Quant(0.1, 3)), Tensor("out", (1, 1, size), Quant(0.2, 1)))
    op = Op("requantize", "f", ("a",), "out")
    return Graph("net", tensors, (op,), ("a",), ("out",))


def test_every_function_has_a_row_that_serves_as_its_plain_twin():
    assert set(BY_KIND) == set(FUNCTIONS)
    assert all(row.plain and row.c_name == "tr_lookup" for row in ROWS)


@pytest.mark.parametrize("size", [1, 3, 4, 5, 256])
def test_lookup_counts_every_element_once(size):
    graph = requantize(size)
    counts = BY_KIND["requantize"].features(graph, graph.ops[0])
    assert 4 * counts["quads"] + counts["singles"] == size
    assert counts["singles"] < 4


def test_the_table_holds_the_outputs_of_minus_128_to_127():
    graph = requantize(9)
    about = BY_KIND["requantize"].describe(graph, graph.ops[0])
    values = about.tables[0].text("t").partition("{")[2].strip(" };\n").split(",")
    wanted = function_table(graph.ops[0], graph.tensor("a"), graph.tensor("out"))
    np.testing.assert_array_equal([int(value) for value in values], wanted)
    assert about.const_bytes == 256 + 8
