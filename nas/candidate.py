"""What the search knows of one network: how good it is and what it costs on each board type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from farm.measure import Measurement
from nas.space import Arch

UNBOUNDED_CYCLES = 1e15  # JSON knows no infinity


@dataclass(frozen=True)
class Score:
    """Quality on images that were not trained on; the loss (nats) tells equal accuracies apart."""

    accuracy: float
    loss: float


@dataclass(frozen=True)
class Limits:
    """What was asked, on every board type; None is no limit."""

    sram_bytes: int | None = None
    flash_bytes: int | None = None
    latency_ms: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """A JSON object."""
        return asdict(self)

    def items(self) -> list[tuple[str, float]]:
        """(name, value) of those that are set."""
        return [(name, value) for name, value in self.to_json().items() if value is not None]


@dataclass(frozen=True)
class Range:
    """A quantity that lies between `low` and `high`, most likely at `value`."""

    low: float
    value: float
    high: float


def exactly(value: float) -> Range:
    """A quantity that was measured."""
    return Range(value, value, value)


@dataclass(frozen=True)
class Cost:
    """Of one network on one board type; keys of `ranges` are those of `Limits`.

    `cycles` is what the model foresees, also where `measurement` says what they were. `virtual`:
    the boards measured, or the model was fitted on, are no silicon.
    """

    board_type: str
    ranges: Mapping[str, Range]
    cycles: Range
    predicted: Mapping[str, Range]
    virtual: bool
    measurement: Measurement | None = None

    @property
    def works(self) -> bool:
        """False where a board refused the network or computed something else."""
        return self.measurement is None or self.measurement.status == "ok"

    def violation(self, limits: Limits) -> float:
        """0 where every upper bound is within its limit, else the summed relative excess."""
        if not self.works:
            return 1e9
        return sum(max(0.0, self.ranges[k].high / limit - 1) for k, limit in limits.items())

    def is_near(self, limits: Limits) -> bool:
        """Whether a measurement would decide: some limit lies within its range."""
        if self.measurement is not None:
            return False
        ranges = [(self.ranges[name], limit) for name, limit in limits.items()]
        hopeless = any(r.low > limit for r, limit in ranges)
        return not hopeless and any(r.low <= limit < r.high for r, limit in ranges)


@dataclass(frozen=True)
class Candidate:
    """One network that the search looked at."""

    arch: Arch
    stage: str
    score: Score | None
    costs: tuple[Cost, ...]

    def rows(self, limits: Limits) -> list[dict[str, object]]:
        """One JSON object for each board type, as kept in candidates.jsonl."""
        return [self._row(cost, limits) for cost in self.costs]

    def _row(self, cost: Cost, limits: Limits) -> dict[str, object]:
        measured = cost.measurement if cost.works else None
        return {
            "id": self.arch.id,
            "stage": self.stage,
            "arch": self.arch.to_json(),
            "board_type": cost.board_type,
            "accuracy": self.score.accuracy if self.score else None,
            "predicted_cycles": cost.cycles.value,
            "predicted_upper_cycles": min(cost.cycles.high, UNBOUNDED_CYCLES),
            "measured_cycles": measured.cycles if measured else None,
            "latency_ms": cost.ranges["latency_ms"].value,
            "peak_sram_bytes": measured.peak_sram_bytes if measured else None,
            "predicted_sram_bytes": cost.predicted["sram_bytes"].value,
            "flash_bytes": measured.flash_bytes if measured else None,
            "predicted_flash_bytes": cost.predicted["flash_bytes"].value,
            "feasible": cost.violation(limits) == 0,
            "source": cost.measurement.source if cost.measurement else "predicted",
            "virtual": cost.virtual,
        }
