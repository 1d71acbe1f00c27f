"""Opening SQLite files that survive crashes, other processes and other versions."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from farm.errors import FarmError

BUSY_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Schema:
    """What a database file holds: a word for messages, its version and its statements."""

    what: str
    version: int
    statements: tuple[str, ...]
    durable: bool  # True: fsync at each commit, so that a stored row outlives a power cut


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
        raise FarmError(f"{what} {path} cannot be used: {error}; check disk and rights") from error
    except sqlite3.DatabaseError as error:
        advice = f"move {path.name} (with its -wal and -shm files) away and run again"
        raise FarmError(f"{what} {path} is damaged: {error}; {advice}") from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One write transaction, taken at once so that two writers queue instead of failing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _prepare(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    connection.row_factory = sqlite3.Row
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > schema.version:
        raise FarmError(
            f"{schema.what} {path} was written by a newer tinyrack (schema {version}, "
            f"this one reads {schema.version}); upgrade tinyrack"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if schema.durable else 'NORMAL'}")
    if version == schema.version:
        return
    with transaction(connection):
        for statement in schema.statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {schema.version}")
    if os.name == "posix":
        path.chmod(0o600)
