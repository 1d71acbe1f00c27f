"""Opening SQLite files that survive crashes, other processes and other versions."""

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from farm.errors import FarmError
from farm.leases import boot_clock
from farm.leases.kernel_locks import lockers

BUSY_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Schema:
    """What a database file holds: a word for messages, its version and its statements.

    statements make version 1; upgrades[n] brings a file of version n - 1 to n.
    """

    what: str
    version: int
    statements: tuple[str, ...]
    durable: bool  # True: fsync at each commit, so that a stored row outlives a power cut
    upgrades: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    mode: int = 0o600  # of a new file

    def steps_from(self, version: int) -> Iterator[str]:
        """What brings a file of that version, 0 for an empty one, up to date."""
        if version == 0:
            yield from self.statements
        for wanted in range(max(version, 1) + 1, self.version + 1):
            yield from self.upgrades[wanted]


def open_database(path: Path, schema: Schema) -> sqlite3.Connection:
    """Open or create a database; FarmError says what to do when it cannot be used."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FarmError(f"{path.parent}: cannot be made ({error.strerror})") from error
    with clear_errors(path, schema.what):
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection, path, schema)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def clear_errors(path: Path, what: str) -> Iterator[None]:
    """Turn SQLite's errors into one sentence with advice."""
    try:
        yield
    except sqlite3.OperationalError as error:
        advice = _who_locks(path) if _is_busy(error) else "check disk and rights"
        raise FarmError(f"{what} {path} cannot be used: {error}; {advice}") from error
    except sqlite3.DatabaseError as error:
        advice = f"move {path.name} (with its -wal and -shm files) away and run again"
        raise FarmError(f"{what} {path} is damaged: {error}; {advice}") from error


def use_wal(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead log; SQLite refuses instead of waiting while others open it too."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() >= deadline:
                raise
            time.sleep(0.005)  # the deadline is above
        else:
            return


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One write transaction, taken at once so that two writers queue instead of failing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # when its disk is full, SQLite has ended it already
            connection.execute("ROLLBACK")
        raise


def _prepare(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    connection.row_factory = sqlite3.Row
    version = _version(connection)
    if version > schema.version:
        raise FarmError(
            f"{schema.what} {path} was written by a newer tinyrack (schema {version}, "
            f"this one reads {schema.version}); upgrade tinyrack"
        )
    use_wal(connection)
    connection.execute(f"PRAGMA synchronous = {'FULL' if schema.durable else 'NORMAL'}")
    if version == schema.version:
        return
    with transaction(connection):
        version = _version(connection)  # others may have been faster, and newer
        for statement in schema.steps_from(version):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {max(version, schema.version)}")
    if os.name == "posix" and path.stat().st_uid == os.getuid():
        path.chmod(schema.mode)


def _is_busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0)  # Python's own errors have none
    return code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _who_locks(path: Path) -> str:
    """Advice on a database that was locked for too long: somebody stopped at the wrong moment."""
    files = (path, path.with_name(f"{path.name}-shm"))
    pids = sorted({pid for file in files for pid in lockers(file, "POSIX")})
    who = ", ".join(f"process {pid} of {boot_clock.user_of(pid)}" for pid in pids)
    return f"{who or 'somebody'} keeps it locked: continue or end that"


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
