"""What a soak uses of its host at one moment: processes, memory, descriptors, terminals, files."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["manager", "worker", "daemon", "tool"]
KINDS: tuple[Kind, ...] = ("manager", "worker", "daemon", "tool")
_MODULES: dict[str, Kind] = {"farm.worker": "worker", "farm.virtual": "daemon"}
_TERMINAL = "/dev/ptmx", "/dev/pts/ptmx"  # the near end of a pseudo-terminal
_PTY_COUNT = Path("/proc/sys/kernel/pty/nr")


@dataclass(frozen=True)
class Folders:
    """The folders that belong to one soak alone."""

    state: Path  # what XDG_STATE_HOME is for its processes
    temporary: Path  # what TMPDIR is


@dataclass(frozen=True)
class Process:
    """One process; memory in KiB: `pss` with its share of what others have mapped too, `own`
    what it has written and has to itself, which does not change with the others.
    """

    pid: int
    kind: Kind
    rss_kib: int
    pss_kib: int
    own_kib: int
    descriptors: int
    terminals: int
    threads: int


@dataclass(frozen=True)
class Sample:
    """Everything at one moment; `at_s` since the start of the soak."""

    at_s: float
    processes: tuple[Process, ...]
    files: int  # in the state folder, without those that SQLite makes and removes
    temporary: int  # entries in the temporary folder
    host_terminals: int  # pseudo-terminals of the whole host
    done: int = 0  # measurements so far
    failures: int = 0
    retries: int = 0

    def total(self, kind: Kind, what: str) -> int:
        """The sum over one kind of process of `pss_kib`, `descriptors` or the like."""
        return sum(int(getattr(p, what)) for p in self.processes if p.kind == kind)

    def number(self, kind: Kind) -> int:
        """How many processes of one kind."""
        return sum(p.kind == kind for p in self.processes)

    def to_json(self) -> dict[str, Any]:
        """The sums as JSON values, by kind."""
        sums: dict[str, dict[str, int]] = {
            kind: {"count": self.number(kind)}
            | {
                w: self.total(kind, w)
                for w in ("rss_kib", "pss_kib", "own_kib", "descriptors", "terminals")
            }
            for kind in KINDS
        }
        return {
            "at_s": round(self.at_s, 1),
            **sums,
            "files": self.files,
            "temporary": self.temporary,
            "host_terminals": self.host_terminals,
            "done": self.done,
            "failures": self.failures,
            "retries": self.retries,
        }


def take(folders: Folders, started_s: float, **counts: int) -> Sample:
    """A sample now; `started_s` by time.monotonic()."""
    state = [path for path in folders.state.rglob("*") if path.suffix not in _PASSING]
    host = _PTY_COUNT.read_text(encoding="ascii").strip() if _PTY_COUNT.exists() else "0"
    return Sample(
        time.monotonic() - started_s,
        tuple(_processes(folders)),
        len(state),
        len(list(folders.temporary.iterdir())),
        int(host),
        **counts,
    )


def pids(folders: Folders, kind: Kind, *, of: int) -> list[int]:
    """The processes of one kind now that the process `of` has started."""
    mark = f"XDG_STATE_HOME={folders.state}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):  # it ended while it was looked at
                its = _kind(entry, mark) == kind and _fields(entry / "status")["PPid"] == of
                found += [int(entry.name)] if its else []
    return found


_PASSING = frozenset({".db-wal", ".db-shm", ".db-journal"})


def _processes(folders: Folders) -> Iterator[Process]:
    mark = f"XDG_STATE_HOME={folders.state}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):  # it ended while it was looked at
            if kind := _kind(entry, mark):
                yield _process(entry, kind)


def _kind(entry: Path, mark: bytes) -> Kind | None:
    if int(entry.name) == os.getpid():
        return "manager"
    if mark not in (entry / "environ").read_bytes().split(b"\0"):
        return None
    words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
    return next((kind for module, kind in _MODULES.items() if module in words), "tool")


def _process(entry: Path, kind: Kind) -> Process:
    links = [_target(link) for link in (entry / "fd").iterdir()]
    memory = _fields(entry / "smaps_rollup")
    status = _fields(entry / "status")
    return Process(
        int(entry.name),
        kind,
        memory.get("Rss", 0),
        memory.get("Pss", 0),
        memory.get("Private_Dirty", 0),
        len(links),
        sum(link in _TERMINAL for link in links),
        status.get("Threads", 0),
    )


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # closed meanwhile
        return ""


def _fields(path: Path) -> dict[str, int]:
    """`Name: number ...` lines."""
    found = {}
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdecimal():
            found[name] = int(words[0])
    return found
