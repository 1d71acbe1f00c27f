"""The results database: durable, shared, honest about what it gives back."""

import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from farm.errors import FarmError
from farm.measure import Measurement
from farm.store import Store

WRITE = """
import json, os, signal, sys
from farm.measure import Measurement
from farm.store import Store
row = Measurement(name=sys.argv[1], status="too_big", board="b", board_type="t", virtual=True)
with Store() as store:
    for _ in range(int(sys.argv[2])):
        store.add(row)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def store():
    with Store() as opened:
        yield opened


def key(m: Measurement) -> tuple[str, str, str, str]:
    return (m.image_key, m.board_type, m.input_sha256, m.expected_sha256)


def test_a_stored_measurement_comes_back_marked_as_stored(store, measurement):
    store.add(measurement())
    found = store.find(*key(measurement()))
    assert found == dataclasses.replace(measurement(utc=found.utc), source="stored")


def test_a_bench_failure_is_kept_but_never_found(store, measurement):
    broken = measurement(
        status="bench_failure", output_ok=False, samples=(), cycles=0, cold_cycles=0
    )
    store.add(broken)
    assert store.find(*key(broken)) is None
    assert store.last("f412-01").status == "bench_failure"


def test_virtual_results_never_answer_for_silicon(store, measurement):
    store.add(measurement())
    assert store.find(*key(measurement()), virtual=False) is None
    assert store.find(*key(measurement()), virtual=True) is not None


def test_another_cycle_table_is_measured_again(store, measurement):
    store.add(measurement())
    assert store.find(*key(measurement()), timing_model="m4-v2") is None
    assert store.find(*key(measurement()), timing_model="m4-v1") is not None


def test_the_newest_result_wins_and_all_keeps_the_order(store, measurement):
    for cycles in (100, 90):
        store.add(measurement(samples=(cycles,), cycles=cycles))
    assert store.find(*key(measurement())).cycles == 90
    assert [m.cycles for m in store.all("nucleo-f412zg")] == [100, 90]
    assert store.all("other") == []


def test_rows_of_killed_parallel_writers_are_all_there():
    crowd = [subprocess.Popen([sys.executable, "-c", WRITE, f"w{i}", "10"]) for i in range(3)]
    assert [p.wait() for p in crowd] == [-signal.SIGKILL] * 3
    with Store() as store:
        assert sorted(m.name for m in store.all()) == ["w0"] * 10 + ["w1"] * 10 + ["w2"] * 10


def test_a_damaged_file_is_refused_with_advice(tmp_path):
    path = tmp_path / "results.db"
    path.write_bytes(b"not a database, " * 500)
    with pytest.raises(FarmError, match=r"is damaged: .*move results\.db .* away"):
        Store(path)


def test_a_file_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "results.db"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(FarmError, match="newer tinyrack"):
        Store(path)


def test_a_damaged_row_is_named(store, measurement):
    store.add(measurement())
    with sqlite3.connect(store.path) as database:
        database.execute("UPDATE measurements SET body = '{\"name\": 1}'")
    with pytest.raises(FarmError, match=r"row 1 is damaged \(name"):
        store.find(*key(measurement()))


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FarmError, match="cannot be made"):
        Store(tmp_path / "file" / "results.db")


def test_the_default_path_follows_the_state_folder(store):
    assert store.path.is_relative_to(Path(os.environ["XDG_STATE_HOME"]))
