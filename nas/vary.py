"""Small changes of architectures: what the search makes its next candidates from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np

from nas.space import Arch, Block, SearchSpace, pick


def mutate(space: SearchSpace, arch: Arch, rng: np.random.Generator, rate: float = 0.1) -> Arch:
    """Each gene drawn anew with probability `rate`, and one gene at least.

    The result is in `space`, even where `arch` comes from a wider one; it may equal `arch` when
    the draw gives the same values again.
    """
    forced = int(rng.integers(2 + 2 * len(space.stages)))
    draw = space.sample(rng)

    def fresh(gene: int) -> bool:
        return gene == forced or rng.random() < rate

    resolution = draw.resolution if fresh(0) else arch.resolution
    width = draw.width if fresh(1) else arch.width
    stages = []
    for i, (old, new) in enumerate(zip(arch.stages, draw.stages, strict=True)):
        depth = len(new) if fresh(2 + 2 * i) else len(old)
        forced_block = int(rng.integers(depth)) if fresh(3 + 2 * i) else -1
        stages.append(_mutate_stage(space, i, old, depth, forced_block, rng, rate))
    return fitted(space, Arch(resolution, width, tuple(stages)))


def _mutate_stage(
    space: SearchSpace,
    stage: int,
    old: tuple[Block, ...],
    depth: int,
    forced: int,
    rng: np.random.Generator,
    rate: float,
) -> tuple[Block, ...]:
    blocks = []
    for j in range(depth):
        draw = space.sample_block(stage, j, rng)
        if j >= len(old) or j == forced:
            blocks.append(draw)
            continue
        kernel = draw.kernel if rng.random() < rate else old[j].kernel
        expansion = draw.expansion if rng.random() < rate else old[j].expansion
        skip = draw.skip if rng.random() < rate else old[j].skip
        blocks.append(Block(kernel, expansion, skip))
    return tuple(blocks)


def crossover(space: SearchSpace, one: Arch, two: Arch, rng: np.random.Generator) -> Arch:
    """Width and resolution of either parent; each stage block by block from either."""
    stages = []
    for first, second in zip(one.stages, two.stages, strict=True):
        longer, shorter = (first, second) if len(first) >= len(second) else (second, first)
        depth = len(pick(rng, (first, second)))
        blocks = [
            pick(rng, (longer[j], shorter[j])) if j < len(shorter) else longer[j]
            for j in range(depth)
        ]
        stages.append(tuple(blocks))
    arch = Arch(
        pick(rng, (one.resolution, two.resolution)),
        pick(rng, (one.width, two.width)),
        tuple(stages),
    )
    return fitted(space, arch)


def fitted(space: SearchSpace, arch: Arch) -> Arch:
    """The architecture of `space` nearest to `arch`, gene by gene."""

    def near(value: float, choices: tuple[float, ...]) -> float:
        return min(choices, key=lambda choice: (abs(choice - value), choice))

    stages = []
    for i, blocks in enumerate(arch.stages):
        depth = int(near(len(blocks), space.stages[i].depths))
        grown = blocks[:depth] + (blocks[-1],) * (depth - len(blocks))
        stages.append(
            tuple(
                Block(
                    int(near(b.kernel, space.kernels)),
                    int(near(b.expansion, space.expansions)),
                    (b.skip if b.skip in space.skips else space.skips[0])
                    and space.skip_allowed(i, j),
                )
                for j, b in enumerate(grown)
            )
        )
    resolution = int(near(arch.resolution, space.resolutions))
    return Arch(resolution, near(arch.width, space.widths), tuple(stages))


def depth_variants(space: SearchSpace, arch: Arch) -> tuple[Arch, ...]:
    """`arch` at every combination of stage depths, shallowest first, itself among them."""
    choices = [stage.depths for stage in space.stages]
    return tuple(dict.fromkeys(_at_depths(space, arch, depths) for depths in product(*choices)))


def width_variants(space: SearchSpace, arch: Arch) -> Iterator[Arch]:
    """`arch` at every resolution and width, smallest first."""
    for resolution, width in product(space.resolutions, space.widths):
        yield replace(arch, resolution=resolution, width=width)


def _at_depths(space: SearchSpace, arch: Arch, depths: tuple[int, ...]) -> Arch:
    stages = tuple(
        blocks[:depth]
        + tuple(
            replace(blocks[-1], skip=blocks[-1].skip and space.skip_allowed(i, j))
            for j in range(len(blocks), depth)
        )
        for i, (blocks, depth) in enumerate(zip(arch.stages, depths, strict=True))
    )
    return replace(arch, stages=stages)
