"""The soak: a short one leaves nothing behind, and its verdict knows a leak when it sees one."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import pytest
from toy_model import INPUT, OUTPUT, toy

from farm.soak.census import Folders, Process, Sample, take
from farm.soak.racks import write_rack
from farm.soak.report import line, table
from farm.soak.run import Plan, Soak
from farm.soak.verdict import Work, judge
from farm.soak.work import Network, networks, turns
from farm.virtual import registry

CLEAN = Work(9, 0, 0, 0, 0, 0)


@pytest.fixture
def folders(tmp_path, monkeypatch) -> Folders:
    found = Folders(tmp_path / "state", tmp_path / "tmp")
    found.state.mkdir()
    found.temporary.mkdir()
    monkeypatch.setenv("XDG_STATE_HOME", str(found.state))
    monkeypatch.setenv("TMPDIR", str(found.temporary))
    return found


def test_short_soak_measures_every_board_with_changing_images_and_leaves_nothing(rack, folders):
    source = replace(rack, types={"nucleo-f412zg": rack.types["nucleo-f412zg"]})
    boards = write_rack(folders.state / "boards.yaml", source, 2)
    given = [Network(f"toy {n}", toy(weights=n), INPUT, OUTPUT) for n in (256, 4000)]
    seen = []
    soak = Soak(boards, folders, Plan(60, at_once=2, every_s=1.0, turns=2))
    work = soak.run(turns(boards.boards, given), seen.append)
    assert soak.tally.errors == []
    assert work == Work(4, 0, 0, 0, 0, 0)
    assert len(soak.tally.cycles) == 2
    last = seen[-1]
    assert [last.number(kind) for kind in ("manager", "worker", "daemon")] == [1, 2, 2]
    assert last.total("daemon", "terminals") == 2
    assert last.total("worker", "own_kib") > 2 * 10_000
    assert list(folders.temporary.iterdir()) == []
    assert [path for path in registry.state_dir().iterdir() if path.suffix == ".json"] == []


def test_board_gets_another_image_at_every_turn(rack):
    given = networks(5)
    assert len({network.model.sha256 for network in given}) == 5
    work = [(b.id, job.model.sha256) for b, job in islice(turns(rack.boards, given), 40)]
    for board in rack.boards:
        images = [image for at, image in work if at == board.id]
        assert all(a != b for a, b in pairwise(images))
        assert len(set(images)) == 5


def samples(**growth: float) -> list[Sample]:
    """Ten minutes of one worker and one daemon; `growth` a minute in a field of the daemon."""
    worker = Process(2, "worker", 9000, 8000, 7000, 20, 0, 3)
    daemon = Process(3, "daemon", 9000, 8000, 7000, 9, 1, 1)
    of_daemon = {key: value for key, value in growth.items() if hasattr(daemon, key)}
    of_sample = {key: value for key, value in growth.items() if key not in of_daemon}

    def at(minute: int) -> Sample:
        grown = {k: int(getattr(daemon, k) + minute * v) for k, v in of_daemon.items()}
        more = {k: int(5 + minute * v) for k, v in of_sample.items()}
        processes = (worker, replace(daemon, **grown))
        return replace(Sample(60.0 * minute, processes, 5, 5, 5, done=10 * minute), **more)

    return [at(minute) for minute in range(11)]


def test_rack_that_stays_as_it_is_has_no_finding():
    found = judge(samples(), 2, CLEAN)
    assert all(finding.fine for finding in found)
    assert len(found) == 18


@pytest.mark.parametrize(
    ("growth", "what"),
    [
        ({"own_kib": 300}, "growth of a daemon"),
        ({"descriptors": 5}, "more descriptors of daemons"),
        ({"terminals": 1}, "more pseudo-terminals"),
        ({"files": 1}, "more files in the state folder"),
        ({"temporary": 1}, "more temporary files"),
        ({"done": 0}, "minutes without a measurement"),
    ],
)
def test_growth_is_a_leak(growth, what):
    found = judge(samples(**growth), 2, CLEAN)
    assert [finding.what for finding in found if not finding.fine] == [what]


@pytest.mark.parametrize("field", ["failures", "wrong", "processes_left", "files_left"])
def test_failure_or_remainder_is_a_finding(field):
    found = judge(samples(), 2, replace(CLEAN, **{field: 1}))
    assert [finding.value for finding in found if not finding.fine] == [1]


def test_sample_is_a_line_and_a_row(folders):
    seen = take(folders, 0.0, done=3)
    assert (seen.number("manager"), seen.number("worker"), seen.files) == (1, 0, 0)
    assert "3 measured" in line(seen)
    report = {"samples": [seen.to_json()], "findings": [], "work": {"done": 3, "failures": 0}}
    assert "| 3 |" in table(report)


def test_interrupted_soak_leaves_no_process_and_no_folder(rack, tmp_path):
    home = Path(tempfile.mkdtemp(prefix="tr-", dir="/tmp"))  # short, for the sockets' names
    words = ["--boards", "1", "--boards-file", str(rack.path), "--out", str(tmp_path / "out")]
    with subprocess.Popen(
        [sys.executable, "-m", "farm.soak", *words, "--every", "0.1"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(home)},
        cwd=Path(__file__).parents[2],
    ) as soak:
        assert soak.stderr
        lines = iter(soak.stderr.readline, "")
        assert any("daemons" in said for said in lines)
        soak.send_signal(signal.SIGINT)
        assert "nothing is left behind" in soak.stderr.read()
        assert soak.wait(30) == 130
    home.rmdir()  # OSError if anything is left
    mark = f"TMPDIR={home}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            assert mark not in entry.read_bytes()
