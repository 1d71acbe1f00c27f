"""Placing units one by one, each at the lowest offset that is free: some order is optimal.

Sort the units of an optimal packing by offset (of two that share, the one born before the one
that dies): placed in that order, none comes to lie above its optimal offset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from engine.packing import NOWHERE, Problem

Order = tuple[int, ...]
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
