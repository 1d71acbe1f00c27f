"""SQLite files that many processes open at once."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from farm.errors import FarmError
from farm.leases import database
from farm.leases.database import Schema, clear_errors, open_database, transaction

_SCHEMA = Schema("a test's database", 1, ("CREATE TABLE things (name TEXT)",), durable=False)
_FILES = 40
_FORK = multiprocessing.get_context("fork")


def test_processes_that_make_one_file_at_the_same_time_all_open_it(tmp_path):
    with _FORK.Pool(8) as pool:
        assert pool.map_async(_open_each, [tmp_path] * 8).get(60.0) == [_FILES] * 8


def _open_each(folder: Path) -> int:
    for number in range(_FILES):
        open_database(folder / f"{number}.db", _SCHEMA).close()
    return _FILES


def test_a_full_disk_is_told_as_such(tmp_path):
    path = tmp_path / "a.db"
    connection = open_database(path, _SCHEMA)
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with (
        pytest.raises(FarmError, match=r"disk is full; check disk and rights"),
        clear_errors(path, "a test's database"),
        transaction(connection),
    ):
        connection.execute("INSERT INTO things VALUES (?)", ("x" * 100_000,))
    with transaction(connection):
        connection.execute("INSERT INTO things VALUES ('x')")
    connection.close()


def test_who_keeps_a_database_locked_is_named(tmp_path, monkeypatch):
    path = tmp_path / "a.db"
    open_database(path, _SCHEMA).close()
    child = os.fork()
    if not child:
        with transaction(open_database(path, _SCHEMA)):
            os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(1)
    os.waitpid(child, os.WUNTRACED)
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    try:
        with (
            pytest.raises(FarmError, match=f"locked; process {child} of .* keeps it locked"),
            clear_errors(path, "a test's database"),
            transaction(open_database(path, _SCHEMA)),
        ):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
