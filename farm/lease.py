"""Who holds which board: one process at a time, and never one that is dead.

A board hangs off exactly one host, so a kernel `flock` on this host is the whole truth: it
goes with its process, at once, whatever kills it. The database row beside it says who holds
the board, and carries the fencing token: every grant and every forced release raises it, so
a holder that finds a larger token has lost the board and must stop.
"""

import fcntl
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from farm.database import Schema, clear_errors, open_database, transaction
from farm.errors import BenchError, BoardsBusyError, FarmError, NoBoardError
from farm.inventory import Board, normal_uid
from farm.measure import utc_now

TTL_S = 30.0
_POLL_S = 0.05
_SCHEMA = Schema(
    "the lease database",
    1,
    (
        """CREATE TABLE IF NOT EXISTS leases (
            uid TEXT PRIMARY KEY, board TEXT NOT NULL, token INTEGER NOT NULL,
            pid INTEGER, host TEXT, since_utc TEXT, expires_s REAL)""",
        """CREATE TABLE IF NOT EXISTS quarantine (
            uid TEXT PRIMARY KEY, board TEXT NOT NULL, reason TEXT NOT NULL,
            utc TEXT NOT NULL)""",
    ),
    durable=False,
)


@dataclass(frozen=True)
class Holder:
    """The process that holds a board; `expired` when it stopped renewing (hung?)."""

    pid: int
    host: str
    token: int
    since_utc: str
    expired: bool


@dataclass(frozen=True)
class Lease:
    """A board held by this process, until the context ends or `check` refuses."""

    board: Board
    token: int

    def check(self) -> None:
        """Raise BenchError when the board was taken from this holder; renew otherwise."""
        with _database() as database, transaction(database) as db:
            row = db.execute(
                "UPDATE leases SET expires_s = ? WHERE uid = ? AND token = ? RETURNING token",
                (time.time() + TTL_S, normal_uid(self.board.probe), self.token),
            ).fetchone()
        if row is None:
            raise BenchError("the lease was released by an operator; start again", self.board.id)


@contextmanager
def lease(board: Board, wait_s: float = 60.0) -> Iterator[Lease]:
    """Hold a board; BoardsBusyError when others hold it for all of `wait_s`."""
    refuse_quarantined(board)
    with exclusive(board, wait_s):
        held = Lease(board, _grant(board))
        try:
            yield held
        finally:
            _clear(board, held.token)


