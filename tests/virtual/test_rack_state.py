"""What the rack leaves in the file system: private while it runs, gone or harmless after it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from farm.inventory import Board
from farm.virtual import rack, registry


def mode(path: str | Path) -> int:
    return Path(path).stat().st_mode & 0o777


def test_everything_of_a_board_belongs_to_its_user_alone(f412: Board) -> None:
    folder = registry.state_dir()
    folder.chmod(0o755)
    rack.ensure_up(f412)
    found = rack.find(f412.probe_uid)
    assert found is not None
    assert mode(folder) == 0o700
    assert mode(Path(found.socket).parent) == 0o700
    assert mode(found.socket) == 0o600
    assert mode(found.tty) == 0o600  # the terminal behind the link
    assert {mode(path) for path in folder.iterdir()} == {0o600}


def stale(record: registry.Record, **changes: object) -> registry.Record:
    values = asdict(record) | changes
    path = registry.state_file(record.uid, "json")
    path.write_text(json.dumps(values), encoding="utf-8")
    return registry.Record(**values)


def test_record_from_before_a_reboot_harms_nobody_and_is_replaced(
    f412: Board, tmp_path: Path
) -> None:
    rack.ensure_up(f412)
    record = registry.read_record(f412.probe_uid)
    assert record is not None
    rack.down()
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(tmp_path / "other"))  # somebody else's since
            for where in (tmp_path / "other", tmp_path / "gone" / "board", tmp_path):
                stale(record, pid=bystander.pid, socket=str(where))
                registry.state_file(record.uid, "lock").write_text(str(bystander.pid))
                found = rack.find(f412.probe_uid)
                assert found is not None
                assert not found.alive
                assert rack.down() == []
                assert rack.status() == []
        stale(record, pid=bystander.pid)
        rack.ensure_up(f412)
        found = rack.find(f412.probe_uid)
        assert found is not None
        assert (found.alive, found.pid != bystander.pid) == (True, True)
        assert (tmp_path / "other").is_socket()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_killed_daemon_leaves_nothing_behind_once_its_board_is_up_or_down_again(
    f412: Board,
) -> None:
    rack.ensure_up(f412)
    first = rack.find(f412.probe_uid)
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    draft = registry.state_dir() / f"{f412.probe_uid}.{first.pid}.tmp"
    other = registry.state_dir() / f"{f412.probe_uid}.9.{first.pid}.tmp"  # of the board ...".9"
    draft.touch()
    other.touch()
    rack.ensure_up(f412)
    assert not Path(first.socket).parent.exists()
    assert not draft.exists()
    assert other.exists()
    second = rack.find(f412.probe_uid)
    assert second is not None
    os.kill(second.pid, signal.SIGKILL)
    rack.down()
    kept = {path.suffix for path in registry.state_dir().iterdir()} - {".tmp"}
    assert kept == {".flash", ".lock", ".log"}
    assert not Path(second.socket).parent.exists()


def test_start_killed_midway_leaves_a_board_that_the_next_one_takes_over(f412: Board) -> None:
    code = (
        "from farm.inventory import *; from farm.virtual import rack\n"
        "rack.ensure_up(Board('b', BoardType('n', 'stm32f412zg', 'stm32f412xg'),"
        " 'virtual:TR-T412'))"
    )
    for delay_s in (0.4, 0.9):
        with subprocess.Popen([sys.executable, "-c", code]) as starter:
            time.sleep(delay_s)
            starter.kill()
        rack.ensure_up(replace(f412, id="b"))
        found = rack.find(f412.probe_uid)
        assert found is not None
        assert registry.holder_pid(f412.probe_uid) == found.pid
        rack.down()
        assert rack.status() == []
        assert not Path(found.socket).parent.exists()
