import json

import numpy as np
import pytest

from engine.whole_file import replace_file
from nas.errors import RunError
from nas.run_dir import checked_name, open_run

CONFIG = {"seed": 1, "limits": {"sram_bytes": 5}}


def test_a_stage_is_kept_for_the_next_opening(tmp_path):
    arrays = {"weight a": np.arange(6, dtype=np.float32).reshape(2, 3)}
    with open_run(tmp_path / "r", CONFIG, fresh=False) as run:
        assert run.load("supernet") is None
        assert run.load_arrays("supernet") is None
        run.save("supernet", {"epochs": 4}, arrays)
    with open_run(tmp_path / "r", CONFIG, fresh=False) as run:
        assert run.load("supernet")["epochs"] == 4
        np.testing.assert_array_equal(run.load_arrays("supernet")["weight a"], arrays["weight a"])


def test_other_settings_are_refused_by_name_and_nothing_is_lost(tmp_path):
    with open_run(tmp_path / "r", CONFIG, fresh=False) as run:
        run.save("stage", {"x": 1})
    other = {**CONFIG, "limits": {"sram_bytes": 6}}
    with (
        pytest.raises(RunError, match=r"other settings \(limits\).*--name.*--fresh"),
        open_run(tmp_path / "r", other, fresh=False),
    ):
        pass
    with open_run(tmp_path / "r", CONFIG, fresh=False) as run:
        assert run.load("stage") == {"x": 1}
    with open_run(tmp_path / "r", other, fresh=True) as run:
        assert run.load("stage") is None


def test_two_searches_do_not_share_a_directory(tmp_path):
    with (
        open_run(tmp_path / "r", CONFIG, fresh=False),
        pytest.raises(RunError, match="in use"),
        open_run(tmp_path / "r", CONFIG, fresh=False),
    ):
        pass


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("file", ["thesis.txt", "config.json"])
def test_a_directory_that_is_no_run_is_left_alone(tmp_path, file, fresh):
    (tmp_path / file).write_text('{"format": "of someone else"}')
    with (
        pytest.raises(RunError, match="not the directory of a run"),
        open_run(tmp_path, CONFIG, fresh),
    ):
        pass
    assert (tmp_path / file).read_text() == '{"format": "of someone else"}'
    assert [each.name for each in tmp_path.iterdir()] == [file]


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/x", "a b", "é", "x\n", "x" * 65])
def test_a_name_that_is_no_plain_one_is_refused(name):
    with pytest.raises(RunError, match="--name"):
        checked_name(name)


@pytest.mark.parametrize("name", ["a", "..x", "digits-01_b.2", "x" * 64])
def test_a_plain_name_is_taken(name):
    assert checked_name(name) == name


def test_arrays_that_the_json_does_not_vouch_for_do_not_count(tmp_path):
    with open_run(tmp_path / "r", CONFIG, fresh=False) as run:
        run.save("supernet", {"epochs": 1}, {"a": np.zeros(3)})
        # As if killed between the two files of the next checkpoint.
        run.save("other", {"epochs": 2}, {"a": np.ones(3)})
        newer = (run.path / "state" / "other.npz").read_bytes()
        (run.path / "state" / "supernet.npz").write_bytes(newer)
        assert run.load_arrays("supernet") is None


def test_damaged_state_is_an_error_that_says_what_to_do(tmp_path):
    with open_run(tmp_path / "r", CONFIG, fresh=False) as run:
        run.save("stage", {})
        (run.path / "state" / "stage.json").write_text("{")
        with pytest.raises(RunError, match="--fresh"):
            run.load("stage")


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path):
    replace_file(tmp_path / "f", b"old")
    with pytest.raises(TypeError):
        replace_file(tmp_path / "f", None)
    assert (tmp_path / "f").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_lines_are_one_object_each(tmp_path):
    with open_run(tmp_path / "r", CONFIG, fresh=False) as run:
        run.write_lines("candidates.jsonl", [{"id": 1}, {"id": 2}])
        lines = (run.path / "candidates.jsonl").read_text().splitlines()
        assert [json.loads(line)["id"] for line in lines] == [1, 2]


UNFINISHED = (
    ".config.json-0123456789ab",
    "state/.supernet.npz-0123456789ab",
    "c/.main.c-ba9876543210",
)


def test_what_a_killed_search_left_unfinished_neither_blocks_nor_stays(tmp_path):
    (tmp_path / ".config.json-0123456789ab").write_text("{")  # killed in the very first write
    with open_run(tmp_path, CONFIG, fresh=False) as run:
        run.save("stage", {"x": 1})
    (tmp_path / "c").mkdir()
    for name in UNFINISHED:
        (tmp_path / name).write_text("half")
    with open_run(tmp_path, CONFIG, fresh=False) as run:
        assert run.load("stage") == {"x": 1}
    assert not [name for name in UNFINISHED if (tmp_path / name).exists()]


def test_a_killed_fresh_start_can_be_started_again(tmp_path, monkeypatch):
    with open_run(tmp_path, CONFIG, fresh=False) as run:
        run.save("stage", {"x": 1})
        (tmp_path / "candidates.jsonl").write_text("")
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt), open_run(tmp_path, CONFIG, fresh=True):
            pass
    with open_run(tmp_path, {**CONFIG, "seed": 2}, fresh=True) as run:
        assert run.load("stage") is None


def test_files_that_are_not_of_a_run_are_not_swept(tmp_path):
    (tmp_path / ".notes.txt-0123456789ab").write_text("mine")
    with pytest.raises(RunError), open_run(tmp_path, CONFIG, fresh=False):
        pass
    assert (tmp_path / ".notes.txt-0123456789ab").read_text() == "mine"
