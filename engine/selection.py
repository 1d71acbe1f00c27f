"""Selection: which kernel runs each operator, and which C files are compiled for size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.kernel_row import KernelRow

SMALL_FLAGS = ("-Os",)
"""Behind all others, of files that are compiled for size."""


@dataclass(frozen=True)
class Selection:
    """rows: of each operator, by its index; small: names of C files."""

    rows: tuple[KernelRow, ...]
    small: frozenset[str] = frozenset()

    @property
    def flags(self) -> Mapping[str, tuple[str, ...]]:
        """Compiler flags that a C file has beside those of all."""
        return dict.fromkeys(sorted(self.small), SMALL_FLAGS)
