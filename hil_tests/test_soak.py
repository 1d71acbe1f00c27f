"""A short soak: the same network again and again on every board gives the same answer."""

from typing import Any

import pytest

from engine.graph import Graph
from farm.rack.inventory import Board

pytestmark = [pytest.mark.hil, pytest.mark.board(each=True)]
ROUNDS = 5
SPREAD = 0.005  # of silicon; a virtual board has none


def test_every_round_is_right_and_takes_the_same_time(
    measure: Any, board: Board, network: Graph
) -> None:
    found = [measure(network, repeats=2) for _ in range(ROUNDS)]
    assert {m.status for m in found} == {"ok"}
    assert len({m.image_sha256 for m in found}) == 1, "its sources changed in mid-soak"
    assert len({m.output_sha256 for m in found}) == 1
    cycles = [m.cycles for m in found]
    assert max(cycles) - min(cycles) <= (0 if board.virtual else SPREAD * min(cycles))
    assert found[-1].provenance["erased_sectors"] == 0  # what is there already is not flashed
