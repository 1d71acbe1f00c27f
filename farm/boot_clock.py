"""Time that no clock step moves, and processes that no reused id confuses, within one boot.

`now_s` is the same clock in every process of the host (CLOCK_MONOTONIC); it starts anew when the
host does, which `boot_id` tells. A process id is used again after its process ended; with the
time at which the process started it names one process only.
"""

import os
import time
from functools import lru_cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_STARTED = 19  # field 22 of /proc/PID/stat, counted behind the name in brackets; proc(5)


def now_s() -> float:
    """Seconds since the host started; never stepped."""
    return time.monotonic()


@lru_cache(maxsize=1)
def boot_id() -> str:
    """This boot of this host; '' where the system does not tell (then nothing outlives one)."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def started(pid: int) -> int:
    """When the process started, in clock ticks since boot; 0 where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return int(text.rpartition(")")[2].split()[_STARTED])
    except (OSError, ValueError, IndexError):
        return 0


def is_alive(pid: int, started_ticks: int) -> bool:
    """Whether that very process still runs; one of another user counts too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, and belongs to somebody else
    return started(pid) in (0, started_ticks)
