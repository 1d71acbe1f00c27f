"""What the golden image has to cost on a board: by a table, else by what such boards did before."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from farm.measure import Measurement
from farm.rack.yaml_fields import load_items
from farm.store.history import GoldenRun

TABLE = Path(__file__).parent / "cycles.yaml"
KEYS = ("mcu", "timing_model", "image_sha256", "compiler", "cycles")
SILICON = "silicon"
LEARN_RUNS = 3
"""So many good runs of one image on boards of one type make a baseline of their own."""


@dataclass(frozen=True)
class Baseline:
    """cycles that a board in order takes; source: where that is known from."""

    cycles: int
    source: str


@dataclass(frozen=True)
class Row:
    """One line of the table; timing_model: "silicon" for real boards."""

    mcu: str
    timing_model: str
    image_sha256: str
    compiler: str
    cycles: int


def baseline(m: Measurement, earlier: Sequence[GoldenRun]) -> Baseline | None:
    """That of the image and of the kind of board that `m` was made with; None while unknown.

    earlier: golden runs of boards of that type, oldest first.
    """
    for row in table():
        if (row.image_sha256, row.timing_model) == (m.image_sha256, kind(m)):
            return Baseline(row.cycles, f"the table of {row.mcu}")
    same = [run.cycles for run in earlier if run.ok and run.cycles and _is_like(run, m)]
    if len(same) < LEARN_RUNS:
        return None
    first = statistics.median_low(same[:LEARN_RUNS])
    return Baseline(first, f"the first {LEARN_RUNS} good runs on {m.board_type} boards")


def kind(m: Measurement) -> str:
    """The cycle model of a virtual board, or silicon: their cycles must not be mixed."""
    return m.timing_model or SILICON


@lru_cache(maxsize=1)
def table() -> tuple[Row, ...]:
    """The rows of cycles.yaml; `python -m farm.golden` writes them."""
    return tuple(
        Row(
            fields.text("mcu"),
            fields.text("timing_model"),
            fields.text("image_sha256", pattern="[0-9a-f]{64}"),
            fields.text("compiler"),
            fields.number("cycles", low=1, high=10**12),
        )
        for fields in load_items(TABLE, KEYS, "row")
    )


def _is_like(run: GoldenRun, m: Measurement) -> bool:
    return (run.board_type, run.facts.get("image_sha256"), run.facts.get("kind")) == (
        m.board_type,
        m.image_sha256,
        kind(m),
    )
