"""The search space: an architecture as an immutable value, and the set of all of them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from nas.errors import SpaceError

Choice = TypeVar("Choice")


def pick(rng: np.random.Generator, choices: Sequence[Choice]) -> Choice:
    """One of `choices`, each as likely (numpy's own would turn them into arrays)."""
    return choices[int(rng.integers(len(choices)))]


@dataclass(frozen=True)
class Block:
    """The genes of one inverted residual."""

    kernel: int
    expansion: int
    skip: bool


@dataclass(frozen=True)
class Arch:
    """One network of a space; the depth of a stage is the number of its blocks."""

    resolution: int
    width: float
    stages: tuple[tuple[Block, ...], ...]

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks in each stage."""
        return tuple(len(stage) for stage in self.stages)

    @cached_property
    def id(self) -> str:
        """A short name that equal architectures share."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, object]:
        """A JSON object from which `arch_from_json` makes an equal value."""
        stages = [
            [{"kernel": b.kernel, "expansion": b.expansion, "skip": b.skip} for b in stage]
            for stage in self.stages
        ]
        return {"resolution": self.resolution, "width": self.width, "stages": stages}


def arch_from_json(value: object) -> Arch:
    """Read what `Arch.to_json` wrote; SpaceError for anything else."""
    if not isinstance(value, dict):
        raise SpaceError(f"an architecture is a JSON object, not {value!r:.80}")
    try:
        stages = tuple(
            tuple(Block(int(b["kernel"]), int(b["expansion"]), bool(b["skip"])) for b in stage)
            for stage in value["stages"]
        )
        return Arch(int(value["resolution"]), float(value["width"]), stages)
    except (KeyError, TypeError, ValueError) as error:
        raise SpaceError(
            f"an architecture needs resolution, width and stages of blocks, not {value!r:.80}"
        ) from error


@dataclass(frozen=True)
class Stage:
    """A run of blocks at one resolution: channels at width 1, stride of the first block."""

    channels: int
    stride: int
    depths: tuple[int, ...] = (1, 2, 3, 4)


@dataclass(frozen=True)
class SearchSpace:
    """Every architecture that a supernet holds. Choices are sorted, smallest first.

    Channels at each width are multiples of 4, the step at which the kernels run at full speed.
    """

    input_channels: int
    classes: int
    resolutions: tuple[int, ...]
    stem_channels: int
    stages: tuple[Stage, ...]
    head_channels: int
    widths: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    kernels: tuple[int, ...] = (3, 5, 7)
    expansions: tuple[int, ...] = (3, 4, 6)
    skips: tuple[bool, ...] = (False, True)

    def __post_init__(self) -> None:
        lists: list[tuple[str, Sequence[float]]] = [
            ("resolutions", self.resolutions),
            ("widths", self.widths),
            ("kernels", self.kernels),
            ("expansions", self.expansions),
            ("skips", self.skips),
            *((f"depths of stage {i}", stage.depths) for i, stage in enumerate(self.stages)),
        ]
        for name, choices in lists:
            if not choices or list(choices) != sorted(set(choices)):
                raise SpaceError(f"{name} must be distinct and sorted, not {choices}")
        if not self.stages or min(stage.depths[0] for stage in self.stages) < 1:
            raise SpaceError("a space needs at least one stage, each of at least one block")
        if any(kernel % 2 == 0 or kernel < 1 for kernel in self.kernels):
            raise SpaceError(f"kernels must be odd and positive, not {self.kernels}")
        if self.widths[0] <= 0 or self.expansions[0] < 1 or self.resolutions[0] < 4:
            raise SpaceError("widths and expansions must be positive, resolutions at least 4")

    def channels(self, base: int, width: float) -> int:
        """Channels of a layer at a width: the nearest multiple of 4, at least 4."""
        return max(4, 4 * round(base * width / 4))

    def skip_allowed(self, stage: int, block: int) -> bool:
        """Whether input and output of this block have one shape at every width."""
        if block > 0:
            return True
        before = self.stem_channels if stage == 0 else self.stages[stage - 1].channels
        spec = self.stages[stage]
        return spec.stride == 1 and before == spec.channels

    @property
    def min_arch(self) -> Arch:
        """The network that is least in every cost."""
        block = Block(self.kernels[0], self.expansions[0], self.skips[0])
        return self._uniform(0, block)

    @property
    def max_arch(self) -> Arch:
        """The network that holds all the others."""
        block = Block(self.kernels[-1], self.expansions[-1], self.skips[-1])
        return self._uniform(-1, block)

    def _uniform(self, which: int, block: Block) -> Arch:
        stages = tuple(
            tuple(self.allowed(i, j, block) for j in range(stage.depths[which]))
            for i, stage in enumerate(self.stages)
        )
        return Arch(self.resolutions[which], self.widths[which], stages)

    def allowed(self, stage: int, index: int, block: Block) -> Block:
        """`block` itself, or without its skip where the shapes differ (one network, one value)."""
        if block.skip and not self.skip_allowed(stage, index):
            return replace(block, skip=False)
        return block

    def count(self) -> int:
        """How many architectures there are."""
        total = len(self.resolutions) * len(self.widths)
        for i, stage in enumerate(self.stages):
            blocks = [self._block_choices(i, j) for j in range(stage.depths[-1])]
            total *= sum(math.prod(blocks[:depth]) for depth in stage.depths)
        return total

    def _block_choices(self, stage: int, index: int) -> int:
        skips = len(self.skips) if self.skip_allowed(stage, index) else 1
        return len(self.kernels) * len(self.expansions) * skips

    def check(self, arch: Arch) -> None:
        """SpaceError where `arch` is not in this space, naming the gene."""
        self._check_gene("resolution", arch.resolution, self.resolutions)
        self._check_gene("width", arch.width, self.widths)
        if len(arch.stages) != len(self.stages):
            raise SpaceError(f"{len(arch.stages)} stages, but the space has {len(self.stages)}")
        for i, blocks in enumerate(arch.stages):
            self._check_gene(f"depth of stage {i}", len(blocks), self.stages[i].depths)
            for j, block in enumerate(blocks):
                where = f"of stage {i} block {j}"
                self._check_gene(f"kernel {where}", block.kernel, self.kernels)
                self._check_gene(f"expansion {where}", block.expansion, self.expansions)
                skips = self.skips if self.skip_allowed(i, j) else (False,)
                self._check_gene(f"skip {where}", block.skip, skips)

    @staticmethod
    def _check_gene(name: str, value: float, allowed: Sequence[float]) -> None:
        if value not in allowed:
            raise SpaceError(f"{name} is {value}, but the space allows {list(allowed)}")

    def sample(self, rng: np.random.Generator) -> Arch:
        """Any architecture, each gene uniform."""
        width, resolution = pick(rng, self.widths), pick(rng, self.resolutions)
        depths = [pick(rng, stage.depths) for stage in self.stages]
        stages = tuple(
            tuple(self.sample_block(i, j, rng) for j in range(depth))
            for i, depth in enumerate(depths)
        )
        return Arch(resolution, width, stages)

    def sample_block(self, stage: int, index: int, rng: np.random.Generator) -> Block:
        """Any block that may stand at this place."""
        block = Block(pick(rng, self.kernels), pick(rng, self.expansions), pick(rng, self.skips))
        return self.allowed(stage, index, block)

    def narrowed(
        self, widths: Sequence[float], resolutions: Sequence[int], depths: Sequence[Sequence[int]]
    ) -> SearchSpace:
        """The part of this space with these widths, resolutions and depths of each stage."""
        stages = tuple(
            replace(stage, depths=tuple(sorted(set(each))))
            for stage, each in zip(self.stages, depths, strict=True)
        )
        return replace(
            self,
            widths=tuple(sorted(set(widths))),
            resolutions=tuple(sorted(set(resolutions))),
            stages=stages,
        )

    def to_json(self) -> dict[str, object]:
        """A JSON object that tells this space from every other."""
        return {
            "input_channels": self.input_channels,
            "classes": self.classes,
            "resolutions": list(self.resolutions),
            "stem_channels": self.stem_channels,
            "stages": [
                {"channels": s.channels, "stride": s.stride, "depths": list(s.depths)}
                for s in self.stages
            ],
            "head_channels": self.head_channels,
            "widths": list(self.widths),
            "kernels": list(self.kernels),
            "expansions": list(self.expansions),
            "skips": list(self.skips),
        }


def default_space(resolution: int, input_channels: int, classes: int) -> SearchSpace:
    """A space whose largest network is small enough to train as a supernet on a laptop.

    Up to 20 pixels two stages (about 1 M multiply-accumulates at 16), above that three.
    """
    stages: tuple[Stage, ...] = (Stage(16, 2), Stage(32, 2))
    if resolution > 20:
        stages = (*stages, Stage(48, 2))
    return SearchSpace(input_channels, classes, (resolution,), 16, stages, 64)
