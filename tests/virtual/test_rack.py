from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from farm.errors import BenchError, InventoryError
from farm.inventory import Board
from farm.virtual import rack, registry
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
        "from farm.inventory import *; from farm.virtual import rack;"
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
