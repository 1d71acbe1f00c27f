"""Prices: what kernels cost on each core, in cycles by the counts of their loops and in code.

``prices.jsonl`` has one line a kernel and one a C function, for each core and each way to compile.
`python -m nas.prices` measures and writes it, by virtual boards and the compiled objects.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from engine.kernel_row import Description, Features, KernelRow

FILE = Path(__file__).parent / "prices.jsonl"
CORES = ("cortex-m4", "cortex-m7")
FAST, SMALL = "fast", "small"
LEVELS = (FAST, SMALL)
"""Compiled as all files are, and with SMALL_FLAGS behind."""

Key = tuple[str, str, str]
"""Core, level, name of a kernel or function."""


@dataclass(frozen=True)
class Piece:
    """One C function: where it stands, its bytes with its constants, and what it refers to."""

    source: str
    byte_count: int
    calls: tuple[str, ...]


@dataclass(frozen=True)
class Prices:
    """cycles: of one unit of each count of a kernel; pieces: C functions."""

    cycles: Mapping[Key, Mapping[str, float]]
    pieces: Mapping[Key, Piece]

    def kernel_cycles(self, core: str, level: str, kernel: str, counts: Features) -> float | None:
        """Of one call; None where the kernel, or one of its counts, was never measured."""
        known = self.cycles.get((core, level, kernel))
        if known is None or any(count and name not in known for name, count in counts.items()):
            return None
        return sum(known.get(name, 0.0) * count for name, count in counts.items())

    def is_function(self, name: str) -> bool:
        """Whether it is a C function of the engine."""
        return (CORES[0], FAST, name) in self.pieces


@cache
def prices() -> Prices:
    """Those that come with the engine."""
    return parsed(FILE.read_text(encoding="utf-8").splitlines())


def parsed(lines: Sequence[str]) -> Prices:
    """Those of a file; its first line says how they were made."""
    cycles: dict[Key, Mapping[str, float]] = {}
    pieces: dict[Key, Piece] = {}
    for row in map(json.loads, lines[1:]):
        place = row["core"], row["level"]
        if "kernel" in row:
            cycles[*place, row["kernel"]] = row["cycles"]
        else:
            pieces[*place, row["function"]] = Piece(
                row["source"], row["bytes"], tuple(row["calls"])
            )
    return Prices(cycles, pieces)


def roots(row: KernelRow, about: Description) -> tuple[str, ...]:
    """C functions that an operator's call and constants name."""
    known = prices()
    named = (str(value) for value in about.fields.values())
    return (row.c_name, *sorted({name for name in named if known.is_function(name)}))
