"""Connections to the store: one transaction at a time in a process, durable when it ends."""

import importlib.util
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.pool import ConnectionPoolEntry

from farm.database import use_wal
from farm.errors import FarmError
from farm.store import schema
from farm.store.errors import BUSY_TIMEOUT_S, clear_errors
from farm.store.place import Place
from farm.store.tables import AUDIT_HEAD

_WRITES = "tinyrack_writes"
_MODE = 0o600  # of a new file: what a user measured is that user's
_SERVER_OPTIONS = (  # every wait has an end, and a commit that returned is on disk
    f"-c lock_timeout={BUSY_TIMEOUT_S:.0f}s -c statement_timeout={6 * BUSY_TIMEOUT_S:.0f}s "
    "-c synchronous_commit=on"
)


class Database:
    """An open database of the present schema; safe for threads, not to be used across a fork."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._lock = threading.RLock()
        if place.path:
            _make_file(place.path)
        self._engine = _engine(place)
        try:
            with clear_errors(place):
                schema.bring_up_to_date(self._engine.execution_options(**{_WRITES: True}), place)
        except BaseException:
            self._engine.dispose()
            raise

    def close(self) -> None:
        """Close all connections; what is stored stays."""
        with self._lock:
            self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of everything; FarmError when that cannot be."""
        with self._lock, clear_errors(self.place), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that no other writer of any process runs beside; durable at its end."""
        engine = self._engine.execution_options(**{_WRITES: True})
        with self._lock, clear_errors(self.place), engine.begin() as connection:
            connection.execute(select(AUDIT_HEAD.c.id).with_for_update())  # PostgreSQL's turn
            yield connection

    def check(self, connection: Connection) -> None:
        """Let SQLite look for damage in its file; FarmError for any."""
        if self.place.path:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
            if found != "ok":
                raise FarmError(
                    f"the results database {self.place} is damaged: {found}; move "
                    f"{self.place.path.name} (with its -wal and -shm files) away and run again"
                )


def _engine(place: Place) -> Engine:
    if place.path is None:
        if importlib.util.find_spec("psycopg") is None:
            raise FarmError(
                f"the store {place} needs a driver that is not installed; "
                "run `pip install 'tinyrack[postgres]'`"
            )
        connect = {"connect_timeout": int(BUSY_TIMEOUT_S), "options": _SERVER_OPTIONS}
        return create_engine(place.url, connect_args=connect, pool_size=1, pool_pre_ping=True)
    connect = {"timeout": BUSY_TIMEOUT_S, "isolation_level": None, "check_same_thread": False}
    engine = create_engine(place.url, connect_args=connect, pool_size=1)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _: ConnectionPoolEntry) -> None:
    """Commits reach the disk before they return; writers do not stop readers."""
    use_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    """Writers queue for the file at once: an upgrade of a read lock could only fail."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _make_file(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FarmError(f"{path.parent}: cannot be made ({error.strerror})") from error
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE))
    except OSError as error:
        raise FarmError(
            f"the results database {path} cannot be opened: {error.strerror}; "
            "check the rights of file and folder"
        ) from error
