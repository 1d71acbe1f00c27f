"""The manager over boards that misbehave: measured or failed with a true reason, never wrong.

All kinds of faults on all parts go through it in `nox -s soak -- --faults`.
"""

import re
from pathlib import Path

import pytest
from toy_model import INPUT, OUTPUT, toy

from farm.inventory import Board, Rack
from farm.job import Event, Job
from farm.manager import BoardManager
from farm.virtual import faults, rack
from farm.virtual.faults import Fault, fault


def job(name: str, board: Board) -> Job:
    return Job(name, toy(), board.type.name, INPUT, OUTPUT, 3)


def test_jobs_on_a_failing_board_are_measured_rightly_and_a_retry_has_a_reason(
    rack: Rack, board: Board, private_dirs: Path
) -> None:
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
