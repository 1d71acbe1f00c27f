"""The rows beside the locks: files of every earlier version are brought up to date as they are."""

import dataclasses
from pathlib import Path

import pytest

from farm.errors import FarmError
from farm.leases import lease_rows
from farm.leases.database import open_database, transaction
from farm.leases.lease_rows import Rows, opened
from farm.leases.lock_files import Place

SCHEMA = lease_rows._SCHEMAS[False]


def write(folder: Path, version: int) -> Place:
    place = Place(folder, shared=False)
    old = open_database(place.database, dataclasses.replace(SCHEMA, version=version))
    with transaction(old):
        old.execute("INSERT INTO quarantine VALUES ('probe', 'board', 'smokes', '2026')")
        old.execute("INSERT INTO leases (uid, board, token, pid, host, since_utc, expires_s) "
                    "VALUES ('probe', 'board', 4000000000, 1, 'host', '2026', 0)")  # fmt: skip
    old.close()
    return place


def columns(rows: Rows) -> set[tuple[str, str]]:
    tables = [row["name"] for row in rows.rows("SELECT name FROM sqlite_master WHERE type='table'")]
    return {
        (name, col["name"]) for name in tables for col in rows.rows(f"PRAGMA table_info({name})")
    }


@pytest.mark.parametrize("version", range(1, SCHEMA.version))
def test_rows_of_earlier_versions_are_kept_and_nobody_is_taken_for_hung(tmp_path, version):
    with opened(Place(tmp_path / "new", shared=False)) as rows:
        wanted = columns(rows)
    with opened(write(tmp_path / "old", version)) as rows:
        assert columns(rows) == wanted
        assert [row["reason"] for row in rows.rows("SELECT * FROM quarantine")] == ["smokes"]
        assert (rows.hung("probe"), rows.line()) == (None, [])
        assert rows.grant("probe", "board", "jobs") == 4_000_000_001


def test_rows_of_a_later_version_are_refused_and_left_as_they_are(tmp_path):
    place = write(tmp_path, SCHEMA.version)
    with opened(place) as rows:
        rows.rows(f"PRAGMA user_version = {SCHEMA.version + 1}")
    for _ in range(2):
        with pytest.raises(FarmError, match="newer tinyrack"), opened(place):
            pass
