"""The version of a store: made, migrated, or refused with one sentence."""

import os
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from farm.errors import FarmError
from farm.store import Store, old, schema
from farm.store.place import place_of
from farm.store.query import Wanted
from farm.store.tables import METADATA


def test_migrations_end_in_the_tables_that_the_code_uses(store):
    with store.database.reading() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, METADATA) == []
        assert context.get_current_revision() == f"{schema.VERSION:04}"


def test_a_store_of_version_1_keeps_every_row(tmp_path):
    names = old.make_version_1(tmp_path / "results.db", 612)
    with Store(tmp_path / "results.db") as store:
        assert {m.name for m in store.all()} == names
        rows = list(store.rows(Wanted()))
    assert [row.id for row in rows] == list(range(1, 613))
    assert {(row.columns["flash_bytes"], row.kind) for row in rows} == {(0, "virtual")}


def test_a_body_of_version_1_that_cannot_be_read_stays_as_it_is(tmp_path):
    path = tmp_path / "results.db"
    old.make_version_1(path, 3)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE measurements SET body = 'torn' WHERE id = 2")
    with Store(path) as store:
        assert store.row(2).columns["body"] == "torn"
        assert store.row(3).columns["macs"] == 0


def test_a_store_of_version_2_keeps_rows_and_audit_and_gets_the_new_columns(empty):
    facts = {"clock_source": "external", "probe_firmware": "V2J43M28", "flags": ""}
    names = old.make_version_2(place_of(empty), 30, facts)
    with Store(empty) as store:
        rows = list(store.rows(Wanted()))
        assert {row.columns["name"] for row in rows} == names
        assert {row.columns["clock_source"] for row in rows} == {"external"}
        assert {row.columns["probe_firmware"] for row in rows} == {"V2J43M28"}
        assert {row.columns["elf_build_id"] for row in rows} == {None}
        assert store.verify().measurements == 30


def test_a_failed_migration_leaves_the_old_version(tmp_path, monkeypatch):
    path = tmp_path / "results.db"
    names = old.make_version_1(path, 3)

    def fail(_: object) -> None:
        raise KeyError("in the middle")

    with monkeypatch.context() as patch:
        patch.setattr("farm.store.provenance.body_columns", fail)
        with pytest.raises(KeyError):
            Store(path)
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
    with Store(path) as store:
        assert {m.name for m in store.all()} == names


def test_processes_that_open_a_new_store_at_once_all_succeed(empty):
    children = []
    for _ in range(6):
        if (child := os.fork()) == 0:
            try:
                for _ in range(3):
                    Store(empty).close()
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6


def test_threads_that_open_a_new_store_at_once_all_succeed(empty):
    with ThreadPoolExecutor(4) as pool:
        for opened in pool.map(Store, [empty] * 8):
            opened.close()


def test_a_file_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "results.db"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(FarmError, match=r"newer tinyrack \(schema 99, .* upgrade"):
        Store(path)


def test_a_server_of_a_newer_version_is_refused(postgres):
    with Store(postgres) as store, store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0099'")
    with pytest.raises(FarmError, match=r"newer tinyrack \(schema 99, .* upgrade"):
        Store(postgres)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_a_database_of_something_else_is_left_alone(tmp_path, version):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE leases (uid TEXT)")
        database.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(FarmError, match="database of something else; name another with --store"):
        Store(path)
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("leases",)]


def test_the_first_release_refuses_a_file_of_this_one(store):
    if store.path:
        with sqlite3.connect(store.path) as database:
            assert database.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)


def test_a_new_file_is_its_users_own(tmp_path):
    Store(tmp_path / "new" / "results.db").close()
    mode = (tmp_path / "new" / "results.db").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
