"""Stores as earlier versions left them, for tests of what becomes of their rows."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, MetaData, Table, create_engine, insert

from farm.measure import Measurement, Scalar
from farm.store import audit
from farm.store.migrate import migrate
from farm.store.place import Place
from farm.store.provenance import columns_of
from farm.store.schema import APPLICATION_ID

_VERSION_1 = """
    CREATE TABLE measurements (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        utc TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
        board TEXT NOT NULL, board_type TEXT NOT NULL, virtual INTEGER NOT NULL,
        image_key TEXT NOT NULL, input_sha256 TEXT NOT NULL, expected_sha256 TEXT NOT NULL,
        timing_model TEXT, body TEXT NOT NULL);
    CREATE INDEX by_key ON measurements (image_key, board_type, input_sha256, expected_sha256);
    CREATE INDEX by_board ON measurements (board);
    PRAGMA journal_mode = WAL;
    PRAGMA user_version = 1;
"""
_VERSION_1_ROW = """
    INSERT INTO measurements
    (utc, name, status, board, board_type, virtual,
     image_key, input_sha256, expected_sha256, timing_model, body)
    VALUES (:utc, :name, :status, :board, :board_type, :virtual,
     :image_key, :input_sha256, :expected_sha256, :timing_model, :body)
"""


def row(name: str, facts: Mapping[str, Scalar]) -> Measurement:
    """A small measurement with that provenance."""
    return Measurement(
        name=name, status="too_big", board="b", board_type="t", virtual=True, provenance=facts
    )


def make_version_1(path: Path, rows: int) -> set[str]:
    """A file as the first release left it, with so many rows; their names."""
    names = [f"old {i}" for i in range(rows)]
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(_VERSION_1)
        for name in names:
            database.execute(_VERSION_1_ROW, columns_of(row(name, {})))
    return set(names)


def make_version_2(place: Place, rows: int, facts: Mapping[str, Scalar]) -> set[str]:
    """A store of version 2 with so many rows, with these facts and in the audit; their names."""
    names = [f"old {i}" for i in range(rows)]
    engine = create_engine(place.url)
    with engine.begin() as connection:
        migrate(connection, 0, to="0002")
        table = Table("measurements", MetaData(), autoload_with=connection)
        for name in names:
            _add(connection, table, row(name, facts))
    if place.path:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            connection.exec_driver_sql("PRAGMA user_version = 2")
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    engine.dispose()
    return set(names)


def _add(connection: Connection, table: Table, m: Measurement) -> None:
    columns = columns_of(m)
    known = {name: value for name, value in columns.items() if name in table.c}
    made = insert(table).values(known).returning(table.c.id)
    audit.append_stored(connection, connection.execute(made).scalar_one(), columns)
