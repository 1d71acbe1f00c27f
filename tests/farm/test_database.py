"""SQLite files that many processes open at once."""

import multiprocessing
from pathlib import Path

from farm.database import Schema, open_database

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
