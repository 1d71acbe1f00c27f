"""The best packing found of blocks, with its proof: what no packing can go under."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from engine.branch_and_bound import search
from engine.first_fit import Order, climb, hottest, improve, orders
from engine.packing import NOWHERE, Block, Problem, Shares, problem, step_bounds
from engine.pressure import steps_of

ROUNDS = 40
CLIMB_ROUNDS = 300
"""Placements of one order, of each kind of improvement."""

MAX_BARS = 500_000
"""Looked at by the rounds of one order: a large graph gets fewer rounds."""

Placement = Callable[[Problem, Order, int, int], list[int]]

MAX_UNITS = 24
"""Searched exhaustively, of neighbouring steps."""

MAX_NODES = 4_000
"""Of all searches of one packing."""


@dataclass(frozen=True)
class Packing:
    """Offsets, multiples of four, in the order of the blocks.

    lower_bound_bytes: what no packing could go under; bound_step: the fullest step.
    """

    offsets: tuple[int, ...]
    peak_bytes: int
    lower_bound_bytes: int
    bound_step: int


def pack(
    blocks: Sequence[Block], shares: Shares, guard_bytes: int = 0, *, least: bool = True
) -> Packing:
    """The best of several orders of placement, improved where the lower bound is not met.

    Then the fullest steps are searched exhaustively, which betters the packing or raises the
    bound. Deterministic, bounded by counts of placements. One block at least.
    least: without it, the best of those orders as they are, in milliseconds.
    """
    hunt = _Hunt(blocks, shares, guard_bytes)
    hunt.run(least=least)
    return Packing(hunt.offsets, hunt.peak, hunt.lower_bound, hunt.bound_step)


class _Hunt:
    """The best packing so far, and the best bound so far."""

    def __init__(self, blocks: Sequence[Block], shares: Shares, guard_bytes: int) -> None:
        self._blocks, self._shares, self._guard_bytes = blocks, shares, guard_bytes
        self._bounds = step_bounds(blocks, shares, guard_bytes)
        self.lower_bound = max(self._bounds)
        self.bound_step = self._bounds.index(self.lower_bound)
        self.offsets: tuple[int, ...] = ()
        self.peak = 1 << 62

    def run(self, *, least: bool) -> None:
        """From what is cheap to what is not, until the bound is met."""
        glued = self._task(self._shares, glued=True)
        self._place(glued, improve, 0)
        if self._done or not least:
            return
        exact = any(share.exact for share in self._shares.values())
        tasks = [glued, self._task(self._shares)] if exact else [glued]
        for task in tasks:
            self._place(task, improve, ROUNDS)
        if exact:
            loose = {pair: replace(share, exact=False) for pair, share in self._shares.items()}
            self._search(self._task(loose), loose, proves=True)
        if self._search(glued, self._shares, proves=not exact):
            tasks.remove(glued)
        for task in tasks:
            self._place(task, climb, CLIMB_ROUNDS)

    @property
    def _done(self) -> bool:
        return self.peak <= self.lower_bound

    def _task(self, shares: Shares, *, glued: bool = False) -> Problem:
        return problem(self._blocks, shares, self._guard_bytes, glued=glued)

    def _place(self, task: Problem, step: Placement, rounds: int) -> None:
        """Try every known order, and what ``step`` makes of it in some rounds."""
        for order in orders(task, self._bounds):
            self._improve(task, step, order, rounds)

    def _improve(self, task: Problem, step: Placement, order: Order, rounds: int) -> None:
        if not self._done:
            fewer = min(rounds, MAX_BARS // (1 + sum(map(len, task.bars))))
            self._take(task, step(task, order, self.lower_bound, fewer))

    def _take(self, task: Problem, offsets: Sequence[int]) -> None:
        if task.peak(offsets) < self.peak:
            self.peak = task.peak(offsets)
            self.offsets = tuple(offsets[unit] for unit in task.units)

    def _search(self, task: Problem, shares: Shares, *, proves: bool) -> bool:
        """Search around the fullest step; whether no packing of ``task`` is better than the best.

        proves: whether what is best there bounds every packing.
        """
        steps = steps_of(self._blocks, shares, task.units, self._guard_bytes)
        nodes = MAX_NODES
        for units in _windows(task, self._bounds, self.bound_step):
            if self._done or nodes <= 0:
                return False
            found = search(task, steps, units, self.peak, nodes)
            nodes -= found.nodes
            if found.is_best and proves:
                best = self.peak if found.offsets is None else task.peak(found.offsets)
                self.lower_bound = max(self.lower_bound, best)
            if found.offsets is None and found.is_best:
                return True
            if found.offsets is not None and shares is self._shares:
                self._complete(task, found.offsets)
        return False

    def _complete(self, task: Problem, core: Sequence[int]) -> None:
        """Place the others around what the search has placed."""
        heat = hottest(task, self._bounds)
        units = range(len(core))
        placed = sorted((unit for unit in units if core[unit] != NOWHERE), key=lambda u: core[u])
        others = sorted((unit for unit in units if core[unit] == NOWHERE), key=lambda u: -heat[u])
        self._improve(task, improve, (*placed, *others), ROUNDS)


def _windows(task: Problem, bounds: Sequence[int], middle: int) -> Iterator[tuple[int, ...]]:
    """The units of a window of steps that grows around ``middle``, always to its fuller side."""
    first = last = middle
    units: tuple[int, ...] = ()
    while True:
        before, units = units, _units_within(task, first, last)
        if len(units) > MAX_UNITS:
            return
        if units != before:
            yield units
        left = bounds[first - 1] if first > 0 else -1
        right = bounds[last + 1] if last + 1 < len(bounds) else -1
        if left < 0 and right < 0:
            return
        first, last = (first - 1, last) if left >= right else (first, last + 1)


def _units_within(task: Problem, first: int, last: int) -> tuple[int, ...]:
    spans = enumerate(zip(task.firsts, task.lasts, strict=True))
    return tuple(unit for unit, (born, dies) in spans if born <= last and dies >= first)
