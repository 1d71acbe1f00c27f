"""CPU time and memory of the two processes that share the work: this one, and a board's daemon."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_NANOSECONDS = 1e-9


@dataclass(frozen=True)
class Cost:
    """Seconds of CPU of this process and of the daemon, and seconds that passed."""

    client_s: float
    daemon_s: float
    wall_s: float

    @property
    def cpu_s(self) -> float:
        """Both processes together."""
        return self.client_s + self.daemon_s


def cost_of(step: Callable[[], object], pid: int) -> Cost:
    """Do the step; what it costs here and in process `pid`."""
    before = time.process_time(), cpu_s(pid), time.perf_counter()
    step()
    after = time.process_time(), cpu_s(pid), time.perf_counter()
    return Cost(*(b - a for a, b in zip(before, after, strict=True)))


def cpu_s(pid: int) -> float:
    """Seconds on a CPU so far, all threads together; OSError when it has gone."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    spent = (int((thread / "schedstat").read_text().split()[0]) for thread in threads)
    return sum(spent) * _NANOSECONDS


def wakeups(pid: int) -> int:
    """How often it has waited for something and gone on."""
    return _fields(Path(f"/proc/{pid}/status"))["voluntary_ctxt_switches"]


def memory_bytes(pid: int) -> tuple[int, int]:
    """Resident memory, and the same with what is shared divided among those that share it."""
    found = _fields(Path(f"/proc/{pid}/smaps_rollup"))
    return found["Rss"] * 1024, found["Pss"] * 1024


def _fields(path: Path) -> dict[str, int]:
    pairs = (line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    values = ((name, value.split()) for name, value in pairs)
    return {name: int(value[0]) for name, value in values if value and value[0].isdigit()}
