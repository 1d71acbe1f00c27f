"""What a search was asked for, and how hard it tries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from nas.candidate import Limits
from nas.data import Dataset
from nas.errors import NasError, SpaceError
from nas.evolve import EvolveSettings
from nas.judge import Quota
from nas.shrink import ShrinkSettings
from nas.space import SearchSpace, default_space

KIB = 1024
IMAGES_SEEN = 40_000  # by the supernet: epochs follow from the number of training images

DEFAULT_LIMITS = Limits(sram_bytes=5 * KIB, flash_bytes=64 * KIB, latency_ms=8.0)
DEFAULT_QUOTA = Quota(settled=18, settled_at_once=4, settled_at_least=2, finalists=8, evaluated=200)


@dataclass(frozen=True)
class SearchConfig:
    """One search. Equal configurations give equal winners; see `identity` for what counts."""

    data: str = "digits"
    data_dir: Path | None = None
    data_limit: int = 12_000
    boards: str = "type=nucleo-f412zg"
    boards_file: Path | None = None
    limits: Limits = DEFAULT_LIMITS
    space: SearchSpace | None = None  # None: default_space of the data
    seed: int = 0
    epochs: int | None = None  # of the supernet; None: about IMAGES_SEEN images
    fine_tune_epochs: int = 20
    shrink: ShrinkSettings = field(default_factory=ShrinkSettings)
    evolve: EvolveSettings = field(default_factory=EvolveSettings)
    quota: Quota = DEFAULT_QUOTA
    accuracy_points: float = 2.0  # that int8 may lose against float

    def __post_init__(self) -> None:
        for name, limit in self.limits.items():
            if not 0 < limit < 1e12:
                raise NasError(f"the limit {name} must be positive, not {limit:g}")
        if not 0 <= self.seed < 1 << 32:
            raise NasError(f"the seed must be from 0 to 2**32 - 1, not {self.seed}")
        if self.fine_tune_epochs < 1 or (self.epochs is not None and self.epochs < 1):
            raise NasError("epochs must be 1 or more")

    def supernet_epochs(self, images: int) -> int:
        """Passes over `images` training images."""
        return self.epochs or min(60, max(3, round(IMAGES_SEEN / images)))

    def space_of(self, dataset: Dataset) -> SearchSpace:
        """The space that is searched; SpaceError if it is not one of these images and classes."""
        default = default_space(dataset.resolution, dataset.channels, len(dataset.classes))
        space = self.space or default
        wanted = (default.input_channels, default.classes)
        if (space.input_channels, space.classes) != wanted:
            raise SpaceError(
                f"{dataset.name} has {wanted[0]} channels and {wanted[1]} classes, but the space "
                f"{space.input_channels} and {space.classes}"
            )
        return space

    def identity(self, firmware: Mapping[str, str], fingerprint: str) -> dict[str, object]:
        """Everything that the result depends on: which boards of a type measure does not count.

        firmware: a hash of harness, kernels and compiler for each board type.
        """
        return {
            "data": self.data,
            "data_fingerprint": fingerprint,
            "board_types": sorted(firmware),
            "firmware": dict(firmware),
            "limits": self.limits.to_json(),
            "space": self.space.to_json() if self.space else None,
            "seed": self.seed,
            "epochs": self.epochs,
            "fine_tune_epochs": self.fine_tune_epochs,
            "shrink": asdict(self.shrink),
            "evolve": asdict(self.evolve),
            "quota": asdict(self.quota),
            "accuracy_points": self.accuracy_points,
        }


def default_name(identity: dict[str, object]) -> str:
    """The same for the same search, so that the same command goes on with it."""
    text = json.dumps(identity, sort_keys=True)
    data = "".join(c if c.isalnum() or c in "-_" else "-" for c in str(identity["data"]))[-40:]
    return f"{data.strip('-') or 'run'}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
