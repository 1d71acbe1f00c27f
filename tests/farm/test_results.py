"""`tinyrack results`: what is stored, by filters, with its provenance; exports; the audit."""

import json
import subprocess
import sys

import pytest

from farm import cli
from farm.store import Store
from farm.store.history import GoldenRun, Recovery


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # no rack file: results need none

    def call(*arguments):
        code = cli.main(["results", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def store(measurement):
    with Store() as opened:
        opened.add(measurement(name="emulated", provenance={"compiler": "zig 1", "lease_token": 4}))
        opened.add(measurement(name="real", virtual=False, timing_model=None))
        yield opened


def test_the_list_says_what_is_virtual_and_what_is_flagged(run, store):
    store.flag_since_golden("f412-01", "clock drifted")
    code, out, _ = run()
    assert code == 0
    emulated, real = (
        next(x for x in out.splitlines() if name in x) for name in ("emulated", "real")
    )
    assert "virtual" in emulated
    assert "silicon" in real
    assert "clock drifted" in real


def test_json_has_the_whole_measurement(run, store):
    rows = json.loads(run("--json")[1])["results"]
    assert [(r["id"], r["kind"], r["virtual"], r["flags"]) for r in rows] == [
        (1, "virtual", True, []),
        (2, "silicon", False, []),
    ]
    assert rows[0]["provenance"]["compiler"] == "zig 1"


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--silicon"], ["real"]),
        (["--virtual"], ["emulated"]),
        (["--name", "e*"], ["emulated"]),
        (["--board", "x"], []),
        (["--since", "2001-01-01", "--limit", "1"], ["real"]),
        (["--until", "2001-01-01"], []),
    ],
)
def test_filters(run, store, arguments, names):
    found = json.loads(run(*arguments, "--json")[1])["results"]
    assert [row["name"] for row in found] == names


def test_show_tells_how_one_was_made(run, store):
    code, out, _ = run("show", 1)
    assert code == 0
    assert "zig 1" in out
    assert "provenance: lease_token" in out
    assert json.loads(run("show", 1, "--json")[1])["results"][0]["name"] == "emulated"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", 99], "no measurement 99; `tinyrack results` lists what there is"),
        (["--virtual", "--silicon"], "exclude each other"),
        (["--csv", "a", "--parquet", "b"], "run the command twice"),
        (["--csv", ""], "cannot be written: Is a directory"),
        (["--since", "noon"], "'noon' is not a time"),
        (["--store", "nowhere.db"], "nowhere.db: no such results database"),
        (["--store", "oracle://x/y"], "cannot be a oracle database"),
        (["--boards-file", "nope.yaml"], "nope.yaml: no such rack file"),
    ],
)
def test_usage_errors_are_one_sentence(run, store, arguments, message):
    code, _, err = run(*arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_exports_write_files(run, store, tmp_path):
    code, out, _ = run("--csv", "out.csv", "--silicon")
    assert (code, out) == (0, "out.csv: 1 measurements\n")
    assert "silicon" in (tmp_path / "out.csv").read_text()
    pytest.importorskip("pyarrow")
    assert json.loads(run("--parquet", "x", "--json")[1])["results"] == [{"file": "x", "rows": 2}]


def test_the_audit_is_shown_and_verified(run, store):
    assert "store" in run("audit")[1]
    assert [e["seq"] for e in json.loads(run("audit", "--json")[1])["results"]] == [1, 2]
    code, out, _ = run("audit", "--verify")
    assert (code, "2 entries and 2 measurements are as they were written" in out) == (0, True)
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE audit_head SET hash = 'x'")
    code, _, err = run("audit", "--verify")
    assert (code, "the audit is broken: entry 3 is missing" in err) == (70, True)


def test_recoveries_and_golden_runs_are_shown(run, store):
    store.add_recovery(Recovery(board="b", rung="reopen", seconds=1.25, outcome="failed"))
    store.add_golden_run(GoldenRun(board="b", board_type="t", virtual=False, ok=False, cycles=9))
    assert "reopen" in run("recoveries")[1]
    assert "silicon" in run("golden", "--board", "b")[1]
    assert json.loads(run("golden", "--json")[1])["results"][0]["cycles"] == 9
    assert json.loads(run("recoveries", "--board", "c", "--json")[1])["results"] == []


def test_flags_before_an_action_count_for_it(run, store, tmp_path):
    Store(tmp_path / "other.db").close()
    out = run("--store", "other.db", "audit", "--json")[1]
    assert json.loads(out) == {"store": "other.db", "results": []}


def test_the_store_of_the_rack_is_used(run, store, tmp_path):
    Store(tmp_path / "racks.db").close()
    rack = "version: 1\nstore: racks.db\ntypes: {t: {mcu: stm32f412zg, target: stm32f412xg}}\n"
    (tmp_path / "boards.yaml").write_text(rack + "boards: [{id: b, type: t, probe: 'virtual:1'}]\n")
    assert json.loads(run("--json")[1]) == {"store": "racks.db", "results": []}


def test_help_does_not_load_the_database():
    code = "import sys; from nas import cli; cli.main(['--help'])"
    check = "import atexit, sys; atexit.register(lambda: print('sqlalchemy' in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", f"{check}; {code}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"
