"""Leases: exclusive between processes, freed by death, fenced against an operator's release."""

import contextlib
import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path

import lease_contest
import pytest

from farm.errors import BenchError, BoardsBusyError, FarmError, NoBoardError
from farm.leases import boot_clock, hung, lease_rows, lock_files
from farm.leases import lease as leases
from farm.rack.inventory import load_rack

HOLD = """
import sys, time
from farm.rack.inventory import load_rack
from farm.leases.lease import lease
board = load_rack(sys.argv[1]).boards[0]
with lease(board, 1.0) as held:
    print(held.token, flush=True)
    time.sleep(60)
"""
COUNT = """
import sys
import tempfile
from farm.rack.inventory import load_rack
from farm.leases.lease import lease
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
    process.token = int(process.stdout.readline())
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def waits():
    """Have a thread wait for a board; its turn among all that do, counted from 1."""
    turns = count(1)

    def wait(board, priority) -> Future[int]:
        def hold() -> int:
            with leases.lease(board, 10.0, priority=priority, purpose="a test"):
                return next(turns)

        known = len(leases.waiters(board))
        future = pool.submit(hold)
        while len(leases.waiters(board)) == known:  # bounded by the lease's own wait
            time.sleep(0.005)
        return future

    with ThreadPoolExecutor() as pool:
        yield wait


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
    with leases.lease(board, lease_rows.TTL_S / 2) as held:  # long before it could expire
        assert held.token > other.token
    assert leases.holder(board) is None


def test_tokens_of_concurrent_processes_are_all_different(board, rack):
    command = [sys.executable, "-c", COUNT, str(rack.path)]
    crowd = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    tokens = [int(line) for p in crowd for line in p.communicate()[0].split()]
    assert len(set(tokens)) == 60


def test_release_fences_off_the_holder(board, monkeypatch):
    monkeypatch.setattr(leases, "RENEW_S", 0.02)
    with leases.lease(board, 1.0) as held, leases.renewing(held) as lost:
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
    monkeypatch.setattr(leases, "RENEW_S", 0.01)
    with leases.lease(board, 1.0) as held, leases.renewing(held) as lost:
        assert lost.wait(2.0)


def test_a_lease_that_is_given_back_while_it_is_renewed_is_not_lost(board, monkeypatch):
    begun, given_back = threading.Event(), threading.Event()

    def check(_: leases.Lease) -> None:
        begun.set()
        given_back.wait(5.0)
        raise BenchError("released")

    monkeypatch.setattr(leases.Lease, "check", check)
    monkeypatch.setattr(leases, "RENEW_S", 0.01)
    with leases.lease(board, 1.0) as held:
        assert begun.wait(5.0)
        (renewing,) = [each for each in threading.enumerate() if each.name == "leases"]
    given_back.set()
    renewing.join(5.0)
    assert not renewing.is_alive()
    assert not held.lost.is_set()


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
    monkeypatch.setattr(lease_rows, "TTL_S", -1.0)
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


def test_a_stopped_holder_is_ended_when_somebody_waits(board, other, monkeypatch):
    other.send_signal(signal.SIGSTOP)
    with lease_rows.opened(lock_files.place_of(board)) as rows, rows.changing() as db:
        db.execute("UPDATE leases SET expires_s = ?", (boot_clock.now_s() - 1.0,))
    monkeypatch.setattr(leases, "_HERE_S", 0.02)
    with leases.lease(board, 5.0) as held:
        assert held.token > other.token
    assert other.wait(5.0) == -signal.SIGKILL


def test_a_holder_of_another_user_that_hangs_is_named_with_who_can_end_it(
    board, other, monkeypatch
):
    def refuse(*_):
        raise PermissionError

    with lease_rows.opened(lock_files.place_of(board)) as rows, rows.changing() as db:
        db.execute("UPDATE leases SET user = 'ann', expires_s = 0")
    other.send_signal(signal.SIGSTOP)
    with monkeypatch.context() as patched:
        patched.setattr(os, "kill", refuse)
        with (
            pytest.raises(BoardsBusyError, match=r"hangs: ann or root has to end it"),
            leases.lease(board, 0.0),
        ):
            pass
    assert other.poll() is None


def test_who_was_stopped_before_it_could_say_that_it_holds_the_board_is_ended(board, monkeypatch):
    monkeypatch.setattr(lease_rows, "TTL_S", 0.3)
    place = lock_files.place_of(board)
    child = os.fork()
    if not child:
        with lock_files.opened_lock(place, "tr-f412-01") as descriptor:
            lock_files.try_lock(place, "tr-f412-01", descriptor)
            os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(1)
    os.waitpid(child, os.WUNTRACED)
    with pytest.raises(BoardsBusyError, match=f"by process {child} of "), leases.lease(board, 0.0):
        pass
    with leases.lease(board, 5.0):
        assert os.waitpid(child, 0)[1] == signal.SIGKILL


def test_who_was_stopped_while_it_asked_whether_somebody_has_the_board_is_ended(board, monkeypatch):
    monkeypatch.setattr(lease_rows, "TTL_S", 0.3)
    place = lock_files.place_of(board)
    child = os.fork()
    if not child:
        with lock_files.opened_lock(place, "tr-f412-01") as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(1)
    os.waitpid(child, os.WUNTRACED)
    try:
        with leases.lease(board, 5.0):
            assert os.waitpid(child, 0)[1] == signal.SIGKILL
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def test_a_holder_that_could_not_renew_for_long_and_can_again_is_left_alone(
    board, other, monkeypatch
):
    monkeypatch.setattr(hung, "_AGAIN_S", 30.0)  # on a busy host, too
    with lease_rows.opened(lock_files.place_of(board)) as rows, rows.changing() as db:
        db.execute("UPDATE leases SET expires_s = 0")
    with pytest.raises(BoardsBusyError, match=f"by process {other.pid}"), leases.lease(board, 0.0):
        pass
    assert (other.poll(), leases.holder(board).expired) == (None, False)


def test_a_process_of_an_old_row_is_not_ended_for_who_has_the_board_now(board, monkeypatch):
    bystander = subprocess.Popen(["sleep", "60"])
    monkeypatch.setattr(lease_rows, "TTL_S", -1.0)
    with lease_rows.opened(lock_files.place_of(board)) as rows:
        rows.name("tr-f412-01", board.id, bystander.pid)
    try:
        with leases.exclusive(board, 1.0), pytest.raises(BoardsBusyError), leases.lease(board, 0.0):
            pass
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_board_that_is_put_out_of_service_is_refused_to_those_who_wait_for_it(board, waits):
    with leases.lease(board, 0.1):
        waiting = waits(board, 0)
        leases.quarantine(board, "smokes")
    with pytest.raises(NoBoardError, match=r"quarantined \(smokes\)"):
        waiting.result(10.0)
    assert leases.holder(board) is None


def test_a_step_of_the_wall_clock_ends_no_lease(board, other, monkeypatch):
    now_s = time.time()
    for stepped_s in (now_s - 1e6, now_s + 1e6):
        monkeypatch.setattr(time, "time", lambda stepped_s=stepped_s: stepped_s)
        assert not leases.holder(board).expired
        with pytest.raises(BoardsBusyError), leases.lease(board, 0.05):
            pass
    assert other.poll() is None


def test_a_rebooted_host_has_no_hung_holders(board, monkeypatch):
    with leases.lease(board, 0.1):
        monkeypatch.setattr(boot_clock, "boot_id", lambda: "the next boot")
        monkeypatch.setattr(boot_clock, "now_s", lambda: 1e12)
        assert not leases.holder(board).expired


def test_two_of_three_boards_are_had_together_or_not_at_all(rack):
    first, second, third = (b for b in rack.boards[:3])
    with leases.lease(first, 0.1), leases.lease(second, 0.1):
        with (
            pytest.raises(BoardsBusyError, match="2 of 3 boards are wanted"),
            leases.lease_any([first, second, third], 2, 0.05),
        ):
            pass
        assert leases.holder(third) is None
    with leases.lease_any([first, second, third], 2, 0.1) as held:
        assert len({each.board.id for each in held}) == 2


def test_higher_priorities_are_served_first_but_nobody_is_overtaken_more_than_three_times(
    board, waits
):
    with leases.lease(board, 0.1):
        order = [waits(board, priority) for priority in (0, 5, 5, 5, 5)]
    assert [each.result(10.0) for each in order] == [4, 1, 2, 3, 5]


def test_those_who_wait_are_named_and_the_dead_among_them_forgotten(board, waits):
    with leases.lease(board, 0.1):
        waiting = waits(board, 3)
        (found,) = leases.waiters(board)
        assert (found.request.priority, found.purpose) == (3, "a test")
        with lease_rows.opened(lock_files.place_of(board)) as rows, rows.changing() as db:
            db.execute("INSERT INTO waiting SELECT 99, uids, count, 9, pid, started + 1, boot, "
                       "seen_s, since_s, user, purpose, 0 FROM waiting")  # fmt: skip
        assert len(leases.waiters(board)) == 1
    assert waiting.result(10.0) == 1


def test_locks_that_cannot_be_kept_are_one_clear_error(rack, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(lock_files, "HOST_FOLDER", tmp_path / "file")
    real = replace(rack.boards[0], probe="stlink:0670FF")
    with pytest.raises(FarmError, match="no board can be leased"), leases.lease(real, 0.1):
        pass


def test_a_lock_file_that_was_deleted_is_made_again_and_not_shared(board):
    path = lock_files.place_of(board).lock_path("tr-f412-01")
    with leases.lease(board, 0.1):
        held = path.stat().st_ino
    path.unlink()
    with leases.lease(board, 0.1):
        assert path.exists()
    assert held


def test_who_has_a_lock_whose_file_is_deleted_has_lost_the_board(board, monkeypatch):
    monkeypatch.setattr(leases, "RENEW_S", 0.02)
    path = lock_files.place_of(board).lock_path("tr-f412-01")
    with leases.lease(board, 0.1) as held:
        os.utime(path, (0, 0))
        held.check()
        assert path.stat().st_mtime > 0
        path.unlink()
        with leases.lease(board, 0.1):
            assert held.lost.wait(5.0)
            with pytest.raises(BenchError, match="the file of its lock was deleted"):
                held.check()


def test_crowds_of_processes_never_hold_a_board_twice(tmp_path):
    found = lease_contest.contest(tmp_path, processes=4, acquisitions=120)
    assert found.granted == 120
    assert found.double == 0


@pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")
def test_another_user_finds_a_real_board_held_and_gets_it_afterwards(rack, monkeypatch):
    real = replace(rack.boards[0], probe="stlink:0670FF")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setattr(lock_files, "HOST_FOLDER", Path(folder) / "host")
        with leases.lease(real, 0.1) as held:
            assert as_nobody(real) == 0
        assert as_nobody(real) > held.token
        with leases.lease(real, 0.1) as again:
            assert again.token > held.token + 1


def as_nobody(board) -> int:
    """The token of a lease that another user has for a moment, 0 if it is refused."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply_async(_lease_as_nobody, (board,)).get(20.0)


def _lease_as_nobody(board) -> int:
    os.setuid(65534)
    try:
        with leases.lease(board, 0.1) as held:
            return held.token
    except BoardsBusyError:
        return 0
