"""The ordeal: a short one ends well, and its audit sees what is lost, doubled, wrong or untrue."""

import json
import os
from dataclasses import replace

import pytest

from farm.soak.audit import account
from farm.soak.ordeal_session import main
from farm.soak.ordeal_work import EXPECTED
from farm.soak.strikes import WORKER_KILL, Log, Struck, explains

ONE_TYPE = """version: 1
types: {t: {mcu: stm32l4r5zi, target: stm32l4r5zitx}}
boards: [{id: a, type: t, probe: 'virtual:A'}]
"""


def test_a_short_ordeal_loses_nothing_doubles_nothing_and_says_only_what_is_true(
    write_rack, monkeypatch, capsys
):
    for name in ("XDG_STATE_HOME", "TMPDIR"):  # which the ordeal sets for its processes
        monkeypatch.setenv(name, os.environ.get(name, "/tmp"))
    words = ["--jobs", "5", "--boards", "1", "--networks", "1", "--rate", "5", "--json"]
    kills = ["--worker-kill", "3", "--manager-kill", "5", "--most-kills", "1", "--minutes", "9"]
    code = main([*words, *kills, "--boards-file", str(write_rack(ONE_TYPE))])
    report = json.loads(capsys.readouterr().out)
    assert code == 0, report
    assert (report["ended"], report["not_reached"]) == (5, 0)
    assert report["measured"] + report["failed"] == 5
    assert report["struck"].get("manager-kill", 0) <= 1


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


def test_a_failure_is_true_only_of_the_fault_that_struck_there():
    refused = Struck("probe-refuse", 1, "job-0", "a", "connect")
    assert explains([refused], "in stage connect: the probe cannot be opened")
    assert not explains([refused], "in stage verify: flash holds 0xff")
    assert not explains([replace(refused, kind="probe-slow")], "the probe cannot be opened")


def test_a_log_outlives_a_line_that_a_kill_cut_off(tmp_path):
    log = Log(tmp_path / "log")
    log.add(Struck("core-hang", 1))
    with (tmp_path / "log").open("a") as torn:
        torn.write('{"kind": "core-')
    assert log.read() == [Struck("core-hang", 1)]
