"""Boards that a person puts out of service, and back into it, while a manager uses them."""

import time

import pytest
import scripted
import scripted_ladder
from test_manager import NO_LADDER, make_job, wait_until

from farm.errors import FarmError, NoBoardError
from farm.leases import lease as leases
from farm.manager import BoardManager
from farm.scheduling.crew import Threads
from farm.store import Store

DEADLINE_S = 30.0


@pytest.fixture
def manager(rack, board, scripted_path):
    with BoardManager(rack, [board], runner=Threads("scripted:run", NO_LADDER)) as manager:
        yield manager


def test_a_board_that_is_put_out_of_service_takes_no_more_of_the_queue(manager, board):
    futures = [manager.submit(make_job(f"slow-{at}")) for at in range(8)]
    assert futures[0].result(DEADLINE_S).status == "ok"
    leases.quarantine(board, "smokes")
    with pytest.raises(NoBoardError, match="f412-01 quarantined: smokes"):
        futures[-1].result(DEADLINE_S)
    assert len(scripted.runs()) < len(futures)
    assert leases.holder(board) is None


def test_a_board_that_is_put_back_into_service_is_used_again(manager, board):
    manager.submit(make_job("ok")).result(DEADLINE_S)
    leases.quarantine(board, "smokes")
    with pytest.raises(NoBoardError):
        manager.submit(make_job("ok-2")).result(DEADLINE_S)
    leases.restore(board)
    time.sleep(1.1)  # a manager asks once a second
    assert manager.submit(make_job("ok-3")).result(DEADLINE_S).status == "ok"


def test_a_failing_board_climbs_the_ladder_and_is_quarantined_behind_its_end(
    rack, board, scripted_path
):
    events = []
    crew = Threads("scripted:run", "scripted_ladder:LADDER")
    with BoardManager(rack, [board], None, 60.0, 9, events.append, runner=crew) as manager:
        with pytest.raises(NoBoardError, match="failed 3 times; last: f412-01: probe gone"):
            manager.measure([make_job("bench")])
        rows = manager.store.recoveries("f412-01")
        assert [(row.rung, row.outcome) for row in rows] == [("knock", "done"), ("kick", "failed")]
        assert "probe gone" in leases.quarantine_reason(board)
        assert manager.store.entries("f412-01")[-1].action == "quarantine"
        assert [e.kind for e in events if not e.job] == ["recovered", "recovered", "aside"]
        leases.restore(board)
        time.sleep(1.1)  # how often it is asked
        assert manager.measure([make_job("ok")])[0].status == "ok"


def test_a_job_that_no_board_could_do_sets_no_board_back_to_the_ground(rack, board, scripted_path):
    crew = Threads("scripted:run", "scripted_ladder:LADDER")
    with BoardManager(rack, [board], retries=0, runner=crew) as manager:
        for name in ("bench-1", "toolchain", "bench-2", "toolchain-2"):
            with pytest.raises(FarmError):
                manager.submit(make_job(name)).result(DEADLINE_S)
        assert [row.rung for row in manager.store.recoveries("f412-01")] == ["knock", "kick"]


def test_nothing_is_stored_of_a_rung_that_the_end_of_its_manager_cut_off(
    rack, board, scripted_path
):
    events = []
    crew = Threads("scripted:run", "scripted_ladder:LONG_LADDER")
    with BoardManager(rack, [board], progress=events.append, runner=crew) as manager:
        future = manager.submit(make_job("bench"))
        wait_until(scripted_ladder.dozing_path().exists)
    with pytest.raises(FarmError, match="closed"):
        future.result(DEADLINE_S)
    assert leases.holder(board) is None
    assert [e.kind for e in events if not e.job] == []
    with Store() as store:
        assert store.recoveries() == []
        assert len(store.all()) == 1
