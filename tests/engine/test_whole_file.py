import os
import resource

import pytest

from engine.whole_file import replace_file


@pytest.fixture
def umask():
    old = os.umask(0o027)
    yield
    os.umask(old)


def test_the_users_own_files_get_the_users_default_permissions(tmp_path, umask):
    replace_file(tmp_path / "folder" / "file", b"x")
    assert (tmp_path / "folder" / "file").stat().st_mode & 0o777 == 0o640


def test_a_file_that_cannot_be_replaced_stays_and_nothing_is_left_over(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="irectory"):
        replace_file(tmp_path / "file", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_disk_that_takes_no_more_is_an_error_that_names_the_file(tmp_path):
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, old[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            replace_file(tmp_path / "file", bytes(100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert caught.value.filename == str(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
