"""A Measurement survives JSON, refuses contradictions and anything hostile."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.measure import Measurement, latency_ms
from farm.samples import median, spread_percent

SAMPLES = st.lists(st.integers(1, 2**32), min_size=1, max_size=20)


@given(SAMPLES, st.text(), st.none() | st.floats(1, 1e9), st.booleans())
def test_json_gives_back_an_equal_measurement(samples, message, clock, virtual):
    m = Measurement(
        name="n",
        status="ok",
        board="b",
        board_type="t",
        virtual=virtual,
        message=message,
        output_ok=True,
        samples=tuple(samples),
        cycles=median(samples),
        clock_hz=100_000_000,
        clock_measured_hz=clock,
        provenance={"compiler": "zig", "attempt": 1, "load": 0.5},
    )
    assert Measurement.from_json(json.loads(json.dumps(m.to_json()))) == m


@given(SAMPLES)
def test_the_median_is_a_sample_and_splits_them(samples):
    middle = median(samples)
    assert middle in samples
    assert sum(s < middle for s in samples) * 2 <= len(samples)
    assert sum(s > middle for s in samples) * 2 <= len(samples)


def test_figures_have_their_units():
    assert latency_ms(216_000, 216_000_000) == 1.0
    assert spread_percent([200, 200, 202]) == 1.0
    assert spread_percent([7, 7, 7]) == 0.0


@pytest.mark.parametrize("status", ["wrong_output", "too_big", "bench_failure"])
def test_only_an_ok_result_has_timing(measurement, status):
    with pytest.raises(ValueError, match="must not carry timing"):
        measurement(status=status, output_ok=False)
    bare = measurement(status=status, output_ok=False, samples=(), cycles=0, cold_cycles=0)
    row = bare.to_json()
    assert row["cycles"] is row["latency_ms"] is row["cycles_per_mac"] is None
    assert Measurement.from_json(row) == bare


@pytest.mark.parametrize(
    "changes",
    [
        {"output_ok": False},
        {"cycles": 101},
        {"samples": ()},
        {"samples": (0,), "cycles": 0},
        {"clock_hz": 0},
    ],
)
def test_a_result_that_contradicts_itself_is_refused(measurement, changes):
    with pytest.raises(ValueError, match="net"):
        measurement(**changes)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("status", "fine"),
        ("name", None),
        ("name", 3),
        ("virtual", 1),
        ("cycles", "100"),
        ("cycles", -1),
        ("cycles", True),
        ("samples", [1, -2]),
        ("samples", "abc"),
        ("latency_ms", float("nan")),
        ("clock_measured_hz", "fast"),
        ("provenance", {"x": []}),
        ("provenance", []),
        ("source", "guessed"),
        ("surprise", 1),
    ],
)
def test_hostile_json_is_refused_by_key(measurement, key, value):
    with pytest.raises(ValueError, match=key):
        Measurement.from_json(measurement().to_json() | {key: value})


def test_a_missing_key_is_named(measurement):
    row = measurement().to_json()
    del row["virtual"]
    with pytest.raises(ValueError, match="'virtual' is missing"):
        Measurement.from_json(row)
