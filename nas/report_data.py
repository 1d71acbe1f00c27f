"""What a run directory holds, checked and typed: the only input of a report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from farm.measure import Measurement
from nas.candidate import UNBOUNDED_CYCLES
from nas.errors import RunError
from nas.report_fields import Fields, read_lines, read_object

SOURCES = ("predicted", "measured", "stored")


@dataclass(frozen=True)
class Candidate:
    """One network on one board type; what was not measured or not trained is None."""

    id: str
    stage: str
    board_type: str
    accuracy: float | None  # 0 to 1
    predicted_cycles: float
    upper_cycles: float | None  # never under the prediction; None: the model had no bound
    measured_cycles: float | None
    latency_ms: float | None
    peak_sram_bytes: float | None
    flash_bytes: float | None
    feasible: bool
    source: str
    virtual: bool

    @property
    def measured(self) -> bool:
        """Whether a board gave the cycles, now or in an earlier run."""
        return self.source != "predicted" and self.measured_cycles is not None

    @property
    def error_percent(self) -> float | None:
        """By how much the prediction missed the measurement; negative is too low."""
        return self._miss_percent(self.predicted_cycles)

    @property
    def upper_error_percent(self) -> float | None:
        """Where the bound lies against the measurement; negative is one that broke."""
        return self._miss_percent(self.upper_cycles)

    def _miss_percent(self, cycles: float | None) -> float | None:
        if self.measured_cycles is None or cycles is None:
            return None
        return 100.0 * (cycles / self.measured_cycles - 1.0)


@dataclass(frozen=True)
class LayerRow:
    """One layer of the winner on one board type."""

    name: str
    kind: str
    kernel: str
    board_type: str
    macs: float
    predicted_cycles: float
    measured_cycles: float


@dataclass(frozen=True)
class Limits:
    """What was asked; None is no limit."""

    sram_bytes: float | None
    flash_bytes: float | None
    latency_ms: float | None


@dataclass(frozen=True)
class Winner:
    """The network that the search chose."""

    arch: str  # compact JSON
    limits: Limits
    float_accuracy: float
    int8_accuracy: float
    results: tuple[Measurement, ...]
    promised: Mapping[str, Mapping[str, float]]  # board type -> quantity -> value
    layers: tuple[LayerRow, ...]


@dataclass(frozen=True)
class Run:
    """One finished search."""

    name: str
    config: Mapping[str, object]
    candidates: tuple[Candidate, ...]
    winner: Winner

    @property
    def board_types(self) -> tuple[str, ...]:
        """Every board type met, sorted."""
        types = {row.board_type for row in self.candidates}
        return tuple(sorted(types | {row.board_type for row in self.winner.results}))

    @property
    def timing_models(self) -> tuple[str, ...]:
        """The cycle models that virtual boards of this run were priced with."""
        models = {row.timing_model for row in self.winner.results if row.timing_model}
        return tuple(sorted(models))

    @property
    def virtual(self) -> bool:
        """Whether any number of this run comes from a virtual board."""
        results = any(row.virtual for row in self.winner.results)
        return results or any(row.virtual for row in self.candidates)

    @property
    def task(self) -> str:
        """The data set that was searched on, or the run's name where the run does not say."""
        for key in ("data", "task", "dataset"):
            value = self.config.get(key)
            if isinstance(value, str) and value:
                return value
        return self.name


def load_run(run_dir: Path) -> Run:
    """Read and check a finished run directory.

    Raises RunError, which names the file, the line and the field that is missing or wrong.
    """
    if not run_dir.is_dir():
        raise RunError(f"{run_dir} is not a directory; give the directory of a finished search")
    config = read_object(run_dir / "config.json")
    winner = _winner(read_object(run_dir / "winner.json"))
    candidates = tuple(_candidate(row) for row in read_lines(run_dir / "candidates.jsonl"))
    return Run(run_dir.resolve().name, config.values, candidates, winner)


def _candidate(row: Fields) -> Candidate:
    predicted = row.number("predicted_cycles")
    row.fields("arch")
    return Candidate(
        id=row.text_or_number("id"),
        stage=row.text("stage"),
        board_type=row.text("board_type"),
        accuracy=row.number_or_none("accuracy", high=1.0),
        predicted_cycles=predicted,
        upper_cycles=_upper(predicted, row.number("predicted_upper_cycles")),
        measured_cycles=row.number_or_none("measured_cycles", low=1.0),
        latency_ms=row.number_or_none("latency_ms"),
        peak_sram_bytes=row.number_or_none("peak_sram_bytes"),
        flash_bytes=row.number_or_none("flash_bytes"),
        feasible=row.flag("feasible"),
        source=row.choice("source", SOURCES),
        virtual=row.flag("virtual"),
    )


def _upper(predicted: float, upper: float) -> float | None:
    return None if upper >= UNBOUNDED_CYCLES else max(predicted, upper)


def _winner(row: Fields) -> Winner:
    results = tuple(_result(each) for each in row.rows("results"))
    if not results:
        row.refuse("results", "a list of at least one measurement")
    limits = row.fields("limits")
    return Winner(
        arch=json.dumps(row.fields("arch").values, sort_keys=True),
        limits=Limits(*(limits.number_or_none(f) for f in Limits.__dataclass_fields__)),
        float_accuracy=row.number("float_accuracy", high=1.0),
        int8_accuracy=row.number("int8_accuracy", high=1.0),
        results=results,
        promised=_promised(row.fields("promised")),
        layers=tuple(_layer(each) for each in row.rows("layers")),
    )


def _promised(row: Fields) -> dict[str, dict[str, float]]:
    return {name: _numbers(row.fields(name)) for name in row.values}


def _numbers(row: Fields) -> dict[str, float]:
    return {key: row.number(key) for key in row.values}


def _layer(row: Fields) -> LayerRow:
    return LayerRow(
        name=row.text("name"),
        kind=row.text("kind"),
        kernel=row.text("kernel"),
        board_type=row.text("board_type"),
        macs=row.number("macs"),
        predicted_cycles=row.number("predicted_cycles"),
        measured_cycles=row.number("measured_cycles"),
    )


def _result(row: Fields) -> Measurement:
    try:
        result = Measurement.from_json(row.values)
    except ValueError as error:
        raise RunError(f"{row.where}: {error}; search again with --fresh") from error
    if result.virtual and not result.timing_model:
        # A virtual board that hides its cycle model is refused: nothing may pass for silicon.
        row.refuse("timing_model", "the cycle model of a virtual board")
    return result
