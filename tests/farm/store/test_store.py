"""The results database: durable, shared, honest about what it gives back."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import update

from farm.errors import FarmError
from farm.measure import Measurement
from farm.store import Store
from farm.store.tables import MEASUREMENTS

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


def test_a_damaged_row_is_named(store, measurement):
    store.add(measurement())
    with store.database.writing() as connection:
        connection.execute(update(MEASUREMENTS).values(body='{"name": 1}'))
    with pytest.raises(FarmError, match=r"row 1 is damaged \(name"):
        store.find(*key(measurement()))


def test_the_default_path_follows_the_state_folder():
    with Store() as store:
        assert store.path.is_relative_to(Path(os.environ["XDG_STATE_HOME"]))


def test_one_of_some_boards_or_purposes_is_found(store, measurement):
    for board, purpose in (("a", "final"), ("b", "search"), ("c", None)):
        provenance = {"purpose": purpose} if purpose else {}
        store.add(measurement(board=board, provenance=provenance))
    assert store.find(*key(measurement())).board == "c"
    assert store.find(*key(measurement()), boards=["a", "b"]).board == "b"
    assert store.find(*key(measurement()), purposes=["final"]).board == "a"
    assert store.find(*key(measurement()), purposes=["", "final"]).board == "c"
    assert store.find(*key(measurement()), boards=["b"], purposes=["final"]) is None


def test_every_attempt_of_a_job_is_found_by_its_id(store, measurement):
    for name, job_id in (("a", "j1"), ("b", "j2"), ("c", "j1")):
        store.add(measurement(name=name, provenance={"job_id": job_id}))
    assert [m.name for m in store.of_job("j1")] == ["a", "c"]
    assert store.of_job("j3") == []


def test_what_a_board_says_may_be_any_text_and_any_number(store, measurement):
    odd = "\0 \ud800 'quoted\n"
    provenance = {"unique_id": odd, "attempt": 2**70, "host": 3.5}
    store.add(measurement(name=odd, provenance=provenance, cold_cycles=2**65))
    assert store.last("f412-01").name == odd
    row = store.row(1)
    assert row.columns["chip_uid"] == row.columns["name"] == "\ufffd ? 'quoted\n"
    assert (row.columns["attempt"], row.columns["host"]) == (None, None)


def test_threads_share_one_store(store, measurement):
    def work(number: int) -> None:
        for i in range(5):
            store.add(measurement(name=f"{number}.{i}"))
            assert store.last("f412-01") is not None

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({m.name for m in store.all()}) == 20
    assert store.verify().measurements == 20
