from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from farm.virtual import registry
from farm.virtual.registry import Record

RECORD = Record("TR-1", 7, "/tmp/s", "/dev/x", "stm32f412zg", "stm32f412xg", "m4-v1", "abc")


def test_record_comes_back_as_written_and_goes_away() -> None:
    registry.write_record(RECORD)
    assert registry.read_record("TR-1") == RECORD
    assert list(registry.records()) == [RECORD]
    registry.remove_record("TR-1")
    assert registry.read_record("TR-1") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"uid": "TR-1"}',
        json.dumps({**vars(RECORD), "pid": "7"}),
        json.dumps({**vars(RECORD), "uid": "TR-2"}),
        json.dumps({**vars(RECORD), "more": 1}),
        "\xff",
    ],
)
def test_damaged_record_counts_as_none(text: str) -> None:
    registry.state_file("TR-1", "json").write_bytes(text.encode("latin-1"))
    assert registry.read_record("TR-1") is None
    assert list(registry.records()) == []


@pytest.mark.parametrize("uid", ["", "../x", "a/b", ".hidden", "x" * 65, "a b", "a\n"])
def test_id_that_could_leave_the_directory_is_refused(uid: str) -> None:
    with pytest.raises(ValueError, match="no probe id"):
        registry.state_file(uid, "json")


def test_only_one_holds_a_board() -> None:
    assert not registry.has_daemon("TR-1")
    lock = registry.take_lock("TR-1")
    assert lock is not None
    assert registry.take_lock("TR-1", tries=2) is None
    assert registry.has_daemon("TR-1")
    assert registry.held_uids() == ["TR-1"]
    os.close(lock)
    assert not registry.has_daemon("TR-1")


def test_lock_of_a_killed_process_is_free_again() -> None:
    code = "import time; from farm.virtual import registry; registry.take_lock('TR-1')"
    code += "; print(1, flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    assert registry.has_daemon("TR-1")
    process.kill()
    process.communicate()
    assert not registry.has_daemon("TR-1")


def test_state_directory_is_private() -> None:
    assert registry.state_dir().stat().st_mode & 0o077 == 0


def test_code_hash_depends_on_the_part() -> None:
    assert registry.code_hash("stm32f412zg") == registry.code_hash("stm32f412zg")
    assert registry.code_hash("stm32f412zg") != registry.code_hash("stm32f767zi")


def test_code_hash_is_another_one_once_a_source_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    before = registry.code_hash("stm32f412zg")
    sources = list(registry._sources(Path(registry.__file__).parent))
    changed = [(name, size, changed_ns + 1) for name, size, changed_ns in sources]
    read = []
    monkeypatch.setattr(registry, "_sources", lambda _: changed)
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or b"newer")
    assert registry.code_hash("stm32f412zg") != before
    assert {"registry.py", "v1.yaml"} & set(read)
