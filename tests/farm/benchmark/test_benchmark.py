"""The whole way, for the smallest case there is, on a virtual board."""

import json

import pytest

from engine.benchmarks import kernel_suite
from farm.benchmark import __main__ as benchmark
from farm.benchmark import record_file
from farm.benchmark.cases import Case, networks
from farm.benchmark.record import Record
from farm.benchmark.revision import UNKNOWN, revision, steady
from farm.virtual import rack as virtual_rack

SMALL = "pointwise 31-22 at 3x3, ReLU"


@pytest.fixture
def bench(tmp_path, monkeypatch, rack, capsys):
    """Run it on one M4; return code, standard output and error."""
    graph = next(graph for graph in kernel_suite() if graph.name == SMALL)
    cases = [Case("small", "folded", graph, graph)]
    monkeypatch.setattr(benchmark, "networks", lambda _: (cases, ["other is skipped: not there"]))

    def go(*words):
        common = ("--boards", "f412-01", "--boards-file", str(rack.path), "--no-kernels")
        code = benchmark.main([*common, "--docs", str(tmp_path), "--json", *words])
        return code, *capsys.readouterr()

    yield go
    virtual_rack.down()


def test_a_network_is_measured_and_held_against_the_record(bench, tmp_path, make) -> None:
    path = tmp_path / "benchmarks.jsonl"
    faster = make(case="small", cycles=10_000, arena_bytes=1 << 20, flash_bytes=1 << 20)
    record_file.save(path, [faster])
    code, out, err = bench()
    assert code == benchmark.EXIT_WORSE
    assert "other is skipped" in err
    assert "WORSE: small (folded) on nucleo-f412zg: 10,000 -> " in err
    assert "arena" not in err
    assert record_file.load(path) == (faster,)
    assert not (tmp_path / "benchmarks.md").exists()
    (row,) = json.loads(out)["results"]

    code, out, _ = bench("--accept", "a test wants it")
    assert code == 0
    first, kept = record_file.load(path)
    assert first == faster
    assert kept == Record.from_json(row | {"accepted": "a test wants it"})  # the same again
    assert [kept.to_json()] == json.loads(out)["results"]
    check_figures(kept)
    assert "| small |" in (tmp_path / "benchmarks.md").read_text()


def check_figures(kept: Record) -> None:
    (part,) = kept.parts
    assert kept.macs == part.macs == 3 * 3 * 31 * 22
    assert part.instructions == pytest.approx(kept.instructions, abs=30)  # it is alone
    assert 1 < kept.cycles / kept.instructions < 3
    assert part.cycles == pytest.approx(kept.cycles, rel=0.05)
    assert kept.code_bytes > 1000
    assert kept.constant_bytes > 31 * 22
    assert 1000 < kept.harness_bytes < 8000


def test_a_damaged_record_ends_it_before_anything_is_measured(bench, tmp_path) -> None:
    (tmp_path / "benchmarks.jsonl").write_text("{}\n")
    code, _, err = bench()
    assert code == 2
    assert "line 1" in err


def test_models_that_are_not_there_are_skipped_with_a_reason(tmp_path) -> None:
    cases, skipped = networks(tmp_path)
    assert cases == []
    assert len(skipped) == 4
    assert all("is not there" in reason for reason in skipped)


def test_a_commit_that_changes_meanwhile_is_marked(tmp_path) -> None:
    assert steady("abc", "abc") == "abc"
    assert steady("abc+", "abc+") == "abc+"
    assert steady("abc", "abd") == steady("abc", "abc+") == "abc+"
    assert revision(tmp_path) == UNKNOWN
