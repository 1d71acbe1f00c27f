"""A cache that stays within its bound and never hands out a damaged file."""

import os
import time
from pathlib import Path

import pytest

from engine import object_cache
from engine.errors import ToolchainError
from engine.object_cache import cache_folder, find, keep, prune, workspace
from engine.toolchain import build_shared, compile_object, link_elf

SOURCE = "int one(void) { return 1; }\n"
SCRIPT = "SECTIONS { .text 0x8000000 : { *(.text*) } }"


@pytest.fixture(autouse=True)
def _own_cache(empty_cache):
    return empty_cache


def kept(name, content, age_s=0.0):
    with workspace() as folder:
        made = Path(folder) / "out"
        made.write_bytes(content)
        path = keep(made, name)
    before = time.time() - age_s
    os.utime(path, (before, before))
    return path


def test_a_kept_file_is_found_and_counts_as_used():
    path = kept("a.o", b"content", age_s=9000)
    assert find("a.o") == path
    assert time.time() - path.stat().st_mtime < 60
    assert find("b.o") is None


@pytest.mark.parametrize("damage", [b"", b"conte", b"content" + bytes(32), b"x" * 39])
def test_a_damaged_file_is_not_found(damage):
    kept("a.o", b"content").write_bytes(damage)
    assert find("a.o") is None


@pytest.mark.parametrize("size", [0, 10, 500])
def test_a_file_cut_short_is_compiled_again(size):
    first = compile_object("one.c", SOURCE, {}, "cortex-m4")
    whole = first.read_bytes()
    first.write_bytes(whole[:size])
    again = compile_object("one.c", SOURCE, {}, "cortex-m4")
    assert again.read_bytes() == whole
    assert link_elf([again], SCRIPT, "one", "cortex-m4")


def test_a_full_cache_loses_what_was_not_used_for_longest(monkeypatch):
    monkeypatch.setattr(object_cache, "MAX_BYTES", 1000)
    monkeypatch.setattr(object_cache, "PRUNED_BYTES", 700)
    for index in range(12):
        kept(f"{index}.o", bytes(68), age_s=9000 - index)  # 100 bytes with its digest
        assert sum(path.stat().st_size for path in cache_folder().iterdir()) <= 1100
    left = {path.name for path in cache_folder().iterdir()}
    assert left == {f"{index}.o" for index in range(4, 12)}


def test_what_is_in_use_stays_however_full_the_cache_is(monkeypatch):
    monkeypatch.setattr(object_cache, "MAX_BYTES", 0)
    monkeypatch.setattr(object_cache, "PRUNED_BYTES", 0)
    paths = [kept(f"{index}.o", b"new") for index in range(3)]
    assert all(path.exists() for path in paths)


def test_folders_of_killed_writers_are_removed():
    folder = cache_folder() / "work-1-killed"
    folder.mkdir()
    (folder / "model.c").write_text("int x;")
    os.utime(folder, (0, 0))
    with workspace() as mine:
        prune()
        assert Path(mine).exists()
    assert not folder.exists()


@pytest.mark.parametrize(
    "build",
    [
        lambda: compile_object("one.c", SOURCE, {}, "cortex-m4"),
        lambda: build_shared({"one.c": SOURCE}, "one"),
    ],
)
def test_a_cache_that_cannot_be_written_is_explained(build, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ToolchainError, match=r"one\.c did not build: the cache .* cannot be used"):
        build()
