"""Exhaustive search for the best packing of a few units, bounded by a count of nodes.

Units are placed in rising order of offset, each at the lowest offset that is free: an optimal
packing has that form (see first_fit.py). A branch ends when, at some step, what is left would not
fit above the last offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.first_fit import lowest
from engine.packing import NOWHERE, Problem
from engine.pressure import Step


@dataclass(frozen=True)
class Found:
    """offsets: of each unit, NOWHERE but for those asked for; None: none is under the limit.

    is_best: whether no packing is better (or, with None, under the limit); nodes: looked at.
    """

    offsets: tuple[int, ...] | None
    is_best: bool
    nodes: int


def search(
    task: Problem, steps: Sequence[Step], units: Sequence[int], limit: int, max_nodes: int
) -> Found:
    """The best packing of ``units`` alone whose peak is below ``limit``."""
    walk = _Walk(task, _within(steps, units), limit, max_nodes)
    walk.grow(task.floor, frozenset(units))
    return Found(walk.best, walk.nodes < max_nodes, walk.nodes)


def _within(steps: Sequence[Step], units: Sequence[int]) -> list[Step]:
    """The steps of two units at least, and of them what concerns ``units``."""
    wanted = frozenset(units)
    parts = (step.of(wanted) for step in steps)
    return list(dict.fromkeys(part for part in parts if len(part.words) > 1))


class _Walk:
    def __init__(self, task: Problem, steps: list[Step], limit: int, max_nodes: int) -> None:
        self.best: tuple[int, ...] | None = None
        self.nodes = 0
        self._task = task
        self._steps = steps
        self._limit = limit
        self._max_nodes = max_nodes
        self._offsets = [NOWHERE] * len(task.rooms)

    def grow(self, base: int, left: frozenset[int], previous: int = -1) -> None:
        """Place what is ``left``, nothing below ``base``."""
        if not left:
            self._keep()
            return
        rooms, offsets = self._task.rooms, self._offsets
        places = sorted((lowest(self._task, unit, offsets), -rooms[unit], unit) for unit in left)
        if any(max(at, base) - room >= self._limit for at, room, _ in places):
            return
        for at, _, unit in places:
            if at < base or self._is_twin(previous, unit, at):
                continue
            if self.nodes >= self._max_nodes or self._too_high(at):
                return
            self.nodes += 1
            offsets[unit] = at
            self.grow(at, left - {unit}, unit)
            offsets[unit] = NOWHERE

    def _keep(self) -> None:
        self.best = tuple(self._offsets)
        self._limit = self._task.peak(self.best)

    def _is_twin(self, previous: int, unit: int, at: int) -> bool:
        """Whether the two could as well come in the other order, which is tried too."""
        if unit > previous or self._offsets[previous] != at:
            return False
        return all(other != previous for other, _, _ in self._task.bars[unit])

    def _too_high(self, base: int) -> bool:
        """Whether some step cannot end below the limit, all that is left lying above ``base``."""
        return any(step.least_end(self._offsets, base) >= self._limit for step in self._steps)
