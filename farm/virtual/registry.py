"""Which virtual boards are up: one JSON record a board in the user's state directory.

A record is written by the daemon when it answers and removed when it ends. After SIGKILL it stays
behind, so a record alone proves nothing: the daemon's `flock`, which the kernel frees, does.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path

from platformdirs import user_state_path

_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TRY_EVERY_S = 0.02
SOCKET_PREFIX = "tinyrack-"  # of the directory that holds a daemon's socket
SOCKET = "board"
_HOME_TRIES = 16
_REWRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
_CODE_SUFFIXES = (".py", ".c", ".h", ".yaml")


@dataclass(frozen=True)
class Record:
    """What a client needs to reach one daemon, and what the daemon runs."""

    uid: str
    pid: int
    socket: str
    tty: str  # a symbolic link with a stable path to the pseudo-terminal of the console
    mcu: str
    target: str  # pyOCD's name of the part
    timing_model: str
    code: str  # see `code_hash`


def check_uid(uid: str) -> str:
    """`uid` itself; ValueError when it is no plain name, since it becomes part of file names."""
    if not _UID.fullmatch(uid):
        raise ValueError(f"{uid!r} is no probe id: use up to 64 letters, digits, '.', '_' and '-'")
    return uid


def state_dir() -> Path:
    """The directory of everything below, private to the user whatever the umask.

    Raises PermissionError when it, or the one above it, belongs to another user.
    """
    path: Path = user_state_path("tinyrack") / "virtual"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in (path.parent, path):
        found = each.stat()
        if found.st_uid != os.getuid():
            raise PermissionError(errno.EPERM, "it belongs to another user", str(each))
        if found.st_mode & 0o077:
            each.chmod(0o700)
    return path


def state_file(uid: str, suffix: str) -> Path:
    """The board's file of one kind: json, lock, flash, log, home or tty."""
    return state_dir() / f"{check_uid(uid)}.{suffix}"


def write_record(record: Record) -> None:
    """Publish the record at once or not at all."""
    path = state_file(record.uid, "json")
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    draft.replace(path)


def read_record(uid: str) -> Record | None:
    """The board's record; None when there is none or it is not one of ours."""
    try:
        values = json.loads(state_file(uid, "json").read_bytes())
    except (OSError, ValueError):
        return None
    kinds = {field.name: int if field.name == "pid" else str for field in fields(Record)}
    if not isinstance(values, dict) or values.keys() != kinds.keys():
        return None
    if any(not isinstance(values[name], kind) for name, kind in kinds.items()):
        return None
    return Record(**values) if values["uid"] == uid else None


def remove_record(uid: str) -> None:
    """Withdraw the record and the link to the console."""
    state_file(uid, "json").unlink(missing_ok=True)
    state_file(uid, "tty").unlink(missing_ok=True)


def sweep(uid: str) -> None:
    """Remove what a daemon that was killed left behind; only for who holds the board's lock."""
    remove_home(uid)
    remove_record(uid)
    for draft in state_dir().glob("*.tmp"):  # of a record or link that was never finished
        if re.fullmatch(rf"{re.escape(uid)}\.[0-9]+\.tmp", draft.name):
            draft.unlink(missing_ok=True)


def make_home(uid: str) -> Path:
    """A new private directory for a daemon's socket, short enough for sun_path.

    Where it will be is written down first, so that it is found whenever the daemon is killed.
    What already has its name is somebody else's: another name is taken.
    """
    note = state_file(uid, "home")
    for _ in range(_HOME_TRIES):
        home = Path(tempfile.gettempdir(), SOCKET_PREFIX + secrets.token_hex(4))
        with os.fdopen(os.open(note, _REWRITE, 0o600), "w", encoding="utf-8") as file:
            file.write(str(home))
        with contextlib.suppress(FileExistsError):
            home.mkdir(mode=0o700)
            return home
    raise FileExistsError(errno.EEXIST, "somebody takes every name before it is used", str(home))


def remove_home(uid: str) -> None:
    """The directory that `make_home` made, if it still is that, and the word of it."""
    note = state_file(uid, "home")
    with contextlib.suppress(OSError, ValueError):  # gone with a reboot, or somebody else's since
        home = Path(note.read_text(encoding="utf-8"))
        if home.name.startswith(SOCKET_PREFIX) and _is_own_directory(home):
            (home / SOCKET).unlink(missing_ok=True)
            home.rmdir()
    note.unlink(missing_ok=True)


def _is_own_directory(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def records() -> Iterator[Record]:
    """Every readable record, by id; some may be left over from daemons that were killed."""
    for path in sorted(state_dir().glob("*.json")):
        if _UID.fullmatch(path.stem) and (record := read_record(path.stem)):
            yield record


def tty_path(uid: str) -> Path:
    """The stable path of the board's console, there while the board is up."""
    return state_file(uid, "tty")


def take_lock(uid: str, tries: int = 1) -> int | None:
    """A file descriptor that holds the board until it is closed; None if a daemon holds it.

    `has_daemon` in another process stands in the way for an instant: who must be sure asks for
    more tries, _TRY_EVERY_S apart.
    """
    lock = os.open(state_file(uid, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(tries):
        if _try_flock(lock, fcntl.LOCK_EX):
            return lock
        time.sleep(_TRY_EVERY_S)
    os.close(lock)
    return None


def has_daemon(uid: str) -> bool:
    """Whether a living daemon holds the board, answering or not."""
    try:
        lock = os.open(state_file(uid, "lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    free = _try_flock(lock, fcntl.LOCK_SH)  # shared: two who ask do not see each other
    os.close(lock)
    return not free


def _try_flock(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def holder_pid(uid: str) -> int | None:
    """The process that holds the board, from its lock file; None when nobody does."""
    if not has_daemon(uid):
        return None
    text = state_file(uid, "lock").read_text(encoding="ascii", errors="replace")
    return int(text) if text.isdecimal() else None


def held_uids() -> list[str]:
    """The ids of all boards with a living daemon, whether or not it has a record."""
    stems = (path.stem for path in sorted(state_dir().glob("*.lock")))
    return [stem for stem in stems if _UID.fullmatch(stem) and has_daemon(stem)]


def code_hash(mcu: str) -> str:
    """A hash of the sources that a daemon for `mcu` runs, to notice one that runs older ones."""
    return _hash_of(mcu, tuple(sorted(_sources(Path(__file__).parent))))


def _sources(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Path, size in bytes and time of change in ns of each, which tell whether to read it anew."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _sources(Path(entry.path))
            elif entry.name.endswith(_CODE_SUFFIXES):
                found = entry.stat()
                yield entry.path, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=32)
def _hash_of(mcu: str, sources: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256(mcu.encode())
    for name, _, _ in sources:
        path = Path(name)
        digest.update(path.relative_to(Path(__file__).parent).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
