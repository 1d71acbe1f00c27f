"""Cycle samples of one network: unwrapped, judged, summarised, and never dropped.

A median instead of a mean, since what disturbs a core only ever adds cycles; a sample far from it
is flagged and kept. On a core without caches, or with caches that are warm, all samples are equal
and any spread is a sign that something else ran.
"""

import statistics
from collections.abc import Sequence

WRAP = 1 << 32
"""DWT_CYCCNT has 32 bits: it wraps after 8.9 s at 480 MHz."""
STEADY_PERCENT = 0.1
FAR_MADS = 5
FAR_PERCENT = 0.2
FAR_CYCLES = 64
"""What a core in order may differ by, however short the network: some lines of flash or of RAM
that are fetched at the start of a run or not (8 wait states each), as the run before left them. An
interrupt costs more: 24 cycles to enter and leave, its vector and code from flash, and its work."""
MOST_FAR_PERCENT = 10.0


def unwrapped(cycles: int, near: int) -> int:
    """The count whose low 32 bits are `cycles`, the one closest to `near`."""
    turns = max(0, round((near - cycles) / WRAP))
    return cycles + turns * WRAP


def median(samples: Sequence[int]) -> int:
    """The lower median of raw cycle samples: a value that was really measured."""
    return statistics.median_low(samples)


def iqr(samples: Sequence[int]) -> int:
    """From the lower to the upper quartile, in cycles; 0 with fewer than four samples."""
    if len(samples) < 4:
        return 0
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return round(high - low)


def spread_percent(samples: Sequence[int]) -> float:
    """(max - min) / median, in percent; 0 on a board whose runs repeat exactly."""
    return (max(samples) - min(samples)) / max(1, median(samples)) * 100.0


def is_steady(samples: Sequence[int]) -> bool:
    """Whether the first two are within 0.1 %: what warms up has warmed up before them."""
    return len(samples) < 2 or spread_percent(samples[:2]) <= STEADY_PERCENT


def outliers(samples: Sequence[int]) -> tuple[int, ...]:
    """Which samples are far from the median, by their place.

    Far is more than five times the median distance from it, 0.2 % of it, and 64 cycles.
    """
    middle = median(samples)
    mad = median([abs(each - middle) for each in samples])
    far = max(FAR_MADS * mad, FAR_PERCENT / 100 * middle, FAR_CYCLES)
    return tuple(at for at, each in enumerate(samples) if abs(each - middle) > far)


def scatter(samples: Sequence[int]) -> bool:
    """Whether so many samples are far that their median says little."""
    return len(outliers(samples)) > MOST_FAR_PERCENT / 100 * len(samples)
