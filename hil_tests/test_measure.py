"""Measurements through the manager: right, repeatable, the same on boards of one type."""

from typing import Any

import numpy as np
import pytest

from engine.graph import Graph, Op, Quant, Tensor
from farm.rack.inventory import Board

pytestmark = [
    pytest.mark.hil,
    pytest.mark.board(each="type"),
    pytest.mark.usefixtures("board"),  # `measure` takes the board that the test holds
]


def test_output_equals_the_reference(measure: Any, network: Graph) -> None:
    m = measure(network)
    assert (m.status, m.output_ok) == ("ok", True), m.message


def test_several_inputs_and_outputs_are_right(measure: Any) -> None:
    tensors = tuple(Tensor(name, (3, 5, 7), Quant(0.1, 3)) for name in ("a", "b", "k", "c", "d"))
    ops = (Op("add", "first", ("a", "b"), "c"), Op("mul", "second", ("c", "k"), "d"))
    constants = {"k": np.arange(-52, 53, dtype=np.int8).reshape(3, 5, 7)}
    graph = Graph("two", tensors, ops, ("b", "a"), ("d", "c"), constants)
    x = {name: np.full((3, 5, 7), value, np.int8) for name, value in (("a", 30), ("b", -20))}
    for given in (None, x):
        m = measure(graph, given)
        assert (m.status, m.output_ok) == ("ok", True), m.message


def test_layers_account_for_the_whole(measure: Any, network: Graph) -> None:
    m = measure(network)
    assert len(m.layer_cycles) == len(network.ops)
    assert all(cycles > 0 for cycles in m.layer_cycles)
    assert sum(m.layer_cycles) == pytest.approx(m.cycles, rel=0.1)


def test_cycles_repeat(measure: Any, network: Graph) -> None:
    first, second = (measure(network) for _ in range(2))
    assert len(first.samples) == 5
    limit_percent = 0.0 if first.virtual else 0.5
    assert first.spread_percent <= limit_percent
    assert second.cycles == pytest.approx(first.cycles, rel=limit_percent / 100)


def test_stack_is_painted_and_counted(measure: Any, network: Graph) -> None:
    m = measure(network)
    assert 0 < m.stack_bytes < m.provenance["stack_reserved_bytes"]
    assert m.peak_sram_bytes == m.static_ram_bytes + m.stack_bytes
    assert m.static_ram_bytes >= m.arena_bytes
    assert m.provenance["bench_ram_bytes"] >= network.tensor(network.input).size


@pytest.mark.board(each="type", count=2)
def test_boards_of_a_type_agree(measure: Any, boards: tuple[Board, ...], network: Graph) -> None:
    first, second = (measure(network, on=board.id) for board in boards)
    assert (first.board, second.board) == (boards[0].id, boards[1].id)
    assert first.image_sha256 == second.image_sha256
    assert first.output_sha256 == second.output_sha256
    tolerance = 0.0 if first.virtual else 0.01
    assert second.cycles == pytest.approx(first.cycles, rel=tolerance)


def test_time_does_not_depend_on_the_data(measure: Any, network: Graph) -> None:
    shape = network.tensor(network.input).shape
    dark = measure(network, np.full(shape, -128, np.int8))
    bright = measure(network, np.full(shape, 127, np.int8))
    assert bright.board == dark.board
    assert bright.cycles == pytest.approx(dark.cycles, rel=0.02)
