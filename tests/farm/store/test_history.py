"""Recoveries and golden runs are rows, and stand in the audit."""

import dataclasses

from farm.store.history import GoldenRun, Recovery

RUN = GoldenRun(
    board="b",
    board_type="t",
    virtual=False,
    ok=True,
    cycles=10,
    clock_hz=1e8,
    lease_token=3,
    facts={"drift_percent": 0.1, "image_sha256": "ab"},
)


def test_recoveries_come_back_in_order(store):
    first = Recovery(board="b", rung="reopen", seconds=0.5, outcome="failed", detail="no ack")
    other = Recovery(board="c", rung="usb reset", seconds=2, outcome="recovered", lease_token=4)
    store.add_recovery(first)
    store.add_recovery(other)
    assert store.recoveries() == [first, other]
    assert store.recoveries("c") == [other]
    entry = store.entries("c")[0]
    assert (entry.action, entry.result, entry.lease_token) == ("recover", "recovered", 4)
    assert entry.facts == {"rung": "usb reset", "seconds": 2}


def test_golden_runs_come_back_with_what_was_measured_until_then(store, measurement):
    store.add(measurement(board="b"))
    store.add(measurement(board="c"))
    store.add_golden_run(RUN)
    bad = dataclasses.replace(RUN, ok=False, cycles=None, clock_hz=None)
    store.add_golden_run(bad)
    kept = [dataclasses.replace(run, last_measurement=1) for run in (RUN, bad)]
    assert store.golden_runs("b") == store.golden_runs() == kept
    assert store.last_good_golden("b") == kept[0]
    assert store.last_good_golden("c") is None


def test_the_golden_runs_around_a_measurement_are_found(store, measurement):
    for run in (1, 2):
        store.add_golden_run(dataclasses.replace(RUN, cycles=run))
    first, other, last = (store.add(measurement(board=board)) for board in "bcb")
    store.add_golden_run(dataclasses.replace(RUN, cycles=3))
    before, behind = store.golden_around("b", first)
    assert (before[1].cycles, behind[1].cycles) == (2, 3)
    assert store.golden_around("b", last)[0][0] == before[0]
    assert store.golden_around("c", other) == (None, None)


def test_what_is_no_number_is_kept_as_a_word(store):
    odd = dataclasses.replace(RUN, cycles=2**70, clock_hz=float("inf"), facts={"x": float("nan")})
    store.add_golden_run(odd)
    (run,) = store.golden_runs()
    assert (run.cycles, run.clock_hz, run.facts) == (None, None, {"x": "nan"})
    store.verify()
