"""Regularised evolution with constraint domination, bounded and reproducible."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nas.judge import Judge
from nas.space import Arch, SearchSpace
from nas.vary import crossover, fitted, mutate


@dataclass(frozen=True)
class EvolveSettings:
    """Bounds and sizes; `children` limits the whole search."""

    population: int = 24
    tournament: int = 6
    children: int = 72
    round: int = 24  # children between two visits to the boards
    mutation_rate: float = 0.15
    crossover_share: float = 0.25
    tries: int = 8  # draws of a child that was not seen before
    finalists: int = 4  # measured at the end


def evolve(
    judge: Judge,
    space: SearchSpace,
    parents: Sequence[Arch],
    settings: EvolveSettings,
    rng: np.random.Generator,
    on_child: Callable[[int], None] | None = None,
) -> list[Arch]:
    """Every network of the search, the best first; the leading ones are measured.

    A tournament breeds, the oldest dies (Real et al.). After each round the networks near a
    limit are measured and all costs refitted.
    """
    first = [fitted(space, arch) for arch in parents]
    first += [space.sample(rng) for _ in range(settings.population - len(first))]
    seen = dict.fromkeys(judge.see(first, "evolve"))
    alive = deque(seen, maxlen=settings.population)
    judge.settle(list(seen))
    for index in range(settings.children):
        child = _child(judge, space, list(alive), seen, settings, rng)
        seen[child] = None
        alive.extend(judge.see([child], "evolve"))
        if (index + 1) % settings.round == 0:
            judge.settle(list(seen))
        if on_child is not None:
            on_child(index)
    return finalists(judge, list(seen), settings.finalists)


def finalists(judge: Judge, archs: Sequence[Arch], count: int) -> list[Arch]:
    """All networks ranked, after the leading `count` were measured.

    A measurement may put one behind others that then lead, so this goes round, but not for ever.
    """
    for _ in range(count):
        waiting = [a for a in judge.rank(archs)[:count] if not judge.is_measured(a)]
        if not waiting:
            break
        judge.crown(waiting)
    return judge.rank(archs)


def _child(
    judge: Judge,
    space: SearchSpace,
    alive: Sequence[Arch],
    seen: dict[Arch, None],
    settings: EvolveSettings,
    rng: np.random.Generator,
) -> Arch:
    """A child of tournament winners, new if a few tries find one (a small space runs out)."""
    child = alive[0]
    for _ in range(settings.tries):
        one, two = (_winner(judge, alive, settings.tournament, rng) for _ in range(2))
        mixed = crossover(space, one, two, rng) if rng.random() < settings.crossover_share else one
        child = mutate(space, mixed, rng, settings.mutation_rate)
        if child not in seen:
            break
    return child


def _winner(judge: Judge, alive: Sequence[Arch], size: int, rng: np.random.Generator) -> Arch:
    drawn = rng.choice(len(alive), min(size, len(alive)), replace=False)
    return min((alive[int(i)] for i in drawn), key=judge.order)
