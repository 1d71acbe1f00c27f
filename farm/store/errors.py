"""One sentence for whatever a database answers: what is wrong with it, and what to do."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from farm.errors import FarmError
from farm.store.place import Place

BUSY_TIMEOUT_S = 10.0
_MOVE = "move {name} (with its -wal and -shm files) away and run again"
_IN_USE = "is in use by another process for over {busy_s:.0f} s; end that one, or wait"
_FULL = "is on a full disk: nothing was stored; make room and run again"
# SQLite's name of an error or PostgreSQL's SQLSTATE, or the first part of it: what is said.
_SENTENCES = (
    ("SQLITE_NOTADB", "is damaged: {error}; " + _MOVE),
    ("SQLITE_CORRUPT", "is damaged: {error}; " + _MOVE),
    ("SQLITE_BUSY", _IN_USE),
    ("SQLITE_LOCKED", _IN_USE),
    ("SQLITE_READONLY", "cannot be written: {error}; check the rights of file and folder"),
    ("SQLITE_PERM", "cannot be written: {error}; check the rights of file and folder"),
    ("SQLITE_CANTOPEN", "cannot be opened: {error}; check the rights of file and folder"),
    ("SQLITE_FULL", _FULL),
    ("SQLITE_IOERR", "cannot be read or written: {error}; check the disk"),
    ("55P03", _IN_USE),
    ("57014", "did not answer in time: {error}; see what else its server does"),
    ("53100", _FULL),
    ("25006", "cannot be written: {error}; name a server that takes writes"),
    ("42501", "cannot be used: {error}; ask whoever runs the server for the right"),
)
_ANY_FILE = "cannot be used: {error}; check disk and rights"
_ANY_SERVER = "cannot be used: {error}; check that the server runs and what the URL names"


@contextmanager
def clear_errors(place: Place) -> Iterator[None]:
    """Turn every error of the database into a FarmError of one sentence."""
    try:
        yield
    except DBAPIError as error:
        raise _clear(place, error.orig or error) from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise _clear(place, error) from error


def _clear(place: Place, error: BaseException) -> FarmError:
    name = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None) or ""
    found = (text for start, text in _SENTENCES if name.startswith(start))
    what = next(found, _ANY_FILE if place.path else _ANY_SERVER)
    line = str(error).strip().split("\n")[0].strip()
    file = place.path.name if place.path else ""
    said = what.format(error=line or type(error).__name__, busy_s=BUSY_TIMEOUT_S, name=file)
    return FarmError(f"the results database {place} {said}")