@contextmanager
def exclusive(board: Board, wait_s: float) -> Iterator[None]:
    """Keep all others off a board, in service or not; BoardsBusyError after `wait_s`."""
    descriptor = os.open(_lock_path(normal_uid(board.probe)), os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + wait_s
    try:
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise BoardsBusyError(_busy(board, wait_s))
            time.sleep(_POLL_S)  # the deadline is above
        yield
    finally:
        os.close(descriptor)  # drops the lock; children never inherit it (PEP 446)


def holder(board: Board) -> Holder | None:
    """Who holds the board now, or None; the kernel's lock decides, the row only names."""
    return holder_of(board.probe)


def holder_of(probe: str) -> Holder | None:
    """Who holds the board behind that probe, by its id with or without its kind."""
    uid = normal_uid(probe)
    if not _is_locked(uid):
        return None
    with _database() as database:
        row = database.execute("SELECT * FROM leases WHERE uid = ?", (uid,)).fetchone()
    if row is None or row["pid"] is None:
        return Holder(0, "", row["token"] if row else 0, "", expired=False)
    expired = row["expires_s"] < time.time()
    return Holder(row["pid"], row["host"], row["token"], row["since_utc"], expired)


def release(board: Board, wait_s: float = 5.0) -> Holder | None:
    """Take the board from its holder, who is returned; None when nobody held it.

    Raises the fence, which a live holder notices at its next check; BoardsBusyError when
    it has not let go after `wait_s`.
    """
    held = holder(board)
    _revoke(board)
    deadline = time.monotonic() + wait_s
    while held is not None and _is_locked(normal_uid(board.probe)):
        if time.monotonic() > deadline:
            raise BoardsBusyError(f"{board.id}: process {held.pid} does not let go; end it")
        time.sleep(_POLL_S)  # the deadline is above
    return held


def quarantine(board: Board, reason: str) -> None:
    """Put a board out of service until `restore`; running work on it goes on."""
    with _database() as database, transaction(database) as db:
        db.execute(
            "INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?, ?)",
            (normal_uid(board.probe), board.id, reason, utc_now()),
        )


def restore(board: Board) -> bool:
    """Put a quarantined board back into service; False when it was not quarantined."""
    with _database() as database, transaction(database) as db:
        found = db.execute("DELETE FROM quarantine WHERE uid = ?", (normal_uid(board.probe),))
        return found.rowcount > 0


def quarantine_reason(board: Board) -> str | None:
    """Why the board is out of service, or None when it is not."""
    with _database() as database:
        row = database.execute(
            "SELECT reason FROM quarantine WHERE uid = ?", (normal_uid(board.probe),)
        ).fetchone()
    return None if row is None else str(row["reason"])


def refuse_quarantined(board: Board) -> None:
    """Raise NoBoardError when the board is quarantined."""
    if (reason := quarantine_reason(board)) is not None:
        advice = f"`tinyrack boards restore {board.id}` puts it back"
        raise NoBoardError(f"{board.id} is quarantined ({reason}); {advice}")


@contextmanager
def renewing(held: Lease, period_s: float = 1.0) -> Iterator[threading.Event]:
    """Renew a lease in the background; the event is set when the board was taken away."""
    lost, stop = threading.Event(), threading.Event()

    def renew() -> None:
        while not stop.wait(period_s):
            try:
                held.check()
            except BenchError:
                lost.set()
                return
            except FarmError:
                continue  # the database is busy or full: the lock still holds, ask again

    thread = threading.Thread(target=renew, name=f"lease {held.board.id}", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        stop.set()


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_locked(uid: str) -> bool:
    """Ask with a shared lock, which two askers can have at once; it is gone in microseconds."""
    try:
        descriptor = os.open(_lock_path(uid), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _busy(board: Board, wait_s: float) -> str:
    who = holder(board)
    by = f"process {who.pid} on {who.host}" if who and who.pid else "another process"
    return f"{board.id} is held by {by} (waited {wait_s:.0f} s); wait longer or end that one"


def _grant(board: Board) -> int:
    uid, expires_s = normal_uid(board.probe), time.time() + TTL_S
    with _database() as database, transaction(database) as db:
        db.execute("INSERT OR IGNORE INTO leases (uid, board, token) VALUES (?, '', 0)", (uid,))
        row = db.execute(
            """UPDATE leases SET board = ?, token = token + 1, pid = ?, host = ?,
               since_utc = ?, expires_s = ? WHERE uid = ? RETURNING token""",
            (board.id, os.getpid(), socket.gethostname(), utc_now(), expires_s, uid),
        ).fetchone()
        return int(row["token"])


def _clear(board: Board, token: int) -> None:
    with _database() as database, transaction(database) as db:
        db.execute(
            "UPDATE leases SET pid = NULL WHERE uid = ? AND token = ?",
            (normal_uid(board.probe), token),
        )


def _revoke(board: Board) -> None:
    with _database() as database, transaction(database) as db:
        db.execute(
            "UPDATE leases SET token = token + 1, pid = NULL WHERE uid = ?",
            (normal_uid(board.probe),),
        )


def _state_path() -> Path:
    return platformdirs.user_state_path("tinyrack")


def _lock_path(uid: str) -> Path:
    folder = _state_path() / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"{uid}.lock"


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    """A connection for one statement: leases are rare, and forks and threads cannot share it."""
    path = _state_path() / "leases.db"
    database = open_database(path, _SCHEMA)
    try:
        with clear_errors(path, _SCHEMA.what):
            yield database
    finally:
        database.close()
