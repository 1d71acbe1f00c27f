"""Who holds which lock on a file, as the kernel lists it (/proc/locks, proc(5))."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Literal

_LIST = Path("/proc/locks")
Kind = Literal["FLOCK", "POSIX"]


def lockers(path: Path, kind: Kind, how: Collection[str] = ("WRITE",)) -> list[int]:
    """The processes that have an exclusive lock of that kind on the file, or on a part of it.

    how: WRITE for exclusive locks, READ for shared ones.

    None where the kernel lists no locks (but Linux), or lists them by other devices than stat(2)
    knows (btrfs); a process of another container may be left out.
    """
    try:
        about = path.stat()
        lines = _LIST.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    file = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"
    found = (line.split()[1:6] for line in lines)  # kind, how strict, READ or WRITE, pid, file
    return [int(row[3]) for row in found if (row[0], row[4:]) == (kind, [file]) and row[2] in how]
