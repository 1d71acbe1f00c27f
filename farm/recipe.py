"""Recipe: how much work a measurement is, by what it is for.

A search asks many boards many times and compares close calls again; a final figure is published.
"""

from collections.abc import Mapping
from dataclasses import dataclass

EQUAL_ENOUGH = 3
"""As many equal samples and no other one: more would show nothing new."""


@dataclass(frozen=True)
class Recipe:
    """samples: timed inferences at least; on_device_s: their time together at least, where samples
    differ and time is the board's own; clock_window_s: for which the core clock is held against the
    host's (1 ms of jitter on USB in half a second is 0.2 %); verified_again: whether flash is read
    back behind the last run, for code that rots on the way may still give the right output.
    """

    samples: int
    on_device_s: float
    clock_window_s: float
    verified_again: bool = True

    def is_enough(self, samples: tuple[int, ...], asked: int, clock_hz: int) -> bool:
        """Whether those samples will do; `asked`: for so many was asked by name."""
        if len(samples) < max(asked, self.samples):
            return False
        return len(set(samples)) == 1 or sum(samples) >= self.on_device_s * clock_hz


RECIPES: Mapping[str, Recipe] = {
    "search": Recipe(EQUAL_ENOUGH, 0.0, 0.5, verified_again=False),
    "calibration": Recipe(EQUAL_ENOUGH, 0.0, 0.5),
    "golden": Recipe(EQUAL_ENOUGH, 0.0, 2.0),
    "final": Recipe(10, 10.0, 10.0),
}
"""By the purpose of a job; see farm.job.Purpose."""
