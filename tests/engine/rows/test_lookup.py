"""tr_lookup gives the reference's bytes, on the host and on both cores, in place too."""

import numpy as np
import pytest
from graph_strategies import inputs_of, operators
from hypothesis import given, settings
from kernel_call import on_arm, on_host

from engine import reference
from engine.executors.functions import FUNCTIONS
from engine.graph import Graph, Op, Quant, Tensor
from engine.rows.lookup import ROWS

FEW = settings(max_examples=15, deadline=None, derandomize=True)
CPUS = ("cortex-m4", "cortex-m7")
BY_KIND = {row.kind: row for row in ROWS}


def test_every_function_has_a_row_that_serves_as_its_plain_twin():
    assert set(BY_KIND) == set(FUNCTIONS)
    assert all(row.plain and row.c_name == "tr_lookup" for row in ROWS)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_lookup_equals_the_reference(kind):
    row = BY_KIND[kind]

    @FEW
    @given(operators(kind, free=True))
    def check(graph):
        x = inputs_of(graph)["a"]
        wanted = reference.run(graph, x)
        np.testing.assert_array_equal(on_host(row, graph, x), wanted)
        for overlap in (row.lead_bytes(graph, graph.ops[0]), 1, 7):
            np.testing.assert_array_equal(on_host(row, graph, x, overlap), wanted)
        for cpu in CPUS:
            np.testing.assert_array_equal(on_arm(cpu, row, graph, x, ("tr_lookup",)), wanted)

    check()


@pytest.mark.parametrize("size", [1, 3, 4, 5, 256])
def test_lookup_counts_every_element_once(size):
    tensors = (Tensor("a", (1, 1, size), Quant(0.1, 3)), Tensor("out", (1, 1, size), Quant(0.2, 1)))
    op = Op("requantize", "f", ("a",), "out")
    graph = Graph("net", tensors, (op,), ("a",), ("out",))
    counts = BY_KIND["requantize"].features(graph, op)
    assert 4 * counts["quads"] + counts["singles"] == size
    assert counts["singles"] < 4
