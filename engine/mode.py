"""Mode: what matters in the choice of kernels."""

from typing import Literal, get_args

Mode = Literal["fastest", "balanced", "smallest"]
"""fastest: the fewest cycles, whatever they take of flash; balanced: the least flash, code and
constants, that costs at most BALANCED_PERCENT more cycles; smallest: the least flash. None of them
takes more of the arena, or a kernel that is only there to hold fast ones against."""

MODES: tuple[Mode, ...] = get_args(Mode)
FASTEST: Mode = "fastest"
BALANCED_PERCENT = 8
