"""What the modes cost: less flash for more cycles, beside the fastest of the same network."""

from __future__ import annotations

from collections.abc import Sequence

from engine.mode import FASTEST, MODES
from farm.benchmark.markdown import table, whole
from farm.benchmark.names import board_name
from farm.benchmark.record import Record

HEAD = (
    *("network", "board", "as", "mode", "cycles ", "to the fastest ", "code ", "constants "),
    *("to the fastest ", "arena ", "stack "),
)


def mode_table(records: Sequence[Record]) -> str:
    """One row a mode, of networks that were measured in several. records: the last of each case."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(record.key[:-1], []).append(record)
    rows = []
    for group in groups.values():
        fastest = next((r for r in group if r.mode == FASTEST), None)
        if fastest and len(group) > 1:
            ranked = sorted(group, key=lambda r: MODES.index(r.mode))
            rows += [_row(record, fastest) for record in ranked]
    return table(HEAD, rows)


def _row(record: Record, fastest: Record) -> tuple[str, ...]:
    return (
        record.case,
        board_name(record),
        record.variant,
        record.mode,
        whole(record.cycles),
        _percent(record.cycles, fastest.cycles),
        whole(record.code_bytes),
        whole(record.constant_bytes),
        _percent(_flash(record), _flash(fastest)),
        whole(record.arena_bytes),
        whole(record.stack_bytes),
    )


def _flash(record: Record) -> int:
    return record.code_bytes + record.constant_bytes


def _percent(value: int, of: int) -> str:
    return f"{(value / of - 1) * 100:+.1f} %" if value != of else "-"
