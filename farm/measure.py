"""Measurement: what one network cost on one board, with everything needed to believe it."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, cast, get_args

from farm.samples import median

Status = Literal["ok", "wrong_output", "too_big", "bench_failure"]
Source = Literal["measured", "stored"]
Scalar = str | int | float

# Timing means nothing unless the output was right, so it leaves as null for any other status.
TIMING = ("cold_cycles", "cycles", "latency_ms", "cycles_per_mac", "spread_percent", "iqr_cycles")
LISTS = ("samples", "layer_cycles", "outliers", "input_cycles")


def utc_now() -> str:
    """The time now as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def latency_ms(cycles: int, clock_hz: int) -> float:
    """Milliseconds that `cycles` take at the nominal clock."""
    return cycles / clock_hz * 1e3


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One network on one board; what a failed one cannot know keeps its default.

    samples, cold_cycles, cycles and layer_cycles are core clock cycles; samples are warm and
    raw, cycles their median, iqr_cycles from their lower to their upper quartile; outliers are
    places of samples far from it, which count all the same. input_cycles: medians of the first
    and of further inputs, where there are such. stack_bytes is painted, the deeper of two runs, and
    peak_sram_bytes = static_ram_bytes + stack_bytes. A status other than "ok" has no timing.
    `timing_model` names the cycle table of a virtual board, None on silicon. `source` is
    "stored" when the value came from the results database instead of a board now.
    """

    name: str
    status: Status
    board: str
    board_type: str
    virtual: bool
    message: str = ""
    image_sha256: str = ""
    image_key: str = ""
    input_sha256: str = ""
    expected_sha256: str = ""
    output_sha256: str = ""
    output_ok: bool = False
    samples: tuple[int, ...] = ()
    cold_cycles: int = 0
    cycles: int = 0
    layer_cycles: tuple[int, ...] = ()
    clock_hz: int = 0
    clock_measured_hz: float | None = None
    latency_ms: float = 0.0
    arena_bytes: int = 0
    static_ram_bytes: int = 0
    stack_bytes: int = 0
    peak_sram_bytes: int = 0
    flash_bytes: int = 0
    macs: int = 0
    cycles_per_mac: float = 0.0
    spread_percent: float = 0.0
    iqr_cycles: int = 0
    outliers: tuple[int, ...] = ()
    input_cycles: tuple[int, ...] = ()
    timing_model: str | None = None
    provenance: Mapping[str, Scalar] = field(default_factory=dict)
    utc: str = field(default_factory=utc_now)
    source: Source = "measured"

    def __post_init__(self) -> None:
        if self.status == "ok":
            self._check_ok()
        elif any(getattr(self, key) for key in (*TIMING, *LISTS)):
            raise ValueError(f"{self.name}: a {self.status} measurement must not carry timing")
        if self.output_ok != (self.status == "ok"):
            raise ValueError(f"{self.name}: status {self.status} with output_ok={self.output_ok}")

    def _check_ok(self) -> None:
        if not self.samples or min(self.samples) <= 0 or self.clock_hz <= 0:
            raise ValueError(f"{self.name}: an ok measurement needs positive samples and clock")
        if self.cycles != median(self.samples):
            raise ValueError(f"{self.name}: cycles {self.cycles} is not the median of its samples")

    def to_json(self) -> dict[str, Any]:
        """A dict for json.dumps; timing is null unless the status is ok."""
        row = dataclasses.asdict(self)
        row |= {key: list(row[key]) for key in LISTS}
        row["provenance"] = dict(self.provenance)
        return row if self.status == "ok" else row | dict.fromkeys(TIMING)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Measurement":
        """Inverse of to_json; ValueError names the first key that is missing or wrong."""
        known = {f.name: f for f in dataclasses.fields(cls)}
        if not isinstance(row, Mapping):
            raise ValueError("a measurement must be a JSON object")
        if unknown := sorted(set(row) - set(known)):
            raise ValueError(f"unknown key {unknown[0]!r} in a measurement")
        values = {key: _value(key, known[key].type, value) for key, value in row.items()}
        for key in ("name", "status", "board", "board_type", "virtual"):
            if key not in values:
                raise ValueError(f"key {key!r} is missing in a measurement")
        return cls(**values)


def _value(key: str, kind: object, value: object) -> Any:
    """Check one JSON value against the type of its field."""
    if value is None and key in TIMING:
        return 0
    checked = _CHECKS[kind](value)
    if checked is None and value is not None:
        raise ValueError(f"{key} of a measurement has the wrong value {value!r:.60}")
    if checked is None and kind not in (str | None, float | None):
        raise ValueError(f"{key} of a measurement is null")
    return checked


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _count(value: object) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return cast(int, value) if whole else None


def _real(value: object) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(cast(float, value)) if number and math.isfinite(cast(float, value)) else None


def _counts(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, list | tuple) or any(_count(item) is None for item in value):
        return None
    return tuple(value)


def _scalars(value: object) -> dict[str, Scalar] | None:
    if not isinstance(value, Mapping):
        return None
    fine = all(
        isinstance(k, str) and (isinstance(v, str) or _real(v) is not None)
        for k, v in value.items()
    )
    return dict(value) if fine else None


_CHECKS: Mapping[object, Any] = {
    str: _text,
    bool: _flag,
    int: _count,
    float: _real,
    str | None: _text,
    float | None: _real,
    tuple[int, ...]: _counts,
    Mapping[str, Scalar]: _scalars,
    Status: lambda value: value if value in get_args(Status) else None,
    Source: lambda value: value if value in get_args(Source) else None,
}
