"""Selection: which kernel runs each operator, and which C files are compiled for size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from engine.kernel_row import KernelRow

Mode = Literal["fastest", "balanced", "smallest"]
"""fastest: the fewest cycles, whatever they take of flash; balanced: the least flash, code and
constants, that costs at most BALANCED_PERCENT more cycles; smallest: the least flash. None of them
takes more of the arena, or a kernel that is only there to hold fast ones against."""

MODES: tuple[Mode, ...] = get_args(Mode)
FASTEST: Mode = "fastest"
BALANCED_PERCENT = 8
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
