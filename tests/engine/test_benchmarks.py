"""Each benchmark times a fast kernel, gives sensible outputs and fits the smallest board."""

import numpy as np
import pytest
from engine_nets import inputs_for

from engine.benchmarks import kernel_suite
from engine.dispatch import KERNELS
from engine.emit import emit
from engine.host import HostModel
from engine.reference import run

SUITE = kernel_suite()
SMALLEST_RAM_BYTES, SMALLEST_FLASH_BYTES = 256 << 10, 1 << 20  # STM32F412
HARNESS_BYTES = 16 << 10


@pytest.mark.parametrize("graph", SUITE, ids=lambda graph: graph.name)
def test_a_case_times_a_fast_kernel_and_fits(graph):
    model = emit(graph)
    kernel = next(row for row in KERNELS if row.c_name == model.layers[-1].kernel)
    assert not kernel.plain
    bench_bytes = model.input_bytes + model.output_bytes  # copies of the harness
    assert model.arena_bytes + bench_bytes + HARNESS_BYTES <= SMALLEST_RAM_BYTES
    assert model.const_bytes + HARNESS_BYTES <= SMALLEST_FLASH_BYTES


@pytest.mark.parametrize("graph", SUITE, ids=lambda graph: graph.name)
def test_outputs_spread_and_seldom_saturate(graph):
    out = run(graph, inputs_for(graph, 3)[2])
    assert out.std() > 10 or graph.ops[-1].kind in ("average_pool2d", "mean")
    assert np.isin(out, (-128, 127)).mean() < 0.2


def test_the_suite_covers_every_fast_kernel_and_repeats():
    used = {emit(graph).layers[-1].kernel for graph in SUITE}
    assert used == {row.c_name for row in KERNELS if not row.plain}
    assert [emit(g).sha256 for g in kernel_suite()] == [emit(g).sha256 for g in SUITE]
    assert len({graph.name for graph in SUITE}) == len(SUITE)


def test_the_smallest_case_computes_what_it_should():
    graph = next(graph for graph in SUITE if graph.ops[-1].kind == "fully_connected")
    x = inputs_for(graph, 3)[2]
    with HostModel(emit(graph)) as model:
        np.testing.assert_array_equal(model.run(x), run(graph, x))
