"""What the rack leaves in the file system: private while it runs, gone or harmless after it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from farm.rack.inventory import Board
from farm.virtual import rack, registry
from farm.virtual.rpc import BoardGoneError, Client


def mode(path: str | Path) -> int:
    return Path(path).stat().st_mode & 0o777


def test_everything_of_a_board_belongs_to_its_user_alone(f412: Board) -> None:
    folder = registry.state_dir()
    folder.parent.chmod(0o777)
    folder.chmod(0o755)
    umask = os.umask(0)
    try:
        rack.ensure_up(f412)
    finally:
        os.umask(umask)
    found = rack.find(f412.probe_uid)
    assert found is not None
    assert mode(folder) == mode(folder.parent) == 0o700
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
        "from farm.rack.inventory import *; from farm.virtual import rack\n"
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


@pytest.mark.parametrize(
    "moment", ["Path.mkdir", "Console.__init__", "registry.remove_record", "registry.write_record"]
)
def test_daemon_killed_before_it_is_up_leaves_nothing_once_its_board_is_used_or_down(
    moment: str, f412: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at the first call of that function; the socket's folder is there before a record."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = f"""
import os, signal, sys
from pathlib import Path
from farm.virtual import daemon, registry
from farm.virtual.console import Console
registry.state_dir()
def last(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
{moment} = last
daemon.serve(daemon.Settings(*sys.argv[1:]))
"""
    words = [f412.probe_uid, f412.type.mcu, f412.type.target]
    killed = subprocess.run([sys.executable, "-c", code, *words], check=False, timeout=30)
    assert killed.returncode == -signal.SIGKILL
    assert bool(list(tmp_path.glob("tinyrack-*"))) is (moment == "registry.write_record")
    assert rack.status() == []
    if moment == "registry.write_record":
        rack.ensure_up(f412)  # TMPDIR is still the same: one folder, of the new daemon
        assert len(list(tmp_path.glob("tinyrack-*"))) == 1
    rack.down([f412.probe_uid])
    assert list(tmp_path.glob("tinyrack-*")) == []
    kept = {path.suffix for path in registry.state_dir().iterdir()}
    assert kept <= {".flash", ".lock", ".log"}


def test_folder_that_somebody_else_put_where_the_socket_was_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    home = registry.make_home("TR-1")
    assert mode(home) == 0o700
    home.rmdir()
    target = tmp_path / "precious"
    target.mkdir()
    (target / "board").touch()
    home.symlink_to(target)
    registry.remove_home("TR-1")
    assert (target / "board").exists()
    assert home.is_symlink()
    assert registry.make_home("TR-1") != home


@pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")
def test_daemon_of_another_user_is_not_talked_to_and_its_folder_not_removed(f412: Board) -> None:
    code = (
        "import os, socket, tempfile; os.setgid(65534); os.setuid(65534)\n"
        "home = tempfile.mkdtemp(prefix='tinyrack-', dir='/tmp')\n"
        "with socket.socket(socket.AF_UNIX) as s:\n"
        "    s.bind(home + '/board'); s.listen(); print(home, flush=True); input()"
    )
    words = [sys.executable, "-c", code]
    other = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/"
    )
    assert other.stdin
    assert other.stdout
    home = Path(other.stdout.readline().strip())
    try:
        record = registry.Record(
            f412.probe_uid, other.pid, f"{home}/board", "/dev/null", "stm32f412zg", "x", "y", "z"
        )
        registry.write_record(record)
        registry.state_file(f412.probe_uid, "home").write_text(str(home))
        with pytest.raises(BoardGoneError, match="another user"):
            Client(record.socket)
        found = rack.find(f412.probe_uid)
        assert found is not None
        assert not found.alive
        rack.ensure_up(f412)
        assert (home / "board").is_socket()
    finally:
        other.communicate("\n", timeout=10)
        (home / "board").unlink(missing_ok=True)
        home.rmdir()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_state_folder_of_another_user_is_refused() -> None:
    os.chown(registry.state_dir(), 65534, 65534)
    with pytest.raises(PermissionError, match="another user"):
        rack.status()
    os.chown(Path(os.environ["XDG_STATE_HOME"], "tinyrack", "virtual"), 0, 0)
