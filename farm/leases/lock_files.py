"""Where the leases of a board are kept, and the kernel lock that decides them.

The lock of a real board is one for all users of the host, since all of them can reach its probe:
its folder is `HOST_FOLDER`, in which everybody may write. A virtual board belongs to the user who
started it, and so do its leases. Locks are `flock`s: the kernel frees them when their process
ends, whatever ends it. Children that are forked while a lock is held do not keep it.
"""

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from farm.errors import FarmError
from farm.leases.kernel_locks import lockers
from farm.rack.inventory import Board

HOST_FOLDER = Path("/var/tmp/tinyrack")  # survives reboots, and everybody may write there
_ALL_MAY = 0o666
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_open: set[int] = set()  # descriptors of locks in this process


@dataclass(frozen=True)
class Place:
    """A folder of locks and their database; shared: by all users of the host."""

    folder: Path
    shared: bool

    @property
    def database(self) -> Path:
        """The file with the rows beside the locks."""
        return self.folder / "leases.db"

    def lock_path(self, uid: str) -> Path:
        """The lock of one probe, by its normal uid."""
        return self.folder / "locks" / f"{uid}.lock"


def place_of(board: Board) -> Place:
    """Where the leases of that board are kept."""
    return virtual_place() if board.virtual else Place(HOST_FOLDER, shared=True)


def virtual_place() -> Place:
    """Where those of this user's virtual boards are kept."""
    return Place(platformdirs.user_state_path("tinyrack"), shared=False)


def prepare(place: Place) -> None:
    """Make the folders; FarmError when they cannot be used, for then no lock would hold."""
    for folder in (place.folder, place.folder / "locks"):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if place.shared:
                _open_to_all(folder)
        except OSError as error:
            raise FarmError(
                f"{folder}: no board can be leased, because locks cannot be kept there "
                f"({error.strerror}); make it a folder in which you may write"
            ) from error


@contextmanager
def opened_lock(place: Place, uid: str) -> Iterator[int]:
    """A descriptor of the probe's lock file, made if need be; its end drops the lock.

    FarmError when it cannot be opened.
    """
    prepare(place)
    mine = os.getpid()
    with _clear_errors(place.lock_path(uid)):
        descriptor = _opened(place.lock_path(uid), place.shared)
    _open.add(descriptor)
    try:
        yield descriptor
    finally:
        if os.getpid() == mine:  # in a forked child it is closed already
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # for a child that is being forked, too
            _open.discard(descriptor)
            os.close(descriptor)


def try_lock(place: Place, uid: str, descriptor: int) -> bool:
    """Take the lock if it is free, and if the file still is the one that others would open.

    Its file is marked as used: what cleans /var/tmp takes files away that nobody touched for weeks,
    and whoever came then would lock another file.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    try:
        os.utime(descriptor)
        on_disk = place.lock_path(uid).stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(on_disk, os.fstat(descriptor))


def touch(place: Place, uid: str) -> tuple[int, int]:
    """Mark the lock's file as used, and say which file it is; (0, 0) when it is gone.

    FarmError when it cannot be seen.
    """
    path = place.lock_path(uid)
    with _clear_errors(path):
        try:
            os.utime(path, follow_symlinks=False)
            about = path.lstat()
        except FileNotFoundError:
            return 0, 0
    return about.st_dev, about.st_ino


def is_locked(place: Place, uid: str) -> bool:
    """Ask with a shared lock, which two askers can have at once; it is gone in microseconds."""
    with opened_lock(place, uid) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def who_has(place: Place, uid: str) -> list[int]:
    """Who took the probe's lock, or asks for it (`is_locked`); none if the kernel tells of none."""
    return lockers(place.lock_path(uid), "FLOCK", ("WRITE", "READ"))


def touch_for_all(path: Path) -> None:
    """Make the file if it is missing, so that every user of the host may write it; FarmError.

    A database that is there is not opened for a look: with any of its descriptors a process
    closes, it loses all its locks on the file, and SQLite does not notice (fcntl(2)).
    """
    with _clear_errors(path):
        try:
            about = path.lstat()
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):  # somebody else makes it
                os.close(_made(path, shared=True))
            return
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.ELOOP, "it is not a file")
        if about.st_uid == os.getuid() and stat.S_IMODE(about.st_mode) != _ALL_MAY:
            path.chmod(_ALL_MAY)  # who made it was killed before


@contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FarmError(
            f"{path}: what keeps leases of boards cannot be opened ({error.strerror}); "
            "correct its rights, and remove it if it is a link"
        ) from error


def _opened(path: Path, shared: bool) -> int:
    """Without O_CREAT first: in folders open to all, kernels refuse it for the files of others."""
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):  # made by somebody else in between
            return _made(path, shared)
        descriptor = os.open(path, _FLAGS)
    about = os.fstat(descriptor)
    if shared and about.st_uid == os.getuid() and stat.S_IMODE(about.st_mode) != _ALL_MAY:
        os.fchmod(descriptor, _ALL_MAY)  # who made it was killed before
    return descriptor


def _made(path: Path, shared: bool) -> int:
    """A new file, open; whatever the umask is, all may write it if it is shared."""
    descriptor = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
    if shared:
        os.fchmod(descriptor, _ALL_MAY)
    return descriptor


def _open_to_all(folder: Path) -> None:
    """Let all users write into a folder of ours; refuse one that is a link.

    One that its group may write into is left as somebody made it: for that group alone.
    """
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "it is not a folder", str(folder))
    if about.st_uid == os.getuid() and not about.st_mode & stat.S_IWGRP:
        folder.chmod(0o777)


def _close_all() -> None:
    """In a forked child: a lock belongs to all who have its descriptor, and would outlive us."""
    for descriptor in _open:
        os.close(descriptor)
    _open.clear()


os.register_at_fork(after_in_child=_close_all)
