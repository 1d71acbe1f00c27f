"""Flags: what a board measured since it was last known to be good."""

import pytest

from farm.errors import InventoryError
from farm.store.history import GoldenRun
from farm.store.query import Wanted


def key(m):
    return (m.image_key, m.board_type, m.input_sha256, m.expected_sha256)


def flagged(store):
    return [row.id for row in store.rows(Wanted(flagged=True))]


def golden(*, ok, board="f412-01"):
    return GoldenRun(board=board, board_type="nucleo-f412zg", virtual=True, ok=ok)


def test_what_the_board_measured_since_is_flagged_and_not_changed(store, measurement):
    for utc in ("2026-01-01T10:00:00+00:00", "2026-01-01T12:00:00+00:00"):
        store.add(measurement(utc=utc))
        store.add(measurement(utc=utc, board="other"))
    before = store.all()
    assert store.flag_since("f412-01", "2026-01-01T12:30:00+01:00", "clock drifted") == 1
    assert flagged(store) == [3]
    assert store.row(3).flags == ("clock drifted",)
    assert store.all() == before


def test_a_flagged_result_is_measured_again(store, measurement):
    store.add(measurement(cycles=90, samples=(90,)))
    store.add(measurement())
    store.flag_since_golden("f412-01", "drift")
    assert store.find(*key(measurement())) is None
    store.add(measurement(cycles=80, samples=(80,)))
    assert store.find(*key(measurement())).cycles == 80


def test_a_flagged_result_is_no_result_of_its_job_and_its_failures_stay(store, measurement):
    of_job = {"provenance": {"job_id": "mine"}}
    failed = {"status": "bench_failure", "output_ok": False, "samples": (), "cycles": 0}
    store.add(measurement(**of_job, **failed, cold_cycles=0))
    store.add(measurement(**of_job))
    assert [m.status for m in store.of_job("mine")] == ["bench_failure", "ok"]
    store.flag_since_golden("f412-01", "drift")
    assert [m.status for m in store.of_job("mine")] == ["bench_failure"]


def test_only_what_came_behind_the_last_good_golden_run_is_flagged(store, measurement):
    store.add(measurement())
    store.add_golden_run(golden(ok=True))
    store.add(measurement())
    store.add_golden_run(golden(ok=False))
    store.add(measurement())
    store.add(measurement(board="other"))
    store.add_golden_run(golden(ok=True, board="other"))
    assert store.flag_since_golden("f412-01", "drift") == 2
    assert flagged(store) == [2, 3]


def test_a_measurement_can_be_flagged_twice(store, measurement):
    store.add(measurement())
    store.flag_since_golden("f412-01", "first")
    store.flag_since_golden("f412-01", "second")
    assert store.row(1).flags == ("first", "second")
    assert [e.action for e in store.entries()] == ["store", "flag", "flag"]


def test_a_word_instead_of_a_time_is_a_usage_error(store):
    for word in ("noon", "0001-01-01T00:00:00+23:59"):
        with pytest.raises(InventoryError, match=r"' is not a time; write it as 2026-11-22"):
            store.flag_since("b", word, "why")
