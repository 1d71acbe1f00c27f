"""The record survives being written and read; a damaged one is told of, never shortened."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.benchmark import record_file
from farm.benchmark.record import Part, Record
from farm.errors import InventoryError

COUNTS = st.integers(0, 1 << 40)
TEXTS = st.text(max_size=12)
PARTS = st.builds(Part, TEXTS, COUNTS, COUNTS, COUNTS, st.none() | COUNTS, TEXTS)
RECORDS = st.builds(
    Record,
    commit=TEXTS,
    case=TEXTS,
    variant=st.sampled_from(["folded", "file", "kernels"]),
    board_type=TEXTS,
    core=TEXTS,
    clock_hz=COUNTS,
    timing_model=st.none() | TEXTS,
    compiler=TEXTS,
    flags=TEXTS,
    macs=COUNTS,
    cycles=COUNTS,
    instructions=st.none() | COUNTS,
    arena_bytes=COUNTS,
    stack_bytes=COUNTS,
    flash_bytes=st.just(1 << 50),
    code_bytes=COUNTS,
    constant_bytes=COUNTS,
    parts=st.lists(PARTS, max_size=2).map(tuple),
    accepted=TEXTS,
)


@settings(derandomize=True, max_examples=20)
@given(st.lists(RECORDS, max_size=3))
def test_what_is_saved_is_loaded(tmp_path_factory, records) -> None:
    path = tmp_path_factory.mktemp("record") / "benchmarks.jsonl"
    record_file.save(path, records)
    assert record_file.load(path) == tuple(records)


def test_no_file_is_an_empty_history(tmp_path) -> None:
    assert record_file.load(tmp_path / "none.jsonl") == ()


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("cycles", -1, "cycles of a record has the wrong value -1"),
        ("cycles", True, "cycles of a record"),
        ("cycles", None, "cycles of a record"),
        ("cycles", 1.5, "cycles of a record"),
        ("variant", "other", "variant"),
        ("timing_model", 3, "timing_model"),
        ("parts", "x", "parts"),
        ("parts", [{}], "key 'cycles' of a part is missing"),
        ("flash_bytes", 5, "less than code and constants"),
        ("surplus", 1, "key 'surplus' of a record is odd"),
    ],
)
def test_a_wrong_value_is_named_with_its_line(tmp_path, make, key, value, what) -> None:
    path = tmp_path / "benchmarks.jsonl"
    good, bad = make().to_json(), make().to_json() | {key: value}
    path.write_text(f"{json.dumps(good)}\n{json.dumps(bad)}\n")
    with pytest.raises(InventoryError, match="line 2") as error:
        record_file.load(path)
    assert what in str(error.value)


@pytest.mark.parametrize("line", ['{"commit": "a', "[]", "7", "[" * 100_000, "<<<<<<< HEAD"])
def test_a_damaged_line_is_refused(tmp_path, make, line) -> None:
    path = tmp_path / "benchmarks.jsonl"
    record_file.save(path, [make()])
    path.write_text(path.read_text() + line)
    with pytest.raises(InventoryError, match="line 2"):
        record_file.load(path)


def test_a_file_cut_anywhere_is_refused_or_has_whole_records_only(tmp_path, make) -> None:
    path = tmp_path / "benchmarks.jsonl"
    records = (make(), make(variant="file"))
    record_file.save(path, records)
    text = path.read_text()
    for end in range(0, len(text), 13):
        path.write_text(text[:end])
        try:
            assert record_file.load(path) == records[: text[: end + 1].count("\n")]
        except InventoryError:
            assert text[end - 1] != "\n"


def test_bytes_that_are_no_text_are_refused(tmp_path) -> None:
    path = tmp_path / "benchmarks.jsonl"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InventoryError, match="cannot be read"):
        record_file.load(path)


def test_a_commit_that_is_measured_again_replaces_its_own_records_only(make) -> None:
    old, other = make(cycles=1), make(commit="b", cycles=2)
    new = make(cycles=3)
    history = record_file.updated([old, other], [new])
    assert history == (other, new)
    assert record_file.latest(history) == (new,)
