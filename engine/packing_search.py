"""The best packing found of blocks, with its proof: what no packing can go under."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.first_fit import improve, orders, place
from engine.packing import Block, Problem, Shares, problem, step_bounds

ROUNDS = 200


@dataclass(frozen=True)
class Packing:
    """Offsets, multiples of four, in the order of the blocks.

    lower_bound_bytes: what no packing could go under; bound_step: the step that needs them.
    """

    offsets: tuple[int, ...]
    peak_bytes: int
    lower_bound_bytes: int
    bound_step: int


def pack(blocks: Sequence[Block], shares: Shares, guard_bytes: int = 0) -> Packing:
    """The best of several orders of placement, improved where the lower bound is not met.

    Deterministic, bounded.
    """
    bounds = step_bounds(blocks, shares, guard_bytes)
    target = max(bounds)
    task = problem(blocks, shares, guard_bytes, glued=True)
    offsets = _best(task, bounds, target)
    return Packing(
        offsets=tuple(offsets[unit] for unit in task.units),
        peak_bytes=task.peak(offsets),
        lower_bound_bytes=target,
        bound_step=bounds.index(target),
    )


def _best(task: Problem, bounds: Sequence[int], target: int) -> list[int]:
    tried = []
    for order in orders(task, bounds):
        offsets = place(task, order)
        if task.peak(offsets) == target:
            return offsets
        tried.append((task.peak(offsets), order))
    found = [improve(task, order, target, ROUNDS) for _, order in sorted(tried)[:3]]
    return min(found, key=task.peak)
