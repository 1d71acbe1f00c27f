"""Bounds that a product must keep: how long one inference takes, and how much memory."""

from dataclasses import dataclass
from typing import Any

import pytest

from engine.graph import Graph
from farm.rack.inventory import Board

pytestmark = [pytest.mark.hil, pytest.mark.board(each="type")]


@dataclass(frozen=True)
class Bound:
    """What the network `hil` of conftest.py may cost on one type of board."""

    latency_ms: float
    peak_sram_bytes: int
    flash_bytes: int


BOUNDS = {
    "nucleo-f412zg": Bound(latency_ms=0.6, peak_sram_bytes=2_560, flash_bytes=24_576),
    "nucleo-f767zi": Bound(latency_ms=0.2, peak_sram_bytes=2_560, flash_bytes=24_576),
}


@pytest.fixture
def bound(board: Board) -> Bound:
    if board.type.name not in BOUNDS:
        pytest.skip(f"no bounds for {board.type.name}; add a row to BOUNDS")
    return BOUNDS[board.type.name]


def test_latency_keeps_its_bound(measure: Any, network: Graph, bound: Bound) -> None:
    m = measure(network)
    assert m.status == "ok", m.message
    assert m.latency_ms <= bound.latency_ms


def test_memory_keeps_its_bound(measure: Any, network: Graph, bound: Bound) -> None:
    m = measure(network, repeats=1)
    assert m.status == "ok", m.message
    assert m.peak_sram_bytes <= bound.peak_sram_bytes
    assert m.flash_bytes <= bound.flash_bytes
