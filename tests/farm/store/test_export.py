"""Exports: every column, flags and kind, whole files or none."""

import csv
import importlib.util
import json
from pathlib import Path

import pytest

from farm.errors import FarmError, InventoryError
from farm.store import Store
from farm.store.export import COLUMNS, write_csv, write_parquet
from farm.store.query import Wanted


@pytest.fixture
def store(tmp_path, measurement):
    with Store(tmp_path / "results.db") as opened:
        opened.add(measurement(name='a "quoted", name\n', provenance={"pid": 7}))
        opened.add(measurement(virtual=False, timing_model=None))
        opened.flag_since_golden("f412-01", "drift")
        opened.flag_since_golden("f412-01", "again")
        opened.add(measurement(name="late"))
        yield opened


def test_csv_has_every_column_of_every_row(store, tmp_path):
    assert write_csv(store.rows(Wanted()), tmp_path / "out.csv") == 3
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["kind"] for row in rows] == ["virtual", "silicon", "virtual"]
    assert [row["flags"] for row in rows] == ["drift; again", "drift; again", ""]
    assert (rows[0]["name"], rows[0]["pid"]) == ('a "quoted", name\n', "7")
    assert json.loads(rows[0]["body"])["samples"] == [100, 100, 101]


def test_csv_holds_no_formula_and_no_line_end_without_quotes(store, measurement, tmp_path):
    facts = {"compiler": "@SUM(1)", "compiler_flags": "-Os", "pid": -7}
    store.add(measurement(name="=cmd|' /C calc'!A0", provenance=facts))
    store.add(measurement(name="a\rb"))
    write_csv(store.rows(Wanted(newest=2)), tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert first["name"] == "'=cmd|' /C calc'!A0"
    assert (first["compiler"], first["compiler_flags"], first["pid"]) == ("'@SUM(1)", "-Os", "-7")
    assert second["name"] == "a\rb"


def test_an_export_to_a_link_to_itself_takes_its_place(store, tmp_path):
    (tmp_path / "out.csv").symlink_to(tmp_path / "out.csv")
    assert write_csv(store.rows(Wanted()), tmp_path / "out.csv") == 3
    assert not (tmp_path / "out.csv").is_symlink()


def test_parquet_has_the_same_with_types(store, tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet", reason="tinyrack[parquet] is not installed")
    monkeypatch.setattr("farm.store.export._BATCH", 2)
    assert write_parquet(store.rows(Wanted()), tmp_path / "out.parquet") == 3
    table = parquet.read_table(tmp_path / "out.parquet")
    assert tuple(table.column_names) == COLUMNS
    assert table.column("kind").to_pylist() == ["virtual", "silicon", "virtual"]
    assert table.column("pid").to_pylist() == [7, None, None]
    kinds = {name: str(table.schema.field(name).type) for name in ("id", "cycles", "latency_ms")}
    assert kinds == {"id": "int64", "cycles": "int64", "latency_ms": "double"}


def test_without_pyarrow_there_is_one_sentence(store, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InventoryError, match=r"pip install 'tinyrack\[parquet\]'`, or use --csv"):
        write_parquet(store.rows(Wanted()), tmp_path / "out.parquet")


def test_an_export_that_fails_leaves_the_file_of_before(store, tmp_path):
    (tmp_path / "out.csv").write_text("before")

    def torn():
        yield from store.rows(Wanted(newest=1))
        raise OSError("the disk is full")

    with pytest.raises(InventoryError, match=r"out\.csv: cannot be written: the disk"):
        write_csv(torn(), tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "before"
    assert list(tmp_path.glob(".*part")) == []


def test_an_export_without_room_or_folder_is_one_sentence(store, tmp_path):
    for path, kind, said in (
        (Path("/dev/full"), FarmError, "its disk is full; make room and export again"),
        (tmp_path / "none" / "out.csv", InventoryError, "name a file in a folder that exists"),
    ):
        with pytest.raises(kind, match=rf"^{path}: cannot be written: .*{said}"):
            write_csv(store.rows(Wanted()), path)
