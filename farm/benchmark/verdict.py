"""Which networks became slower or larger than what the record holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from farm.benchmark.record import KERNELS, Record
from farm.benchmark.record_file import latest

LIMIT_PERCENT = 1
METRICS = {
    "cycles": "cycles",
    "arena_bytes": "bytes of arena",
    "flash_bytes": "bytes of flash",
    "stack_bytes": "bytes of stack",
}


@dataclass(frozen=True)
class Change:
    """One figure of a network, now and as the record has it."""

    title: str
    metric: str
    before: int
    after: int

    @property
    def worse(self) -> bool:
        """By more than LIMIT_PERCENT; exact, in integers."""
        return self.after * 100 > self.before * (100 + LIMIT_PERCENT)

    @property
    def better(self) -> bool:
        """By anything at all."""
        return self.after < self.before

    def __str__(self) -> str:
        share = f"{(self.after / self.before - 1) * 100:+.2f} %" if self.before else "from nothing"
        return f"{self.title}: {self.before:,} -> {self.after:,} {METRICS[self.metric]} ({share})"


def changes(history: Sequence[Record], new: Sequence[Record]) -> tuple[Change, ...]:
    """Every figure of a network that differs from the one that it is held against.

    That is the least since the last record that was accepted, so that no sum of small steps goes
    unnoticed. Cycles of another timing model, and a case that has no record, are not compared.
    """
    found = []
    for record in new:
        for metric in METRICS if record.case != KERNELS else ():
            before = _held(history, record, metric)
            change = Change(record.title, metric, before or 0, getattr(record, metric))
            if before is not None and change.before != change.after:
                found.append(change)
    return tuple(found)


def _held(history: Sequence[Record], new: Record, metric: str) -> int | None:
    values: list[int] = []
    for old in history:
        if old.key != new.key or (metric == "cycles" and old.timing_model != new.timing_model):
            continue
        if old.accepted:
            values.clear()
        values.append(getattr(old, metric))
    return min(values, default=None)


def slower_kernels(history: Sequence[Record], new: Sequence[Record]) -> tuple[Change, ...]:
    """Cases of the kernel suite slower than last time by more than LIMIT_PERCENT; for a note."""
    before = {record.key: record for record in latest(history)}
    found = []
    for record in new:
        old = before.get(record.key)
        if record.case != KERNELS or old is None or old.timing_model != record.timing_model:
            continue
        cycles = {part.label: part.cycles for part in old.parts}
        for part in record.parts:
            title = f"{part.label} on {record.board_type}"
            found.append(Change(title, "cycles", cycles.get(part.label, part.cycles), part.cycles))
    return tuple(change for change in found if change.worse)


def accepted(new: Sequence[Record], found: Sequence[Change], reason: str) -> tuple[Record, ...]:
    """The records, those that are worse with the reason why they may be."""
    worse = {change.title for change in found if change.worse}
    return tuple(replace(r, accepted=reason) if r.title in worse else r for r in new)
