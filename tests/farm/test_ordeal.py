"""The ordeal: a short one ends well, and its audit sees what is lost, doubled, wrong or untrue."""

import json
import os
from dataclasses import dataclass, replace

import pytest

from farm.soak.audit import account
from farm.soak.life import Ended
from farm.soak.ordeal import End
from farm.soak.ordeal_session import main
from farm.soak.ordeal_work import EXPECTED
from farm.soak.strikes import WORKER_KILL, Log, Struck, explains

ONE_TYPE = """version: 1
types: {t: {mcu: stm32l4r5zi, target: stm32l4r5zitx}}
boards: [{id: a, type: t, probe: 'virtual:A'}]
"""


def reported(words, capsys):
    code = main([*words, "--json"])
    report = json.loads(capsys.readouterr().out)
    assert code == 0, json.dumps(report, indent=1)
    return report


def test_a_short_ordeal_loses_nothing_doubles_nothing_and_says_only_what_is_true(
    write_rack, monkeypatch, capsys, tmp_path
):
    for name in ("XDG_STATE_HOME", "TMPDIR"):  # which the ordeal sets for its processes
        monkeypatch.setenv(name, os.environ.get(name, "/tmp"))
    words = ["--jobs", "3", "--boards", "1", "--networks", "1", "--out", str(tmp_path / "kept")]
    kills = ["--worker-kill", "1000", "--manager-kill", "2", "--most-kills", "1", "--minutes", "9"]
    kills += ["--seed", "149"]  # which has the supply dip, and no board fall silent for 40 s
    report = reported([*words, *kills, "--boards-file", str(write_rack(ONE_TYPE))], capsys)
    assert (report["ended"], report["not_reached"]) == (3, 0)
    assert report["measured"] + report["failed"] == 3
    assert report["struck"].get("manager-kill", 0) <= 1
    assert reported(["--audit", str(tmp_path / "kept")], capsys) == report


def test_an_audit_of_a_folder_without_an_ordeal_says_so(tmp_path, capsys):
    assert main(["--audit", str(tmp_path)]) == 2
    assert "holds no ordeal" in capsys.readouterr().err


def test_an_ordeal_overwrites_no_other_one(tmp_path, capsys):
    (tmp_path / "state").mkdir()
    assert main(["--out", str(tmp_path)]) == 2
    assert "holds an ordeal already" in capsys.readouterr().err


def test_an_end_that_was_saved_is_loaded_and_one_that_was_not_is_no_end(tmp_path):
    assert not End.load(tmp_path).over
    end = End(3, 1, 60.5, finished=True, over=True, mute=("soak-01",))
    end.save(tmp_path)
    assert End.load(tmp_path) == end


def test_a_life_hands_in_what_has_not_ended_and_the_last_ones_that_have(tmp_path):
    todo = [Named(f"job-{number}") for number in range(300)]
    ended = Ended(tmp_path / "log")
    assert list(ended.without(todo)) == todo
    for job in [*todo[:250], todo[0]]:
        ended.add(job)
    assert ended.ids() == [job.id for job in todo[:250]]
    assert list(ended.without(todo)) == todo[50:]


@dataclass(frozen=True)
class Named:
    """As much of a job as is written down."""

    id: str


@pytest.fixture
def rows(measurement):
    """What a job should cost, and one job that was measured."""
    facts = {"model_sha256": "m"}
    right = measurement(provenance=facts | {"job_id": f"{EXPECTED}0-t"})
    return [right, replace(right, provenance=facts | {"job_id": "job-0", "attempt": 1})]


def failed(row, message, **facts):
    empty = {"samples": (), "cycles": 0, "cold_cycles": 0, "output_ok": False}
    provenance = dict(row.provenance) | facts
    return replace(row, status="bench_failure", message=message, provenance=provenance, **empty)


def values(rows, struck=(), retries=1):
    found = account(rows, ["job-0"], list(struck), retries).findings(finished=True)
    return [finding.value for finding in found]


def test_a_job_measured_once_and_rightly_is_no_finding(rows):
    assert values(rows) == [0, 0, 0, 0, 0]


def test_an_audit_sees_what_is_lost_doubled_wrong_too_often_or_untrue(rows):
    expected, done = rows
    assert values([expected]) == [1, 0, 0, 0, 0]
    assert values([expected, done, done]) == [0, 1, 0, 0, 0]
    other = replace(done, samples=(7, 7, 7), cycles=7)
    assert values([expected, other]) == [0, 0, 1, 0, 0]
    lost = failed(done, "its worker, process 7, ended (by SIGKILL); it left no message")
    kill = Struck(WORKER_KILL, 1, pid=7)
    assert values([*rows, lost], [kill]) == [0, 0, 0, 0, 0]
    assert values([*rows, lost], [replace(kill, pid=8)]) == [0, 0, 0, 0, 1]
    assert values([*rows, lost, lost], [kill]) == [0, 0, 0, 1, 0]
    assert values([expected, lost, failed(lost, lost.message, final=1)], [kill]) == [0] * 5


def test_a_job_whose_result_was_flagged_may_be_measured_again(rows):
    expected, done = rows
    lost = failed(done, "its worker, process 7, ended (by SIGKILL); it left no message")
    found = account([expected, lost, done, done], ["job-0"], [Struck(WORKER_KILL, 1, pid=7)], 0,
                    {"job-0"})  # fmt: skip
    assert [finding.value for finding in found.findings(finished=True)] == [0] * 5


def test_failures_are_counted_by_what_they_say(rows):
    said = [
        f"bench: in stage verify: its flash at 0x0{n} holds 0xf; flash it again" for n in (1, 2)
    ]
    found = account([*rows, *(failed(rows[1], each) for each in said)], ["job-0"], [], 2)
    assert list(found.reasons.values()) == [2]


def test_a_failure_is_true_only_of_the_fault_that_struck_there():
    refused = Struck("probe-refuse", 1, "job-0", "a", "connect")
    assert explains([refused], "in stage connect: the probe cannot be opened")
    assert not explains([refused], "in stage verify: flash holds 0xff")
    assert not explains([replace(refused, kind="probe-slow")], "the probe cannot be opened")
    late = "in stage cold: its 40.5 s were over after the stage cold, before trace"
    assert explains([replace(refused, kind="uart-repeat", stage="cold")], late)
    assert not explains([refused], late)


def test_a_log_outlives_a_line_that_a_kill_cut_off(tmp_path):
    log = Log(tmp_path / "log")
    log.add(Struck("core-hang", 1))
    with (tmp_path / "log").open("a") as torn:
        torn.write('{"kind": "core-')
    assert log.read() == [Struck("core-hang", 1)]
