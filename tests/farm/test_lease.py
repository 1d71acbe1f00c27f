"""Leases: exclusive between processes, freed by death, fenced against an operator's release."""

import subprocess
import sys
import time

import pytest

from farm import lease as leases
from farm.errors import BenchError, BoardsBusyError, FarmError, NoBoardError
from farm.inventory import load_rack

HOLD = """
import sys, time
from farm.inventory import load_rack
from farm.lease import lease
board = load_rack(sys.argv[1]).boards[0]
with lease(board, 1.0):
    print("held", flush=True)
    time.sleep(60)
"""
COUNT = """
import sys
from farm.inventory import load_rack
from farm.lease import lease
board = load_rack(sys.argv[1]).boards[0]
for _ in range(20):
    with lease(board, 30.0) as held:
        print(held.token)
"""


@pytest.fixture
def other(rack):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(rack.path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_held_board_names_its_holder_and_refuses_others(board, other):
    assert leases.holder(board).pid == other.pid
    with (
        pytest.raises(BoardsBusyError, match=f"f412-01 is held by process {other.pid}"),
        leases.lease(board, 0.1),
    ):
        pass


def test_a_killed_holder_frees_its_board_at_once(board, other):
    other.kill()
    other.wait()
    started = time.monotonic()
    with leases.lease(board, 2.0) as held:
        assert held.token == 2
    assert time.monotonic() - started < 0.5
    assert leases.holder(board) is None


def test_tokens_of_concurrent_processes_are_all_different(board, rack):
    command = [sys.executable, "-c", COUNT, str(rack.path)]
    crowd = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    tokens = [int(line) for p in crowd for line in p.communicate()[0].split()]
    assert sorted(tokens) == list(range(1, 61))


def test_release_fences_off_the_holder(board):
    with leases.lease(board, 1.0) as held, leases.renewing(held, 0.02) as lost:
        with pytest.raises(BoardsBusyError, match="does not let go"):
            leases.release(board, 0.1)
        assert lost.wait(2.0)
        with pytest.raises(BenchError, match="released by an operator"):
            held.check()


def test_renewing_goes_on_after_a_database_that_was_busy(board, monkeypatch):
    answers = [FarmError("locked"), BenchError("released")]

    def check(_: leases.Lease) -> None:
        raise answers.pop(0)

    monkeypatch.setattr(leases.Lease, "check", check)
    with leases.lease(board, 1.0) as held, leases.renewing(held, 0.01) as lost:
        assert lost.wait(2.0)


def test_release_of_a_free_board_says_that_nobody_held_it(board):
    assert leases.release(board) is None


def test_a_quarantined_board_cannot_be_leased_until_restored(board):
    leases.quarantine(board, "smokes")
    assert leases.quarantine_reason(board) == "smokes"
    with pytest.raises(NoBoardError, match=r"quarantined \(smokes\)"), leases.lease(board, 0.1):
        pass
    assert leases.restore(board)
    assert not leases.restore(board)
    with leases.lease(board, 0.1):
        pass


def test_an_unrenewed_lease_shows_as_expired(board, monkeypatch):
    monkeypatch.setattr(leases, "TTL_S", -1.0)
    with leases.lease(board, 0.1):
        assert leases.holder(board).expired


def test_two_spellings_of_one_probe_are_one_lock(write_rack):
    text = """
version: 1
types: {t: {mcu: stm32f412zg, target: stm32f412xg}}
boards: [{id: a, type: t, probe: "jlink:000960177309"}]
"""
    first = load_rack(write_rack(text)).boards[0]
    second = load_rack(write_rack(text.replace("000960", "960"))).boards[0]
    with leases.lease(first, 0.1), pytest.raises(BoardsBusyError), leases.lease(second, 0.1):
        pass
