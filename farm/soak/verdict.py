"""Whether a soak leaked: memory that grows, counts that do not stay, what is left at its end."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from farm.soak.census import Kind, Sample

GROWTH_LIMIT_KIB_PER_MINUTE = 32.0  # of one process on average: 45 MiB a day
NOISE_KIB = 1024.0  # by how much a heap goes up and down in use: what may pass for growth
DESCRIPTORS_PER_TURN = 8  # what a board in use may have open more than one at rest
MEMORY_KINDS: tuple[Kind, ...] = ("manager", "worker", "daemon")
_LEAST_SAMPLES = 4  # fewer behind the warm-up, and a slope means nothing


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `value` may be at most `limit`."""

    what: str
    value: float
    limit: float
    unit: str = ""

    @property
    def fine(self) -> bool:
        """Whether it is within its limit."""
        return self.value <= self.limit


@dataclass(frozen=True)
class Work:
    """What was measured in the whole soak, and what is left when all is closed."""

    done: int
    failures: int
    wrong: int  # results with a wrong output, or with other cycles than the first of their kind
    processes_left: int
    files_left: int  # records, sockets, links and folders for sockets
    descriptors_left: int  # of this process, more than before


def judge(samples: Sequence[Sample], at_once: int, work: Work) -> list[Finding]:
    """Every finding; those of growth only with enough samples behind the warm-up.

    The warm-up is a third of the time. Growth below NOISE_KIB in all is none.
    """
    steady = warm(samples)
    found = [
        Finding("measurements that failed", work.failures, 0),
        Finding("results that were wrong or did not repeat", work.wrong, 0),
        Finding("minutes without a measurement", _idle(steady), 0),
        Finding("processes left at the end", work.processes_left, 0),
        Finding("records, sockets, links left at the end", work.files_left, 0),
        Finding("descriptors left open in the manager", work.descriptors_left, 0),
    ]
    if len(steady) < _LEAST_SAMPLES:
        return found
    minutes = (steady[-1].at_s - steady[0].at_s) / 60
    limit = max(GROWTH_LIMIT_KIB_PER_MINUTE, NOISE_KIB / max(minutes, 0.01))
    for kind in MEMORY_KINDS:
        unit = "KiB a minute and process"
        found.append(Finding(f"growth of a {kind}", _growth(steady, kind), limit, unit))
    room = at_once * DESCRIPTORS_PER_TURN
    for what, number, limit in _counts(room):
        found.append(Finding(f"more {what}", _more(steady, number), limit))
    return found


def warm(samples: Sequence[Sample]) -> list[Sample]:
    """The samples behind the warm-up."""
    last_s = samples[-1].at_s if samples else 0.0
    return [s for s in samples if s.at_s >= last_s / 3]


def _counts(room: int) -> tuple[tuple[str, Callable[[Sample], int], float], ...]:
    return (
        ("workers", lambda s: s.number("worker"), 0),
        ("daemons", lambda s: s.number("daemon"), 0),
        ("descriptors of workers", lambda s: s.total("worker", "descriptors"), room),
        ("descriptors of daemons", lambda s: s.total("daemon", "descriptors"), room),
        ("descriptors of the manager", lambda s: s.total("manager", "descriptors"), 4),
        ("threads", lambda s: sum(p.threads for p in s.processes if p.kind != "tool"), room),
        ("pseudo-terminals", lambda s: s.total("daemon", "terminals"), 0),
        ("files in the state folder", lambda s: s.files, 0),
        ("temporary files", lambda s: s.temporary, 0),
    )


def _growth(samples: Sequence[Sample], kind: Kind) -> float:
    """The least-squares slope of the own memory of one process of a kind, in KiB a minute."""
    minutes = [s.at_s / 60 for s in samples]
    each = [s.total(kind, "own_kib") / max(1, s.number(kind)) for s in samples]
    return statistics.linear_regression(minutes, each).slope


def _more(samples: Sequence[Sample], number: Callable[[Sample], int]) -> float:
    """By how much the median of the last third is above that of the first."""
    third = max(1, len(samples) // 3)
    first, last = samples[:third], samples[-third:]
    return statistics.median(map(number, last)) - statistics.median(map(number, first))


def _idle(samples: Sequence[Sample]) -> int:
    return sum(b.done == a.done and b.at_s - a.at_s > 30 for a, b in pairwise(samples))
