"""TinyNAS: the whole search as one object, step by step or all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from engine.graph import Graph
from farm.manager import BoardManager
from farm.rack.inventory import load_rack
from farm.rack.rack_checks import selected
from nas.budget import Budget
from nas.candidate import Cost, Limits, Score
from nas.config import KIB, SearchConfig
from nas.console import Stages
from nas.data import Dataset, load_dataset
from nas.errors import NasError
from nas.finish import CALIBRATION_IMAGES
from nas.floor import measured_budget
from nas.judge import Judge
from nas.lower import quantise
from nas.network import INPUT, LayerSpec, stage_layers
from nas.plain import PlainNet
from nas.rig import BoardRig
from nas.search import Outcome, calibrated_model, search
from nas.shape import shape_graph
from nas.shrink import Shrunk, progressive_shrinking
from nas.space import Arch, Block, SearchSpace, default_space
from nas.supernet import Supernet
from nas.train import (
    TrainSettings,
    as_tensors,
    evaluate_subnet,
    make_deterministic,
    train_supernet,
)
from nas.vary import depth_variants


class TinyNAS:
    """Finds a network for boards within SRAM (KiB), latency (ms) and flash (KiB); None: no limit.

    `search()` does everything and keeps it in a run directory. The other methods are its steps
    for those who want them apart; boards are opened when a cost is first asked for.
    """

    def __init__(
        self,
        memory_constraint: float | None = 256,
        latency_constraint: float | None = 100,
        flash_constraint: float | None = 1024,
        config: SearchConfig | None = None,
    ) -> None:
        make_deterministic()
        limits = Limits(_bytes(memory_constraint), _bytes(flash_constraint), latency_constraint)
        self.config = replace(config or SearchConfig(), limits=limits)
        self.stages = Stages()

    @cached_property
    def dataset(self) -> Dataset:
        """The task's images."""
        return load_dataset(self.config.data, self.config.data_dir, self.config.data_limit)

    @cached_property
    def space(self) -> SearchSpace:
        """The space that is searched."""
        return self.config.space_of(self.dataset)

    @cached_property
    def net(self) -> Supernet:
        """The supernet; random until `train_supernet`."""
        return Supernet(self.space, self.config.seed)

    def define_search_space(
        self,
        resolutions: Sequence[int] | None = None,
        widths: Sequence[float] = (0.25, 0.5, 0.75, 1.0),
        depths: Sequence[int] = (1, 2, 3, 4),
        kernels: Sequence[int] = (3, 5, 7),
        expansions: Sequence[int] = (3, 4, 6),
        skips: Sequence[bool] = (False, True),
    ) -> SearchSpace:
        """Set what may vary; a supernet made before is dropped. SpaceError if it is no space."""
        data = self.dataset
        base = default_space(data.resolution, data.channels, len(data.classes))
        space = replace(
            base,
            resolutions=tuple(resolutions or (data.resolution,)),
            widths=tuple(widths),
            stages=tuple(replace(stage, depths=tuple(depths)) for stage in base.stages),
            kernels=tuple(kernels),
            expansions=tuple(expansions),
            skips=tuple(skips),
        )
        self.config = replace(self.config, space=space)
        for made in ("space", "net", "budget"):
            self.__dict__.pop(made, None)
        return self.space

    def build_supernet(self) -> Supernet:
        """A new supernet of the space, with random weights."""
        self.__dict__.pop("net", None)
        return self.net

    @staticmethod
    def create_inverted_residual_blocks(
        in_channels: int, out_channels: int, size: int, blocks: Sequence[Block], stride: int = 1
    ) -> PlainNet:
        """A stage as a module: images [N, in, size, size] to [N, out, ., .]."""
        before = LayerSpec("add", INPUT, (), in_channels, in_channels, size, size)
        return PlainNet(stage_layers("s0", before, blocks, out_channels, stride))

    def train_supernet(self, epochs: int | None = None) -> Supernet:
        """Train the supernet in place; by default as long as `search` does."""
        train = as_tensors(self.dataset.train)
        if epochs is None:
            epochs = self.config.supernet_epochs(len(train))
        elif epochs < 1:
            raise NasError(f"epochs must be 1 or more, not {epochs}")
        with self.stages, self.stages.stage("supernet", epochs) as advance:
            train_supernet(
                self.net,
                train,
                TrainSettings(epochs, random_nets=3),
                self.config.seed,
                lambda epoch: advance(f"loss {epoch.loss:.3f}"),
            )
        return self.net

    def extract_subnet(self, arch: Arch) -> PlainNet:
        """One network as a plain module, with batch-norm statistics of its own."""
        images = self.dataset.train.head(CALIBRATION_IMAGES)
        return self.net.extract(arch, as_tensors(images).images)

    def evaluate_subnet(self, arch: Arch) -> Score:
        """Quality of a network on the validation images, with the supernet's weights.

        Accuracy from 0 to 1 and mean cross-entropy in nats. SpaceError if it is not of the space.
        """
        self.space.check(arch)
        images = as_tensors(self.dataset.train.head(CALIBRATION_IMAGES)).images
        return evaluate_subnet(self.net, arch, images, as_tensors(self.dataset.val))

    def generate_depth_variants(self, arch: Arch) -> tuple[Arch, ...]:
        """The network at every combination of stage depths, shallowest first."""
        self.space.check(arch)
        return depth_variants(self.space, arch)

    @cached_property
    def board_types(self) -> tuple[str, ...]:
        """Types of the selected boards; limits must hold on each."""
        boards = selected(load_rack(self.config.boards_file), self.config.boards)
        return tuple(sorted({board.type.name for board in boards}))

    @cached_property
    def budget(self) -> Budget:
        """Costs from the planner and the latency models, corrected by two measured networks."""
        with self._manager() as manager, self.stages:
            models = {t: calibrated_model(manager, t, self.stages) for t in self.board_types}
            rig = BoardRig(manager, self.board_types, lambda a: shape_graph(self.space, a))
            return measured_budget(self.space, rig, models, Limits())

    def _manager(self) -> BoardManager:
        rack = load_rack(self.config.boards_file)
        return BoardManager(rack, selected(rack, self.config.boards))

    def estimate_memory_usage(self, arch: Arch) -> float:
        """SRAM in KiB: arena, input, output, harness and stack, on the board that takes most."""
        return max(cost.ranges["sram_bytes"].value for cost in self._costs(arch)) / KIB

    def estimate_latency(self, arch: Arch) -> float:
        """Milliseconds on the slowest board type."""
        return max(cost.ranges["latency_ms"].value for cost in self._costs(arch))

    def meets_constraints(self, arch: Arch) -> bool:
        """Whether the upper bounds of all costs keep within the limits on every board type."""
        return all(cost.violation(self.config.limits) == 0 for cost in self._costs(arch))

    def _costs(self, arch: Arch) -> tuple[Cost, ...]:
        self.space.check(arch)
        return self.budget.costs(arch)

    def progressive_shrinking(self) -> Shrunk:
        """The space narrowed by width, then by depth of the best three, boards in the loop."""
        budget = self.budget
        with self._manager() as manager:
            rig = BoardRig(manager, self.board_types, self._graph)
            judge = Judge(budget, self.config.limits, self.evaluate_subnet, rig, self.config.quota)
            rng = np.random.default_rng([self.config.seed, 1])
            return progressive_shrinking(judge, self.space, self.config.shrink, rng)

    def _graph(self, arch: Arch) -> Graph:
        images = self.dataset.at(arch.resolution).train.head(CALIBRATION_IMAGES).images
        return quantise(self.extract_subnet(arch), f"net_{arch.id}", images)

    def search(
        self, name: str | None = None, runs_dir: Path = Path("runs"), fresh: bool = False
    ) -> Outcome:
        """The whole search, from data to a measured C library; InfeasibleError if none fits."""
        with self.stages:
            return search(self.config, runs_dir, name, fresh, self.stages)


def _bytes(kib: float | None) -> int | None:
    return None if kib is None else round(kib * KIB)
