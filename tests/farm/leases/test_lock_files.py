"""Where leases are kept: for all users of a host or for a group of them, whatever lies there."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from farm.errors import FarmError
from farm.leases import kernel_locks, lock_files
from farm.leases.lease import lease
from farm.leases.lease_rows import Rows, opened
from farm.leases.lock_files import Place, opened_lock, touch_for_all, try_lock, who_has

LOOK = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('SELECT uid FROM leases'))"


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "host", shared=True)


def look(place) -> str:
    """What another process reads, as the last to close the database as far as it can tell."""
    command = [sys.executable, "-c", LOOK, str(place.database)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_rows_for_a_moment_leave_a_longer_connection_its_locks(place):
    rows = Rows(place)
    rows.grant("before", "a", "")
    with opened(place) as moment:
        moment.holder("before")
    assert "before" in look(place)
    rows.grant("after", "a", "")
    assert "after" in look(place)
    rows.close()


def test_whatever_the_umask_all_may_write_what_is_shared(rack, tmp_path, monkeypatch):
    monkeypatch.setattr(lock_files, "HOST_FOLDER", tmp_path / "host")
    before = os.umask(0o077)
    try:
        with lease(replace(rack.boards[0], probe="stlink:0670FF"), 0.1) as held:
            assert held.fence.uid == "670ff"
            files = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    finally:
        os.umask(before)
    assert files.pop("host") == files.pop("locks") == 0o777
    assert set(files) == {"670ff.lock", "leases.db", "leases.db-wal", "leases.db-shm"}
    assert set(files.values()) == {0o666}


def test_what_a_killed_maker_left_closed_is_opened_to_all_and_a_group_is_left_alone(place):
    place.folder.mkdir(mode=0o700)
    place.folder.chmod(0o770)
    (place.folder / "locks").mkdir(mode=0o700)
    for path in (place.database, place.lock_path("a")):
        path.touch(mode=0o600)
    touch_for_all(place.database)
    with opened_lock(place, "a"):
        modes = [path.stat().st_mode & 0o777 for path in (place.database, place.lock_path("a"))]
    assert modes == [0o666, 0o666]
    assert (place.folder / "locks").stat().st_mode & 0o777 == 0o777
    assert place.folder.stat().st_mode & 0o777 == 0o770


def use(place) -> None:
    with opened_lock(place, "a"), opened(place):
        pass


@pytest.mark.parametrize("name", ["", "locks", "locks/a.lock", "leases.db"])
def test_a_link_that_somebody_planted_is_refused_and_not_followed(place, tmp_path, name):
    (tmp_path / "victim").mkdir()
    link = place.folder / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "victim", target_is_directory=True)
    with pytest.raises(FarmError, match=r"correct its rights|make it a folder"):
        use(place)
    assert not list((tmp_path / "victim").iterdir())


def test_the_kernel_names_who_took_a_lock(place, monkeypatch):
    with opened_lock(place, "a") as descriptor:
        assert who_has(place, "a") == []
        assert try_lock(place, "a", descriptor)
        assert who_has(place, "a") == [os.getpid()]
        monkeypatch.setattr(kernel_locks, "_LIST", place.folder / "none")
        assert who_has(place, "a") == []
    assert who_has(place, "b") == []
