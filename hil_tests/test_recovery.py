"""Boards that fail come back: by themselves, by the ladder of recovery, or by their power switch.

Faults are begun on virtual boards. A real board takes part if boards.yaml says how to switch it.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from engine.graph import Graph
from farm.ladder import power
from farm.rack.inventory import Board
from farm.virtual import faults

pytestmark = [pytest.mark.hil, pytest.mark.board(each="type")]
SWITCH_S = 30.0


@pytest.fixture
def faulty(measure: Any, powered: Board, network: Graph) -> Iterator[Board]:
    """A board that can be given faults, which end with the test."""
    if not powered.virtual:
        pytest.skip(f"{powered.id} is a real board: faults are begun on virtual ones only")
    measure(network, repeats=1)  # its golden run, if it is due, does not meet the fault
    try:
        yield powered
    finally:
        faults.clear(powered)


def test_a_probe_that_refuses_once_costs_one_more_attempt(
    measure: Any, faulty: Board, network: Graph
) -> None:
    faults.inject(faulty, faults.fault("probe-refuse", times=1))
    m = measure(network, repeats=1)
    assert (m.status, m.board, m.provenance["attempt"]) == ("ok", faulty.id, 2), m.message


def test_a_board_that_dies_in_mid_measurement_is_brought_back_and_measured(
    measure: Any, farm: Any, faulty: Board, network: Graph
) -> None:
    before = len(farm.store.recoveries(faulty.id))
    faults.inject(faulty, faults.fault("daemon-kill", after=100, count="requests"))
    m = measure(network)
    assert (m.status, m.board) == ("ok", faulty.id), m.message
    assert m.provenance["attempt"] > 1
    rungs = farm.store.recoveries(faulty.id)[before:]
    assert len(rungs) == m.provenance["attempt"] - 1


def test_power_off_and_on_again_leaves_a_board_that_measures(
    measure: Any, powered: Board, network: Graph
) -> None:
    if not powered.virtual and powered.power is None:
        pytest.skip(f"{powered.id} has no `power` in the rack file")
    power.cycle(powered, SWITCH_S)
    m = measure(network, repeats=1)
    assert (m.status, m.provenance["attempt"]) == ("ok", 1), m.message
