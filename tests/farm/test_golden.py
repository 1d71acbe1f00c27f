"""Golden runs: the program is what its twin says, drift is seen, and two in a row quarantine."""

import dataclasses

import pytest

from engine import toolchain
from engine.compilers import DEFAULT
from farm.errors import BenchError, FarmError
from farm.golden import baseline as baselines
from farm.golden import image
from farm.golden.baseline import SILICON, Baseline, baseline, table
from farm.golden.check import check, run_golden
from farm.golden.health import Health
from farm.golden.verdict import as_run, judge
from farm.image import build_image
from farm.leases import lease
from farm.mcus import load_mcu
from farm.rack.board import Board, BoardType
from farm.store import Store
from farm.virtual import rack

F412 = Board("gold-1", BoardType("nucleo-f412zg", "stm32f412zg", "stm32f412xg"), "virtual:TR-GOLD")


@pytest.fixture(scope="module")
def run(tmp_path_factory, shared_cache):
    """One golden run of a virtual board."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_CACHE_HOME", str(shared_cache))
        try:
            yield run_golden(F412, 60.0)
        finally:
            rack.down([F412.probe_uid])


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "results.db") as opened:
        yield opened


def drifted(m, percent: float):
    cycles = round(m.cycles * (1 + percent / 100))
    return dataclasses.replace(m, cycles=cycles, samples=(cycles,) * 3)


def wrong(m):
    return dataclasses.replace(
        m, status="wrong_output", output_ok=False, message="1 byte is wrong", samples=(), cycles=0,
        cold_cycles=0, latency_ms=0.0, cycles_per_mac=0.0, spread_percent=0.0, layer_cycles=(),
        iqr_cycles=0, outliers=(), input_cycles=(),
    )  # fmt: skip


def test_a_virtual_board_computes_the_golden_output_in_the_cycles_of_the_table(run):
    assert run.status == "ok"
    if run.provenance["compiler"] in {row.compiler for row in table()}:
        assert judge(run, baseline(run, ())).why.endswith("of the table of stm32f412zg")


def test_golden_images_are_of_the_default_compiler_whatever_builds_the_networks(run):
    assert image.golden_job("nucleo-f412zg").compiler == DEFAULT
    assert run.provenance["compiler"] == toolchain.compiler_version(DEFAULT)
    assert {row.compiler.split()[0] for row in table()} == {DEFAULT}


@pytest.mark.parametrize("row", table(), ids=lambda row: row.mcu)
def test_the_table_is_of_the_images_that_are_built_now(row, rack):
    if row.timing_model == SILICON or row.compiler != toolchain.compiler_version():
        pytest.skip(f"the row is of {row.compiler}")
    (kind,) = (each for each in rack.types.values() if each.mcu == row.mcu)
    built = build_image(image.model(), load_mcu(row.mcu), kind.name)
    assert built.image_sha256 == row.image_sha256, "run `python -m farm.golden`"


def test_drift_beyond_the_tolerance_is_a_fault_and_less_is_not(run):
    known = Baseline(run.cycles, "a test")
    assert judge(run, known).ok
    assert judge(drifted(run, 0.1), known).ok
    assert not judge(drifted(run, 0.3), known).ok
    assert "-0.30 %" in judge(drifted(run, -0.3), known).why
    assert judge(drifted(run, 50), None).ok
    assert not judge(wrong(run), None).ok


def test_boards_without_a_row_learn_their_baseline_from_their_first_good_runs(run, monkeypatch):
    monkeypatch.setattr(baselines, "table", lambda: ())
    first = as_run(run, judge(run, None))
    other_kind = dataclasses.replace(first, facts=dict(first.facts) | {"kind": SILICON})
    assert baseline(run, [first, first, other_kind]) is None
    known = baseline(run, [first, first, first, as_run(drifted(run, 9), judge(run, None))])
    assert known == Baseline(run.cycles, "the first 3 good runs on nucleo-f412zg boards")


def test_a_board_is_due_at_first_and_after_many_measurements(run, store):
    health = Health(store)
    assert health.is_due(F412)
    assert health.found(F412, run)[0] == "good"
    assert not health.is_due(F412)
    for _ in range(100):
        health.measured(F412)
    assert health.is_due(F412)
    assert not Health(store).is_due(F412)


def test_two_wrong_runs_in_a_row_quarantine_and_flag_what_was_measured(run, store):
    health, known = Health(store), baseline(run, ())
    assert health.found(F412, run)[0] == "good"
    row = store.add(dataclasses.replace(run, name="measured since"))
    bad = wrong(run)
    assert health.found(F412, bad)[0] == "again"
    assert lease.quarantine_reason(F412) is None
    finding, why = health.found(F412, bad)
    assert (finding, "1 measurements flagged" in why) == ("bad", True)
    assert lease.quarantine_reason(F412) == why
    assert (store.entries()[-1].action, store.entries()[-1].result) == ("quarantine", why)
    assert store.row(row).flags
    assert known is None or known.cycles == run.cycles


def test_a_board_whose_last_run_was_wrong_is_due_also_for_the_next_manager(run, store):
    first = Health(store)
    assert [first.found(F412, m)[0] for m in (run, wrong(run))] == ["good", "again"]
    assert Health(store).is_due(F412)


def test_what_could_not_be_flagged_at_the_first_wrong_run_is_flagged_at_the_next(
    run, store, monkeypatch
):
    def locked(*_) -> int:
        raise FarmError("the store is locked")

    health = Health(store)
    assert health.found(F412, run)[0] == "good"
    row = store.add(dataclasses.replace(run, name="measured since"))
    with monkeypatch.context() as patched:
        patched.setattr(Store, "flag_since_golden", locked)
        with pytest.raises(FarmError, match="locked"):
            health.found(F412, wrong(run))
    assert health.found(F412, wrong(run))[0] == "again"
    assert store.row(row).flags


def test_one_wrong_run_is_forgiven_by_a_right_one(run, store):
    health = Health(store)
    findings = [health.found(F412, m)[0] for m in (wrong(run), run, wrong(run), run)]
    assert findings == ["again", "good", "again", "good"]


def test_a_restored_board_may_be_wrong_once_again(run, store):
    health, bad = Health(store), wrong(run)
    assert [health.found(F412, bad)[0] for _ in range(2)] == ["again", "bad"]
    assert lease.restore(F412)
    assert health.found(F412, bad)[0] == "again"


def test_a_board_that_a_person_took_out_meanwhile_keeps_that_reason(run, store):
    health = Health(store)
    lease.quarantine(F412, "with ann")
    assert [health.found(F412, wrong(run))[0] for _ in range(2)] == ["again", "bad"]
    assert lease.quarantine_reason(F412) == "with ann"


def test_a_check_of_a_board_out_of_order_is_a_bench_failure(run, monkeypatch):
    monkeypatch.setattr("farm.golden.check.run_golden", lambda *_: wrong(run))
    with pytest.raises(BenchError, match="gold-1: the golden image gave wrong output"):
        check(F412, 1.0)
