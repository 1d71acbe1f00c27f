"""The version of a store: new ones are made, old ones migrated, newer and foreign ones refused.

All in one transaction that only one process is in; a crash inside it leaves the old version.
"""

import importlib
import threading

from sqlalchemy import Connection, Engine, inspect, text

from farm.errors import FarmError
from farm.store.place import Place

VERSION = 3  # the last file of migrations/versions
APPLICATION_ID = 0x74726B32  # "trk2" in a SQLite file's header, from version 2 on
_LOCK_KEY = 0x74696E7972616B  # of PostgreSQL's advisory lock, held while a schema changes
_ALEMBIC = threading.Lock()  # alembic keeps what it works on in globals


def bring_up_to_date(engine: Engine, place: Place) -> None:
    """Make or migrate the tables unless they are there; FarmError for what is not a store."""
    with engine.connect() as connection:
        connection.execution_options(tinyrack_writes=False)
        if _checked_version(connection, place) == VERSION:
            return
    with _ALEMBIC, engine.begin() as connection:
        if connection.dialect.name != "sqlite":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        version = _checked_version(connection, place)  # others may have been faster
        if version < VERSION:
            _migrate(connection, version)


def _migrate(connection: Connection, version: int) -> None:
    importlib.import_module("farm.store.migrate").migrate(connection, version)  # rarely needed
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")


def _checked_version(connection: Connection, place: Place) -> int:
    """The version found, 0 for an empty database."""
    on_sqlite = connection.dialect.name == "sqlite"
    version = _sqlite_version(connection) if on_sqlite else _server_version(connection)
    if version > VERSION:
        raise FarmError(
            f"the results database {place} was written by a newer tinyrack (schema {version}, "
            f"this one reads {VERSION}); upgrade tinyrack"
        )
    if version < 0:
        raise FarmError(f"{place} is a database of something else; name another with --store")
    return version


def _sqlite_version(connection: Connection) -> int:
    """-1 for a file that another program keeps its own tables in."""
    version = _pragma(connection, "user_version")
    if version > VERSION or _pragma(connection, "application_id") == APPLICATION_ID:
        return version
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    tables = set(connection.exec_driver_sql(query).scalars())
    return {(0, ()): 0, (1, ("measurements",)): 1}.get((version, tuple(tables)), -1)


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())


def _server_version(connection: Connection) -> int:
    if not inspect(connection).has_table("alembic_version"):
        return 0
    found = connection.execute(text("SELECT max(version_num) FROM alembic_version")).scalar()
    return int(found or 0) if str(found or 0).isdecimal() else -1
