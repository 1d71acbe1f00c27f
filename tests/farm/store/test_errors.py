"""One sentence for a database that is damaged, locked, full, read-only or not there."""

import os
import sqlite3
import tempfile
from pathlib import Path

import pytest

from farm.errors import FarmError, InventoryError
from farm.store import Store, database
from farm.store.place import place_of

NOBODY = 65534


def test_a_damaged_file_is_refused_with_advice(tmp_path):
    path = tmp_path / "results.db"
    path.write_bytes(b"not a database, " * 500)
    with pytest.raises(FarmError, match=r"is damaged: .*move results\.db .* away"):
        Store(path)


def test_damage_inside_a_file_is_found_by_verify(tmp_path, measurement):
    path = tmp_path / "results.db"
    with Store(path) as store:
        for _ in range(30):
            store.add(measurement(message="x" * 3000))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :: 7] = bytes(len(data[len(data) // 2 :: 7]))
    path.write_bytes(data)
    with (
        Store(path) as store,
        pytest.raises(FarmError, match=r"is damaged: .*; move results\.db"),
    ):
        store.verify()


def test_a_locked_file_is_one_sentence(tmp_path, measurement, monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / "results.db"
    with Store(path) as store, sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(FarmError, match="in use by another process for over"):
            store.add(measurement())
        other.execute("ROLLBACK")
        store.add(measurement())


def test_a_full_disk_stores_nothing_and_says_so(tmp_path, measurement):
    with Store(tmp_path / "results.db") as store:
        store.add(measurement(name="before"))
        with store.database.reading() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(FarmError, match="is on a full disk: nothing was stored; make room"):
            store.add(measurement(message="x" * 100_000))
        assert [m.name for m in store.all()] == ["before"]
        store.verify()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_file_without_rights_is_one_sentence(tmp_path):
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as said:
        path = Path(folder) / "results.db"
        Store(path).close()
        Path(folder).chmod(0o755)
        if (child := os.fork()) == 0:
            os.setuid(NOBODY)
            try:
                Store(path)
            except FarmError as error:
                os.write(said.fileno(), str(error).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        said.seek(0)
        assert "cannot be opened: Permission denied; check the rights" in said.read()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FarmError, match="cannot be made"):
        Store(tmp_path / "file" / "results.db")


def test_a_folder_instead_of_a_file_is_one_sentence(tmp_path):
    with pytest.raises(FarmError, match="cannot be opened: Is a directory"):
        Store(tmp_path)


def test_a_server_that_is_not_there_is_one_sentence_without_the_password(tmp_path):
    pytest.importorskip("psycopg")
    with pytest.raises(FarmError, match="check that the server runs") as caught:
        Store(f"postgresql://me:secret@/db?host={tmp_path}")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_driver_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(database.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(FarmError, match=r"run `pip install 'tinyrack\[postgres\]'`"):
        Store("postgresql://me@host/db")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://me@host/db", "cannot be a mysql database; it must be a path, sqlite:///PATH"),
        ("sqlite://", "must outlive this process"),
        ("postgresql://host:port/db", "URL cannot be read"),
    ],
)
def test_other_urls_are_usage_errors(url, why):
    with pytest.raises(InventoryError, match=why):
        place_of(url)
