"""Which rows a filter lets through."""

import pytest

from farm.store.query import Wanted


@pytest.fixture
def full(store, measurement):
    store.add(measurement(name="conv_3x3", utc="2026-01-01T00:00:00+00:00"))
    store.add(measurement(name="conv-3x3", utc="2026-01-02T00:00:00+00:00", board="x"))
    store.add(measurement(name="dense", utc="2026-01-03T00:00:00+00:00", board_type="t"))
    store.add(measurement(name="50%", utc="2026-01-04T00:00:00+00:00", virtual=False))
    return store


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Wanted(), [1, 2, 3, 4]),
        (Wanted(board="x"), [2]),
        (Wanted(board_type="t"), [3]),
        (Wanted(status="too_big"), []),
        (Wanted(name="conv_3x3"), [1]),
        (Wanted(name="conv*"), [1, 2]),
        (Wanted(name="Conv*"), []),
        (Wanted(name="*%*"), [4]),
        (Wanted(since="2026-01-02", until="2026-01-04"), [2, 3]),
        (Wanted(virtual=True), [1, 2, 3]),
        (Wanted(virtual=False), [4]),
        (Wanted(flagged=True), []),
        (Wanted(newest=2), [3, 4]),
        (Wanted(virtual=True, newest=2), [2, 3]),
    ],
)
def test_a_filter_lets_through_what_it_says(full, wanted, numbers):
    assert [row.id for row in full.rows(wanted)] == numbers


def test_rows_come_in_batches_and_whole(store, measurement, monkeypatch):
    monkeypatch.setattr("farm.store.query._BATCH", 2)
    for _ in range(5):
        store.add(measurement())
    store.flag_since_golden("f412-01", "why")
    rows = list(store.rows(Wanted()))
    assert [row.id for row in rows] == [1, 2, 3, 4, 5]
    assert {row.flags for row in rows} == {("why",)}


def test_a_row_says_what_it_was_measured_on(full):
    assert [full.row(i).to_json()["kind"] for i in (3, 4)] == ["virtual", "silicon"]
    assert full.row(99) is None
