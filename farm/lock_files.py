"""Where the leases of a board are kept, and the kernel lock that decides them.

The lock of a real board is one for all users of the host, since all of them can reach its probe:
its folder is `HOST_FOLDER`, in which everybody may write. A virtual board belongs to the user who
started it, and so do its leases. Locks are `flock`s: the kernel frees them when their process
ends, whatever ends it. Children that are forked while a lock is held do not keep it.
"""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from farm.errors import FarmError
from farm.inventory import Board

HOST_FOLDER = Path("/var/tmp/tinyrack")  # survives reboots, and everybody may write there
_ALL_MAY = 0o666
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
    descriptor, mine = _usable(place.lock_path(uid), place.shared), os.getpid()
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


def is_locked(place: Place, uid: str) -> bool:
    """Ask with a shared lock, which two askers can have at once; it is gone in microseconds."""
    with opened_lock(place, uid) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def touch_for_all(path: Path) -> None:
    """Make the file if it is missing, so that every user of the host may write it; FarmError."""
    os.close(_usable(path, shared=True))


def _usable(path: Path, shared: bool) -> int:
    try:
        return _opened(path, shared)
    except OSError as error:
        raise FarmError(
            f"{path}: what keeps leases of boards cannot be opened ({error.strerror}); "
            "correct its rights, and remove it if it is a link"
        ) from error


def _opened(path: Path, shared: bool) -> int:
    """Without O_CREAT first: in folders open to all, kernels refuse it for the files of others."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(FileNotFoundError):
        return os.open(path, flags)
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # made by somebody else in between
        return os.open(path, flags)
    if shared:
        os.fchmod(descriptor, _ALL_MAY)
    return descriptor


def _open_to_all(folder: Path) -> None:
    """Let all users write into a folder of ours; refuse one that is a link."""
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode):
        raise NotADirectoryError(20, "it is not a folder", str(folder))
    if about.st_uid == os.getuid() and stat.S_IMODE(about.st_mode) != 0o777:
        folder.chmod(0o777)


def _close_all() -> None:
    """In a forked child: a lock belongs to all who have its descriptor, and would outlive us."""
    for descriptor in _open:
        os.close(descriptor)
    _open.clear()


os.register_at_fork(after_in_child=_close_all)
