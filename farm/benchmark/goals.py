"""What the figures are meant to be, from docs/benchmarks-goals.csv, and whether they are."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.mode import FASTEST
from farm.benchmark.markdown import NONE, table
from farm.benchmark.names import board_name
from farm.benchmark.record import KERNELS, Part, Record
from farm.errors import InventoryError

_COLUMNS = ("network", "as", "mode", "core", "kind", "figure", "at_most")


@dataclass(frozen=True)
class Goal:
    """One limit. An empty network or core: of all; kind: a kind of layer, or a kernel's case.

    figure: a key of FIGURES.
    """

    network: str
    variant: str
    mode: str
    core: str
    kind: str
    figure: str
    at_most: float

    def is_of(self, record: Record) -> bool:
        """Whether the record is one that it limits."""
        named = self.network in ("", record.case) and self.core in ("", record.core)
        return named and (self.variant, self.mode) == (record.variant, record.mode)


@dataclass(frozen=True)
class _Seen:
    """What a goal looks at. part: None for the whole; fastest: the same in the fastest mode."""

    record: Record
    part: Part | None
    fastest: Record | None


def _per(count: int, divisor: int) -> float | None:
    return count / divisor if divisor else None


def _cycles_a_mac(seen: _Seen) -> float | None:
    found = seen.part or seen.record
    return _per(found.cycles, found.macs)


def _instructions_a_mac(seen: _Seen) -> float | None:
    found = seen.part or seen.record
    return None if found.instructions is None else _per(found.instructions, found.macs)


def _instructions_an_output(seen: _Seen) -> float | None:
    part = seen.part
    return None if part is None or part.instructions is None else part.instructions / part.outputs


def _more_cycles(seen: _Seen) -> float | None:
    fastest = seen.fastest
    return None if fastest is None else (seen.record.cycles / fastest.cycles - 1) * 100


FIGURES: Mapping[str, Callable[[_Seen], float | None]] = {
    "cycles a MAC": _cycles_a_mac,
    "instructions a MAC": _instructions_a_mac,
    "instructions an output": _instructions_an_output,
    "stack bytes": lambda seen: float(seen.record.stack_bytes),
    "code bytes": lambda seen: float(seen.record.code_bytes),
    "percent more cycles": _more_cycles,
}


def load_goals(path: Path) -> tuple[Goal, ...]:
    """Every row; InventoryError names the line that makes no sense."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != _COLUMNS:
                raise InventoryError(f"{path}: its columns are not {', '.join(_COLUMNS)}")
            return tuple(_goal(row, f"{path}, line {reader.line_num}") for row in reader)
    except OSError as error:
        raise InventoryError(f"{path}: cannot be read: {error.strerror or error}") from error


def _goal(row: dict[str, str], where: str) -> Goal:
    if row["figure"] not in FIGURES:
        raise InventoryError(f"{where}: figure {row['figure']!r} is none of {', '.join(FIGURES)}")
    try:
        network, variant, mode, core, kind, figure, at_most = (row[name] for name in _COLUMNS)
        return Goal(network, variant, mode, core, kind, figure, float(at_most))
    except (ValueError, TypeError) as error:
        raise InventoryError(f"{where}: {error}") from error


def goal_table(goals: Sequence[Goal], records: Sequence[Record]) -> str:
    """One row a goal and record; records: the last of each case."""
    head = ("network", "board", "as", "mode", "kind", "figure", "goal ", "here ", "")
    return table(head, [row for goal in goals for row in _rows(goal, records)])


def _rows(goal: Goal, records: Sequence[Record]) -> Iterator[tuple[str, ...]]:
    for record in records:
        if not goal.is_of(record) or (not goal.network and record.case == KERNELS):
            continue
        part = next((p for p in record.parts if p.label == goal.kind), None)
        if goal.kind and part is None:
            continue
        value = FIGURES[goal.figure](_Seen(record, part, _fastest(record, records)))
        if value is not None:
            yield (
                record.case,
                board_name(record),
                record.variant,
                record.mode,
                goal.kind or NONE,
                goal.figure,
                f"{goal.at_most:,g}",
                _shown(value),
                _verdict(value, goal.at_most),
            )


def _fastest(record: Record, records: Sequence[Record]) -> Record | None:
    same = (r for r in records if r.key[:-1] == record.key[:-1] and r.mode == FASTEST)
    return next(same, None)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _verdict(value: float, at_most: float) -> str:
    if value <= at_most:
        return "met"
    return f"**missed** by {(value / at_most - 1) * 100:.1f} %"
