"""The ladder of recovery: what is tried, rung by rung, while a board goes on failing.

A worker climbs one rung when its manager asks for it, after each failure in a row one higher.
When the last rung did not help either, the board is quarantined.
"""

from collections.abc import Callable
from dataclasses import dataclass

from farm.inventory import Board


@dataclass(frozen=True)
class Rung:
    """One thing to try; `act` returns a word on what it did, within the seconds that it is given.

    It raises BenchError when it could not be done. `deadline_s` is what it may take at most.
    """

    name: str
    act: Callable[[Board, float], str]
    deadline_s: float


RUNGS: tuple[Rung, ...] = ()
