"""Boards and cores as pages call them: what is virtual always says so."""

from __future__ import annotations

from farm.benchmark.record import Record


def board_name(record: Record) -> str:
    """In Markdown."""
    return f"**virtual** `{record.board_type}`" if record.virtual else f"`{record.board_type}`"


def core_name(core: str) -> str:
    """Cortex-M4 of cortex-m4."""
    return core.replace("cortex-m", "Cortex-M")
