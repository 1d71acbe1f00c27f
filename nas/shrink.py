"""Two-stage progressive shrinking: first the width, then the depth of the best three."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from nas.judge import Judge
from nas.network import macs
from nas.space import Arch, SearchSpace
from nas.vary import depth_variants, width_variants

BEST = 3


@dataclass(frozen=True)
class ShrinkSettings:
    """How many networks each stage looks at."""

    shapes: int = 8  # gene patterns, each tried at every width
    scored_at_width: int = 4  # networks of one width whose accuracy is looked at
    scored_at_parent: int = 8  # depth variants of one network
    variants: int = 64  # depth variants of one network, at most
    survivors: int = 5  # networks that span the shrunk space


@dataclass(frozen=True)
class Shrunk:
    """The part of the space worth searching, and the best networks seen so far, best first."""

    space: SearchSpace
    best: tuple[Arch, ...]


def progressive_shrinking(
    judge: Judge,
    space: SearchSpace,
    settings: ShrinkSettings,
    rng: np.random.Generator,
    on_stage: Callable[[str], None] | None = None,
) -> Shrunk:
    """Narrow widths, then depths. Networks near a limit are measured before each decision.

    `space` must hold a network within the limits (see `nas.floor`); it then is in the result.
    """
    wide = shrink_width(judge, space, settings, rng)
    if on_stage is not None:
        on_stage("widths " + ", ".join(sorted({f"{arch.width:g}" for arch in wide})))
    shrunk = shrink_depth(judge, space, wide, settings)
    if on_stage is not None:
        on_stage(f"{shrunk.space.count():.2g} of {space.count():.2g} networks left")
    return shrunk


def shrink_width(
    judge: Judge, space: SearchSpace, settings: ShrinkSettings, rng: np.random.Generator
) -> list[Arch]:
    """The best three networks over all widths and resolutions, of the same gene patterns."""
    patterns = [space.min_arch, space.max_arch]
    patterns += [space.sample(rng) for _ in range(settings.shapes - len(patterns))]
    trials = judge.see((a for p in patterns for a in width_variants(space, p)), "width")
    judge.settle(trials)
    groups: dict[tuple[int, float], list[Arch]] = {}
    for arch in judge.feasible(trials):
        groups.setdefault((arch.resolution, arch.width), []).append(arch)
    scored = [a for g in groups.values() for a in _largest(space, g, settings.scored_at_width)]
    return judge.rank(scored or [space.min_arch])[:BEST]


def shrink_depth(
    judge: Judge, space: SearchSpace, parents: Sequence[Arch], settings: ShrinkSettings
) -> Shrunk:
    """The depths and widths that the best of the parents' depth variants span."""
    families = [tuple(islice(depth_variants(space, p), settings.variants)) for p in parents]
    trials = judge.see((arch for family in families for arch in family), "depth")
    judge.settle(trials)
    scored = list(parents)
    for family in families:
        scored += _largest(space, judge.feasible(family), settings.scored_at_parent)
    best = judge.rank(scored)[: settings.survivors]
    return Shrunk(_spanned(space, best), tuple(best))


def _largest(space: SearchSpace, archs: Sequence[Arch], count: int) -> list[Arch]:
    """Those of most work: within one budget, more computation is more accuracy (MCUNet)."""
    return sorted(archs, key=lambda arch: (-macs(space, arch), arch.id))[:count]


def _spanned(space: SearchSpace, archs: Sequence[Arch]) -> SearchSpace:
    depths = []
    for i, stage in enumerate(space.stages):
        seen = [arch.depths[i] for arch in archs]
        depths.append([d for d in stage.depths if min(seen) <= d <= max(seen)])
    return space.narrowed([a.width for a in archs], [a.resolution for a in archs], depths)
