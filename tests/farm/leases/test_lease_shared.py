"""Leases that go from hand to hand: between managers, and between tests and their workers."""

import json
import os
import signal

import pytest
from test_manager import alive, make_job, wait_until

from farm import worker as workers
from farm.board_worker import BoardWorker
from farm.errors import BoardsBusyError
from farm.leases import boot_clock, lease_rows, lock_files
from farm.leases import lease as leases
from farm.leases.waiting import Request
from farm.plugin.keeper import LENT_PRIORITY, Keeper
from farm.rack.inventory import normal_uid
from farm.wire import Receiver


@pytest.fixture
def worker(board):
    """A worker in this process, and what it says."""
    read_end, write_end = os.pipe()
    serving = workers._Worker(board, None, "", write_end)
    yield serving, Receiver(read_end)
    serving.let_go()
    os.close(read_end)
    os.close(write_end)


@pytest.fixture
def stranger(board):
    """Process 1 waits for the board, and is never quick enough to take it."""
    with lease_rows.opened(lock_files.place_of(board)) as rows:
        rows.enter(Request(0, (normal_uid(board.probe),)), "a search")
        with rows.changing() as db:
            there = (boot_clock.started(1), boot_clock.now_s() + 60.0)
            db.execute("UPDATE waiting SET pid = 1, started = ?, seen_s = ?", there)


def test_a_worker_gives_a_board_to_who_waits_only_after_a_while(
    board, worker, monkeypatch, request
):
    serving, said = worker
    serving.hold(1.0, 0)
    request.getfixturevalue("stranger")
    serving.hold(0.0, 0)
    first, second = (said.receive(1.0)[0] for _ in range(2))
    assert first["token"] == second["token"]
    monkeypatch.setattr(workers, "_SHARE_S", -1.0)
    serving.hold(0.0, 0)
    assert said.receive(1.0)[0]["is"] == "busy"
    assert leases.holder(board) is None


def test_a_worker_that_shares_stands_in_line_with_its_priority(board, worker, monkeypatch, request):
    serving, said = worker
    monkeypatch.setattr(workers, "_SHARE_S", -1.0)
    serving.hold(1.0, 0)
    request.getfixturevalue("stranger")
    serving.hold(0.0, 5)
    first, second = (said.receive(1.0)[0] for _ in range(2))
    assert second["token"] == first["token"] + 1
    assert leases.waiters(board)[0].request.overtaken == 1


def test_a_board_lent_by_a_process_that_is_killed_stays_with_its_worker_until_that_is_gone(
    board, scripted_path
):
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        _measure_for_ever(board, write_end)
    worker = json.loads(os.read(read_end, 100))
    for descriptor in (read_end, write_end):
        os.close(descriptor)
    os.kill(worker, signal.SIGSTOP)  # so that it cannot go at once
    wait_until(lambda: boot_clock.is_stopped(worker))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with pytest.raises(BoardsBusyError, match=f"process {worker} "), leases.lease(board, 0.2):
        pass
    assert alive(worker)
    os.kill(worker, signal.SIGCONT)
    with leases.lease(board, 10.0):
        wait_until(lambda: not alive(worker), 1.0)


def _measure_for_ever(board, pipe) -> None:
    """What a test does: hold a board, and measure on it."""
    try:
        keeper = Keeper([board], 1, 5.0).ready()
        with keeper.lent(5.0):
            worker = BoardWorker(board, "scripted:run")
            worker.hold(10.0, LENT_PRIORITY)
            told = json.dumps(worker.pid).encode()
            worker.measure(make_job("hang"), 60.0, lambda _: os.write(pipe, told))
    finally:
        os._exit(1)
