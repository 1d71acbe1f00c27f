"""Time that no clock step moves, and processes that no reused id confuses, within one boot.

`now_s` is the same clock in every process of the host (CLOCK_MONOTONIC); it starts anew when the
host does, which `boot_id` tells. A process id is used again after its process ended; with the
time at which the process started it names one process only.
"""

import os
import pwd
import time
from functools import lru_cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_STATE, _STARTED = 0, 19  # fields 3 and 22 of /proc/PID/stat, behind the name; proc(5)


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
    fields = _stat(pid)
    return int(fields[_STARTED]) if len(fields) > _STARTED else 0


def is_stopped(pid: int) -> bool:
    """Whether the process is stopped, by a signal or by a debugger."""
    return _stat(pid)[_STATE : _STATE + 1] in (["T"], ["t"])


def is_alive(pid: int, started_ticks: int) -> bool:
    """Whether that very process still runs; one of another user counts too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, and belongs to somebody else
    return started(pid) in (0, started_ticks)


def user_of(pid: int) -> str:
    """The name of the process's user, its number where there is no name; '' for no process."""
    try:
        number = Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return ""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name in brackets; none where there is no such."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
