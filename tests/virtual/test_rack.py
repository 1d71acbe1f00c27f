from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from pyocd.core import exceptions

from farm.errors import BenchError, InventoryError
from farm.leases.lease import lease
from farm.rack.inventory import Board
from farm.virtual import rack, registry
from farm.virtual.probe import VirtualProbe
from farm.virtual.rpc import Client, Op, Request


def pid_of(board: Board) -> int:
    found = rack.find(board.probe_uid)
    assert found is not None
    assert found.alive
    return found.pid


def test_rack_goes_up_and_down(f412: Board, f767: Board) -> None:
    rack.up([f412, f767])
    assert [(s.uid, s.alive, s.target) for s in rack.status()] == [
        ("TR-T412", True, "stm32f412xg"),
        ("TR-T767", True, "stm32f767zi"),
    ]
    assert rack.down(["TR-T767", "TR-unknown"]) == ["TR-T767"]
    assert [s.uid for s in rack.status()] == ["TR-T412"]
    assert rack.down() == ["TR-T412"]
    assert rack.status() == []
    assert rack.down() == []


def test_daemon_that_is_up_is_left_alone(f412: Board) -> None:
    rack.ensure_up(f412)
    pid = pid_of(f412)
    rack.ensure_up(f412)
    assert pid_of(f412) == pid


def test_daemon_outlives_the_process_that_started_it(f412: Board) -> None:
    code = (
        "from farm.rack.inventory import *; from farm.virtual import rack;"
        "rack.ensure_up(Board('b', BoardType('n', 'stm32f412zg', 'stm32f412xg'),"
        " 'virtual:TR-T412'))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
    assert os.getsid(pid_of(f412)) != os.getsid(0)


def test_starts_at_the_same_time_end_in_one_daemon(f412: Board) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(rack.ensure_up, [f412] * 3))
    assert registry.holder_pid("TR-T412") == pid_of(f412)


def test_killed_daemon_is_noticed_and_replaced(f412: Board) -> None:
    rack.ensure_up(f412)
    pid = pid_of(f412)
    os.kill(pid, signal.SIGKILL)
    rack.ensure_up(f412)
    assert pid_of(f412) != pid


def test_daemon_of_older_sources_is_replaced_only_while_unused(
    f412: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    rack.ensure_up(f412)
    pid = pid_of(f412)
    found = rack.find("TR-T412")
    assert found is not None
    with Client(found.socket) as user, monkeypatch.context() as patch:
        user.call(Request(Op.CLAIM))
        patch.setattr(registry, "code_hash", lambda _: "newer")
        rack.ensure_up(f412)
        assert pid_of(f412) == pid
        user.close()
        rack.ensure_up(f412)
        assert pid_of(f412) != pid


@contextmanager
def measured_by_another_process(board: Board) -> Iterator[None]:
    """Somebody holds the board and, as in timed inferences, not its debug port."""
    code = (
        "import sys; from farm.rack.inventory import *; from farm.leases.lease import lease;"
        "board = Board('b', BoardType('n', 'stm32f412zg', 'stm32f412xg'), sys.argv[1])\n"
        "with lease(board, 5.0): print('held', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, board.probe]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.stdin.close()
        assert holder.wait(10) == 0


def test_board_that_somebody_measures_is_neither_replaced_nor_opened(
    f412: Board, f767: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    rack.ensure_up(f412)
    pid = pid_of(f412)
    with measured_by_another_process(f412), monkeypatch.context() as patch:
        probe = VirtualProbe.get_probe_with_id(f412.probe_uid)
        assert probe is not None
        with pytest.raises(exceptions.ProbeError, match="held by process"):
            probe.open()
        with pytest.raises(BenchError, match="in use"):
            rack.ensure_up(replace(f767, probe=f412.probe))
        patch.setattr(registry, "code_hash", lambda _: "newer")
        rack.ensure_up(f412)
        assert pid_of(f412) == pid


def test_whoever_holds_a_board_may_replace_its_daemon(
    f412: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    rack.ensure_up(f412)
    pid = pid_of(f412)
    with lease(f412, 1.0), monkeypatch.context() as patch:
        patch.setattr(registry, "code_hash", lambda _: "newer")
        rack.ensure_up(f412)
    assert pid_of(f412) != pid


def test_power_cycle_starts_the_board_anew(f412: Board) -> None:
    with pytest.raises(BenchError, match="rack up"):
        rack.power(f412, "cycle")
    rack.ensure_up(f412)
    found = rack.find("TR-T412")
    assert found is not None
    with Client(found.socket) as user:
        user.call(Request(Op.CLAIM))
        with pytest.raises(BenchError, match="is using the debug port"):
            rack.power(f412, "cycle")
    rack.power(f412, "cycle")


def test_board_of_another_type_under_the_same_id_is_replaced(f412: Board, f767: Board) -> None:
    rack.ensure_up(f412)
    rack.ensure_up(replace(f767, probe=f412.probe))
    found = rack.find("TR-T412")
    assert found is not None
    assert found.target == "stm32f767zi"


def test_hung_daemon_is_killed_by_down(f412: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rack, "_ANSWER_DEADLINE_S", 0.2)
    monkeypatch.setattr(rack, "_STOP_DEADLINE_S", 0.2)
    rack.ensure_up(f412)
    os.kill(pid_of(f412), signal.SIGSTOP)
    assert rack.down() == ["TR-T412"]
    assert rack.status() == []


def test_real_board_and_unusable_id_are_refused(f412: Board) -> None:
    with pytest.raises(InventoryError, match="not virtual"):
        rack.up([replace(f412, probe="stlink:066B")])
    with pytest.raises(InventoryError, match="no probe id"):
        rack.up([replace(f412, probe="virtual:../x")])


def test_failed_start_tells_the_reason(f412: Board) -> None:
    unknown = replace(f412, type=replace(f412.type, mcu="stm32f999"))
    with pytest.raises(BenchError, match="stm32f999"):
        rack.up([unknown])


def test_start_that_takes_too_long_leaves_nothing_behind(f412: Board) -> None:
    with pytest.raises(BenchError, match="in time"):
        rack.up([f412], timeout_s=0.0)
    log = registry.state_file("TR-T412", "log")
    deadline = time.monotonic() + 20
    while "nobody waits" not in log.read_text(encoding="utf-8"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert registry.held_uids() == []


def test_hung_daemon_is_replaced(f412: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rack, "_ANSWER_DEADLINE_S", 0.2)
    monkeypatch.setattr(rack, "_STOP_DEADLINE_S", 0.2)
    rack.ensure_up(f412)
    pid = pid_of(f412)
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(rack, "_ANSWER_DEADLINE_S", 0.5)
    rack.ensure_up(f412)
    assert pid_of(f412) != pid
