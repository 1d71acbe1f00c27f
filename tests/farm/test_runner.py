"""Whole jobs on real virtual boards: manager, worker, build, flash, measurement, store."""

import os
import signal

import pytest
from toy_model import INPUT, OUTPUT, toy

from farm.leases import lease
from farm.manager import BoardManager, Job
from farm.rack.inventory import select
from farm.virtual import rack as virtual_rack

F412, F767 = "nucleo-f412zg", "nucleo-f767zi"


@pytest.fixture(scope="module")
def folders(tmp_path_factory, shared_cache):
    """State of this file, so that its boards boot once."""
    state = tmp_path_factory.mktemp("state")
    made = {"XDG_STATE_HOME": str(state), "XDG_CACHE_HOME": str(shared_cache)}
    with pytest.MonkeyPatch.context() as patch:
        for name, folder in made.items():
            patch.setenv(name, folder)
        yield made
        virtual_rack.down()


@pytest.fixture(autouse=True)
def own_folders(folders, monkeypatch):
    for name, folder in folders.items():
        monkeypatch.setenv(name, folder)


def job(name: str, board_type: str = F412, expected: bytes = OUTPUT, **sizes) -> Job:
    return Job(name, toy(**sizes), board_type, INPUT, expected, 3)


def kill_daemon(rack, board_id: str) -> int:
    pid = virtual_rack.find(rack.board(board_id).probe_uid).pid
    os.kill(pid, signal.SIGKILL)
    return pid


def test_two_types_are_measured_stored_and_not_measured_again(rack):
    jobs = [job("m4"), job("m7", F767)]
    with BoardManager(rack, select(rack, "f412-01,f767-01")) as manager:
        first = manager.measure(jobs)
        again = manager.measure(jobs)
    assert [(m.name, m.status, m.board_type) for m in first] == [
        ("m4", "ok", F412),
        ("m7", "ok", F767),
    ]
    assert [m.source for m in first + again] == ["measured"] * 2 + ["stored"] * 2
    assert [m.cycles for m in again] == [m.cycles for m in first]
    assert all(m.virtual and m.timing_model and m.flash_bytes for m in again)


def test_a_daemon_killed_in_mid_measurement_costs_a_retry(rack):
    killed = []

    def kill_once(event):
        if event.detail == "time" and not killed:
            killed.append(kill_daemon(rack, event.board))

    with BoardManager(rack, select(rack, "f412-01"), progress=kill_once) as manager:
        m = manager.submit(job("m4"), again=True).result()
    assert killed
    assert (m.status, m.provenance["attempt"]) == ("ok", 2)
    assert virtual_rack.find("TR-F412-01").pid != killed[0]
    assert lease.holder(rack.boards[0]) is None


def test_a_dead_daemon_is_started_for_the_next_job(rack):
    kill_daemon(rack, "f412-01")
    with BoardManager(rack, select(rack, "f412-01"), retries=0) as manager:
        assert manager.submit(job("m4"), again=True).result().status == "ok"


def test_wrong_output_and_too_big_are_results(rack):
    with BoardManager(rack, select(rack, "f412-01"), retries=0) as manager:
        wrong, too_big = manager.measure(
            [job("wrong", expected=bytes(20)), job("big", arena=10_000_000)]
        )
    assert (wrong.status, wrong.cycles) == ("wrong_output", 0)
    assert "output bytes are wrong" in wrong.message
    assert too_big.status == "too_big"
    assert too_big.static_ram_bytes > 10_000_000
