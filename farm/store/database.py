"""Connections to the store: one transaction at a time in a process, durable when it ends."""

import importlib.util
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Result, create_engine, event, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from farm.errors import FarmError
from farm.leases.database import use_wal
from farm.store import schema
from farm.store.errors import BUSY_TIMEOUT_S, clear_errors
from farm.store.patience import is_lost, patiently
from farm.store.place import Place
from farm.store.tables import AUDIT, AUDIT_HEAD

T = TypeVar("T")
_END = select(AUDIT_HEAD.c.seq, AUDIT_HEAD.c.hash)
_TURN = _END.with_for_update()  # PostgreSQL's turn; SQLite's file is locked as a whole
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
        self._writer = _writing(self._engine, place)
        try:
            with clear_errors(place):
                schema.bring_up_to_date(self._writer, place)
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
        with (
            self._lock,
            clear_errors(self.place),
            patiently(self._engine.connect) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that no other writer of any process runs beside; durable at its end."""
        with self._lock, clear_errors(self.place), self._writer.begin() as connection:
            connection.execute(_TURN)
            yield connection

    def write(self, act: Callable[[Connection], T]) -> T:
        """What `act` returns in a `writing` transaction; durable when this returns.

        A server that restarts in the middle is waited for: `act` is called again if nothing of
        its first call was kept, and only then. FarmError when it is not back in
        `farm.store.patience.SERVER_S`.
        """
        with clear_errors(self.place):
            return patiently(lambda: self._write_once(act))

    def _write_once(self, act: Callable[[Connection], T]) -> T:
        with self._lock, self._writer.connect() as connection:
            transaction = connection.begin()
            before = _end(connection.execute(_TURN))
            found = act(connection)
            after = _end(connection.execute(_END))
            try:
                transaction.commit()
            except DBAPIError as error:
                if not is_lost(error) or not patiently(lambda: self._has(before, after)):
                    raise
        return found

    def _has(self, before: tuple[int, str], after: tuple[int, str]) -> bool:
        """Whether a transaction was kept, of whose end nobody heard: its audit entry is there.

        The server may still work at it: its lock on the end of the chain is waited for. What
        wrote no entry may as well be done again. (The server's own number of the transaction
        could belong to another one after a crash.)
        """
        seq, digest = after
        entry = select(AUDIT.c.hash).where(AUDIT.c.seq == seq)
        with self._writer.begin() as connection:
            connection.execute(_TURN)
            kept = connection.execute(entry).scalar_one_or_none()
        return after != before and kept == digest

    def check(self, connection: Connection) -> None:
        """Let SQLite look for damage in its file; FarmError for any."""
        if self.place.path:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
            if found != "ok":
                what = " ".join(found.removeprefix("*** in database main ***").split())
                raise FarmError(
                    f"the results database {self.place} is damaged: {what}; move "
                    f"{self.place.path.name} (with its -wal and -shm files) away and run again"
                )


def _end(found: Result[tuple[int, str]]) -> tuple[int, str]:
    row = found.one()
    return row.seq, row.hash


def _engine(place: Place) -> Engine:
    if place.path is None:
        if importlib.util.find_spec("psycopg") is None:
            raise FarmError(
                f"the store {place} needs a driver that is not installed; "
                "run `pip install 'tinyrack[postgres]'`"
            )
        connect = {"connect_timeout": int(BUSY_TIMEOUT_S), "options": _SERVER_OPTIONS}
        return create_engine(
            place.url,
            connect_args=connect,
            pool_size=1,
            pool_pre_ping=True,
            isolation_level="REPEATABLE READ",  # or a chain that grows would look broken
        )
    connect = {"timeout": BUSY_TIMEOUT_S, "isolation_level": None, "check_same_thread": False}
    engine = create_engine(place.url, connect_args=connect, pool_size=1)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _writing(engine: Engine, place: Place) -> Engine:
    """The same for writers, each of which must see what the one before it wrote."""
    on_server = {} if place.path else {"isolation_level": "READ COMMITTED"}
    return engine.execution_options(**{_WRITES: True}, **on_server)


def _prepare(connection: Any, _: ConnectionPoolEntry) -> None:
    """Commits reach the disk before they return; writers do not stop readers."""
    use_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA case_sensitive_like = ON")  # as PostgreSQL's is


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
