"""The manager over boards that misbehave: measured or failed with a true reason, never wrong.

All kinds of faults on all parts go through it in `nox -s soak -- --faults`.
"""

import re
from pathlib import Path

import pytest
from toy_model import INPUT, OUTPUT, toy

from farm.errors import NoBoardError
from farm.golden import health
from farm.job import Event, Job
from farm.manager import BoardManager
from farm.rack.inventory import Board, Rack
from farm.store.query import Wanted
from farm.virtual import faults, rack
from farm.virtual.faults import Fault, fault


def job(name: str, board: Board) -> Job:
    return Job(name, toy(), board.type.name, INPUT, OUTPUT, 3)


def test_jobs_on_a_failing_board_are_measured_rightly_until_it_drifts_and_all_has_a_reason(
    rack: Rack, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "MOST_MEASUREMENTS", 3)
    due: dict[tuple[str, str], Fault] = {
        ("noisy", "cold"): fault("uart-flip", seed=3, chance=0.0008),
        ("killed", "flash"): fault("daemon-kill", after=200, count="sent"),
    }
    events = []

    def progress(event: Event) -> None:
        events.append(event)
        if what := due.pop((event.job, event.detail), None):
            faults.inject(board, what)

    with BoardManager(rack, [board], retries=1, progress=progress) as manager:
        noisy, killed, clean = (
            manager.submit(job(name, board), on=board.id).result(60)
            for name in ("noisy", "killed", "clean")
        )
        rungs = len(manager.store.recoveries())
        faults.inject(board, fault("clock-drift", percent=3.0))
        with pytest.raises(NoBoardError, match=f"{board.id} quarantined: .* 3.0 % off the 100 MHz"):
            manager.submit(job("late", board), on=board.id).result(60)
        assert [run.ok for run in manager.store.golden_runs()] == [True, False, False]
        flagged = [row.columns["name"] for row in manager.store.rows(Wanted(flagged=True))]
        assert (sorted(flagged), rungs) == (["clean", "killed", "killed", "noisy"], 1)
        assert len(manager.store.recoveries()) == rungs  # a clock that is off is no failure to mend
    assert noisy.provenance["faults"].startswith("uart-flip")
    assert "faults" not in killed.provenance  # they went with the daemon
    assert [m.provenance["attempt"] for m in (noisy, killed, clean)] == [1, 2, 1]
    assert noisy.cycles == killed.cycles == clean.cycles
    reasons = [event.detail for event in events if event.kind == "retried"]
    assert len(reasons) == 1
    assert re.search("in stage .*: .*(console|daemon)", reasons[0])


@pytest.fixture(autouse=True)
def racks_down(private_dirs: Path):
    yield
    rack.down()
