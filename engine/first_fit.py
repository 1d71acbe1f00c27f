"""Placing units one by one, each at the lowest offset that is free: some order is optimal.

Sort the units of an optimal packing by offset (of two that share, the one born before the one
that dies): placed in that order, none comes to lie above its optimal offset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.packing import NOWHERE, Problem

Order = tuple[int, ...]
ANYWHERE, SWAPS = 0.2, 0.3
"""Shares of the changes that place a unit later, too, and that swap two others."""

Key = Callable[[int], tuple[int, ...]]


def place(task: Problem, order: Iterable[int]) -> list[int]:
    """Offset of each unit, placed in ``order``."""
    offsets = [NOWHERE] * len(task.rooms)
    for unit in order:
        offsets[unit] = lowest(task, unit, offsets)
    return offsets


def lowest(task: Problem, unit: int, offsets: Sequence[int]) -> int:
    """The lowest offset that no unit with an offset forbids to ``unit``."""
    barred = [
        (offsets[other] + low, offsets[other] + high)
        for other, low, high in task.bars[unit]
        if offsets[other] >= 0
    ]
    barred.sort()
    at = task.floor
    for low, high in barred:
        if low >= at:
            break
        at = max(at, high)
    return at


def orders(task: Problem, bounds: Sequence[int]) -> Iterator[Order]:
    """Orders that often pack well, given the bounds of each step; ties by unit."""
    units = range(len(task.rooms))
    for key in _keys(task, bounds):
        yield tuple(sorted(units, key=key))


def hottest(task: Problem, bounds: Sequence[int]) -> list[int]:
    """Of each unit, the bound of the fullest step that it lives at."""
    spans = zip(task.firsts, task.lasts, strict=True)
    return [max(bounds[first : last + 1]) for first, last in spans]


def _keys(task: Problem, bounds: Sequence[int]) -> Iterator[Key]:
    rooms, firsts, lasts = task.rooms, task.firsts, task.lasts
    heat = hottest(task, bounds)
    yield lambda u: (-heat[u], -firsts[u], -rooms[u])
    yield lambda u: (-rooms[u], -firsts[u])
    yield lambda u: (firsts[u] == lasts[u], -firsts[u], -rooms[u])
    yield lambda u: (-heat[u], -rooms[u])
    yield lambda u: (-rooms[u] * (1 + lasts[u] - firsts[u]), -firsts[u])
    yield lambda u: (firsts[u] - lasts[u], -rooms[u])
    yield lambda u: (-firsts[u], -rooms[u])
    yield lambda u: (firsts[u], -rooms[u])


def improve(task: Problem, order: Order, target: int, rounds: int) -> list[int]:
    """The best of ``rounds`` placements, each with the units that ended too high moved forward."""
    best = place(task, order)
    best_peak = task.peak(best)
    for _ in range(rounds):
        offsets = place(task, order)
        peak = task.peak(offsets)
        if peak < best_peak:
            best, best_peak = offsets, peak
        if best_peak <= target:
            break
        high = {n for n in order if offsets[n] + task.rooms[n] >= best_peak}
        order = (*(n for n in order if n in high), *(n for n in order if n not in high))
    return best


def climb(task: Problem, order: Order, target: int, rounds: int) -> list[int]:
    """The best of ``rounds`` placements, each a small change of an order that is no worse.

    One of the units that end highest is placed earlier; now and then two others change places.
    """
    offsets = place(task, order)
    peak = task.peak(offsets)
    for draws in np.random.default_rng(0).random((rounds, 6)):
        if peak <= target:
            break
        tried = _changed(order, [u for u in order if offsets[u] + task.rooms[u] == peak], draws)
        found = place(task, tried)
        if task.peak(found) <= peak:
            order, offsets, peak = tried, found, task.peak(found)
    return offsets


def _changed(order: Order, highest: Sequence[int], draws: NDArray[np.float64]) -> Order:
    """draws: six numbers of [0, 1)."""
    which, where, anywhere, swap, one, two = draws
    count, changed = len(order), list(order)
    unit = highest[int(which * len(highest))]
    at = changed.index(unit)
    changed.pop(at)
    free = at == 0 or anywhere < ANYWHERE
    changed.insert(int(where * (count if free else at)), unit)
    if swap < SWAPS:
        first, second = int(one * count), int(two * count)
        changed[first], changed[second] = changed[second], changed[first]
    return tuple(changed)
