"""The fuzzer itself, and a short run of it."""

import multiprocessing
import random
import signal
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import fuzz
import pytest
from mutations import MUTATIONS, Seed, mutated, structure

from engine.load.tflite import load_tflite

CORPUS = Path(__file__).parent / "corpus"
NUMBERS = range(300)


@pytest.fixture(scope="module")
def seeds():
    return fuzz.read_seeds([CORPUS])


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.tflite")), ids=lambda path: path.stem)
def test_the_corpus_is_sound_before_it_is_spoiled(path):
    assert load_tflite(path).ops


def test_a_short_run_finds_nothing(seeds):
    figures = fuzz.fuzz([CORPUS], 0, NUMBERS, 1, print)
    assert figures.failures == []
    assert sum(figures.outcomes.values()) == len(NUMBERS)
    assert figures.outcomes["Graph"] > 10
    assert len(figures.outcomes) > 20
    assert 0 < figures.peak_bytes < fuzz.LIMIT_BYTES
    assert figures.slowest_s < fuzz.LIMIT_S


def test_a_file_depends_on_its_seed_and_number_alone(seeds):
    files = {mutated(seeds, seed, number)[1] for seed in range(2) for number in range(20)}
    assert len(files) > 36
    assert mutated(seeds, 1, 7) == mutated(fuzz.read_seeds([CORPUS]), 1, 7)


def test_every_way_of_spoiling_changes_a_file(seeds):
    for way in set(MUTATIONS):
        changed = 0
        for number in range(20):
            data = bytearray(seeds[0].data)
            way(random.Random(number), data, seeds[0], seeds)
            changed += data != seeds[0].data
        assert changed > 5, way.__name__


def test_the_insides_of_large_buffers_are_mostly_left_alone():
    data = (CORPUS / "residual.tflite").read_bytes()
    inside = sum(len(place) for place in structure(data))
    assert 0.5 * len(data) < inside < len(data)
    assert Seed("residual", data).places == structure(data)


@pytest.mark.parametrize("error", [ValueError, MemoryError, RecursionError, fuzz.TooSlowError])
def test_any_other_exception_is_a_failure(error):
    with fuzz.Verdict() as verdict:
        raise error("odd")
    assert verdict.outcome == f"FAILURE: {error.__name__}"
    assert "odd" in verdict.failure


def test_a_hang_is_a_failure(monkeypatch):
    monkeypatch.setattr(fuzz, "LIMIT_S", 0.02)
    before = signal.signal(signal.SIGPROF, fuzz.too_slow)
    try:
        with fuzz.Verdict() as verdict:
            while True:
                pass
    finally:
        signal.signal(signal.SIGPROF, before)
    assert verdict.outcome == "FAILURE: TooSlowError"


def test_a_worker_cannot_take_more_memory_than_is_allowed():
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=fuzz.guard_process) as pool:
        with pytest.raises(MemoryError):
            pool.submit(bytearray, fuzz.LIMIT_BYTES).result()
        assert len(pool.submit(bytearray, fuzz.LIMIT_BYTES // 16).result()) > 0


def test_failures_are_kept_and_make_the_exit_code(tmp_path, monkeypatch, capsys):
    bad = fuzz.Figures(failures=[(3, "odd")])
    monkeypatch.setattr(fuzz, "fuzz", lambda *_given: bad)
    assert fuzz.main(["--corpus", str(CORPUS), "--failures", str(tmp_path / "kept")]) == 1
    (kept,) = (tmp_path / "kept").iterdir()
    assert kept.read_bytes() == mutated(fuzz.read_seeds([CORPUS]), 0, 3)[1]
    assert "FAILURE file 3: odd" in capsys.readouterr().out
