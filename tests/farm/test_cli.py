"""The command line: exit codes, one line of error, one object of JSON."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import scripted
from test_elf_file import elf
from test_manager import wait_until

from engine.graph import Graph, Op, Quant, Tensor
from engine.graph_file import save_graph
from farm import board_worker, cli, manager
from farm.commands import boards_service, monitor
from farm.errors import ImageError
from farm.golden.verdict import Verdict
from farm.leases import lease
from farm.store import Store


@pytest.fixture
def run(capsys, rack):
    """Run one command on the default rack; return code, standard output and error."""

    def go(*argv: str, file: str = str(rack.path)):
        options = ("--boards-file", file)
        try:
            code = cli.main([*argv, *options])
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return code, out, err

    return go


@pytest.fixture
def model(tmp_path):
    tensors = (Tensor("x", (4, 4, 2), Quant(1.0, 0)), Tensor("y", (2, 2, 2), Quant(1.0, 0)))
    op = Op("average_pool2d", "pool", ("x",), "y", kernel=(2, 2), stride=(2, 2))
    path = tmp_path / "net.tinyrack.npz"
    save_graph(Graph("net", tensors, (op,), ("x",), ("y",)), path)
    return str(path)


@pytest.fixture
def script(monkeypatch, scripted_path):
    """Let bench use the scripted runner; the model's file name says what to do."""
    real = manager.BoardManager

    def scripted_manager(*args, **options):
        return real(*args, **options, runner="scripted:run")

    monkeypatch.setattr("farm.commands.bench.BoardManager", scripted_manager)
    assert board_worker.DEFAULT_RUNNER == "farm.runner:run_job"


def results(out: str) -> list[dict]:
    assert out.count("\n") == 1
    return json.loads(out)["results"]


def test_without_arguments_there_is_help_and_a_usage_error(capsys):
    assert cli.main([]) == 2
    out, err = capsys.readouterr()
    assert (out, "usage: tinyrack" in err) == ("", True)


def test_boards_are_shown_with_health_holder_and_last_result(run, rack, board, model, script):
    run("bench", model, "--boards", "f412-01")
    lease.quarantine(board, "smokes")
    with lease.lease(rack.boards[1], 1.0):
        rows = results(run("boards", "--json")[1])
    assert [row["board"] for row in rows] == ["f412-01", "f412-02", "f767-01", "f767-02"]
    assert (rows[0]["health"], rows[0]["reason"]) == ("quarantined", "smokes")
    assert rows[0]["last"]["status"] == "ok"
    assert rows[1]["holder"]["pid"] == os.getpid()
    (chosen,) = results(run("boards", "--boards", "f767-02", "--json")[1])
    assert chosen["board"] == "f767-02"
    code, out, _ = run("boards")
    assert code == 0
    assert "quarantined: smokes" in out


def test_one_board_is_shown_in_full(run, board):
    with lease.lease(board, 1.0, purpose="a look"):
        (row,) = results(run("boards", "show", board.id, "--json")[1])
        code, out, _ = run("boards", "show", board.id)
    assert (row["holder"]["purpose"], row["recoveries"], row["wear"]["erases"]) == ("a look", [], 0)
    assert code == 0
    assert all(word in out for word in ("stm32f412zg, cortex-m4", "a look", "virtual: its cycles"))
    assert run("boards", "show", "f412-0")[0] == 69


def test_another_store_can_be_named(run, tmp_path):
    path = str(tmp_path / "other.db")
    run("boards", "--store", path, "quarantine", "f412-01")
    assert "quarantine" in run("results", "audit", "--store", path)[1]
    assert "quarantine" not in run("results", "audit")[1]


def test_a_virtual_result_is_called_so_even_beside_a_real_board(
    run, rack, model, script, write_rack
):
    run("bench", model, "--boards", "f412-01")
    real = '"stlink:066B", serial: {by: probe}'
    text = rack.path.read_text().replace('"virtual:TR-F412-01"', real)
    file = str(write_rack(text))
    (row,) = results(run("boards", "--boards", "f412-01", "--json", file=file)[1])
    assert (row["virtual"], row["last"]["virtual"]) == (False, True)
    assert "(virtual)" in run("boards", "--boards", "f412-01", file=file)[1]


def test_check_passes_the_default_rack_and_names_what_is_wrong(run, write_rack):
    assert run("boards", "check")[0] == 0
    assert len(results(run("boards", "check", "--json")[1])) == 4
    bad = str(write_rack("version: 1\ntypes: {}\nboards: []\ncolour: red\n"))
    code, out, err = run("boards", "check", file=bad)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert f"{bad}:4: the file: unknown key 'colour'" in err


def test_json_goes_before_or_behind_the_action(run):
    assert results(run("boards", "--json", "check")[1]) == results(
        run("boards", "check", "--json")[1]
    )


def test_quarantine_restore_and_release_say_what_they_did(run):
    assert results(run("boards", "quarantine", "f412-01", "--reason", "hot", "--json")[1]) == [
        {"board": "f412-01", "health": "quarantined", "reason": "hot"}
    ]
    run("boards", "quarantine", "f412-02", "--reason", " ")
    assert results(run("boards", "--boards", "f412-02", "--json")[1])[0]["health"] == "quarantined"
    (row,) = results(run("boards", "restore", "f412-01", "--json")[1])
    assert (row["restored"], "% off the" in row["golden"]) == (True, True)
    run("rack", "down")
    assert run("boards", "release", "f412-01")[1] == "f412-01: nobody held it\n"


def test_no_board_is_flashed_beside_one_that_is_quarantined(run, rack, board, tmp_path):
    (tmp_path / "my.elf").write_bytes(elf())
    lease.quarantine(rack.boards[1], "hot")
    code, out, err = run("flash", str(tmp_path / "my.elf"), "--boards", "type=nucleo-f412zg")
    assert (code, out, "f412-02 is quarantined (hot)" in err) == (69, "", True)
    with Store(rack=rack) as store:
        assert not store.entries(board.id)


def test_a_release_that_the_holder_ignores_is_in_the_audit_too(run, rack, board, monkeypatch):
    monkeypatch.setattr(lease.release, "__defaults__", (0.1,))
    with lease.lease(board):
        code, _, err = run("boards", "release", "f412-01")
    assert (code, "does not let go; end it" in err) == (75, True)
    with Store(rack=rack) as store:
        (entry,) = store.entries("f412-01")
    assert (entry.action, "does not let go" in entry.result) == ("release", True)


def test_a_board_that_fails_its_golden_run_stays_quarantined_unless_forced(run, board, monkeypatch):
    run("boards", "quarantine", "f412-01")
    drift = Verdict(False, "the golden image took too long")
    monkeypatch.setattr(boards_service, "judge", lambda *_: drift)
    code, out, _ = run("boards", "restore", "f412-01")
    run("rack", "fault", "f412-01", "probe-drop", "lasts=ever")
    missing = run("boards", "restore", "f412-01")
    run("rack", "down")
    assert (missing[0], "f412-01 stays quarantined: no probe virtual:" in missing[2]) == (69, True)
    with lease.repair_lease(board):
        busy = run("boards", "restore", "f412-01", "--wait", "0")
    assert busy[0] == 75
    assert f"f412-01 stays quarantined: f412-01 is held by process {os.getpid()} of" in busy[2]
    assert (code, "stays quarantined: the golden image took too long" in out) == (1, True)
    assert "without a golden run" in run("boards", "restore", "f412-01", "--force")[1]
    assert run("boards", "restore", "f412-01")[1] == "f412-01: was not quarantined\n"


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("boards", "release", "f412-0"), 69, "did you mean 'f412-0"),
        (("bench", "m.tflite"), 2, "no such file"),
        (("bench", "m.onnx"), 2, "must end in .tflite or .tinyrack.npz"),
        (("bench", "nope.tinyrack.npz"), 2, "no such file"),
        (("bench", "m.tinyrack.npz", "--boards", "rack=B"), 69, "no active board matches"),
        (("compile", "nope.tinyrack.npz", "--mcu", "stm32", "--out", "x"), 2, "unknown MCU"),
        (("flash", "nope.elf", "--boards", "all"), 2, "no such file"),
        (("rack", "up", "--boards", "nope"), 69, "no board 'nope'"),
    ],
)
def test_what_is_wrong_is_one_line_and_a_code(run, argv, code, words):
    got, out, err = run(*argv)
    assert (got, out, err.count("\n")) == (code, "", 1)
    assert words in err
    answer = json.loads(run(*argv, "--json")[1])
    assert answer["exit_code"] == code
    assert words in answer["error"]


def test_a_damaged_model_is_a_usage_error(run, tmp_path):
    path = tmp_path / "bad.tinyrack.npz"
    path.write_bytes(b"PK\x03\x04" + b"\x00" * 50)
    assert run("bench", str(path))[0] == 2


def test_wrong_options_end_in_two(run):
    assert run("bench", "m.tinyrack.npz", "--repeats", "99")[0] == 2
    assert run("flash", "x.elf")[0] == 2
    assert run("bench", "m.tinyrack.npz", "--seed", "-1")[0] == 2
    assert run("boards", file="")[0] == 2


def test_a_long_option_must_be_written_out(run):
    code, _, err = run("boards", "check", "--boards", "f412-01")
    assert (code, "unrecognized arguments: --boards" in err) == (2, True)
    code, out, _ = run("bench", "--rep", "3", "--json")
    assert (code, json.loads(out)["exit_code"]) == (2, 2)


def test_no_escape_sequence_reaches_the_terminal(run, board):
    lease.quarantine(board, "a\x1b[2Jb")
    out = run("boards")[1]
    assert "\x1b" not in out
    assert "a\\x1b[2Jb" in out
    assert "\x1b" not in run("boards", "release", "\x1b[2J")[2]


def test_a_host_that_cannot_start_workers_says_so_in_one_line(run, model, script, tmp_path):
    (tmp_path / "state" / "tinyrack").mkdir(parents=True)
    (tmp_path / "state" / "tinyrack" / "logs").touch()
    code, out, err = run("bench", model, "--boards", "f412-01")
    assert (code, out, "Traceback" in err) == (70, "", False)
    assert "logs" in err


def test_a_debug_run_shows_the_traceback(run):
    assert "Traceback" in run("bench", "m.tflite", "--debug")[2]


def test_bench_answers_a_row_a_type_and_remembers(run, model, script):
    code, out, _ = run("bench", model, "--json")
    rows = results(out)
    assert code == 0
    assert [row["board_type"] for row in rows] == ["nucleo-f412zg", "nucleo-f767zi"]
    assert all(row["output_ok"] and row["virtual"] for row in rows)
    assert [row["source"] for row in results(run("bench", model, "--json")[1])] == ["stored"] * 2
    assert len(scripted.runs()) == 2
    assert "stored" in run("bench", model)[1]


def test_bench_can_measure_each_board(run, model, script):
    rows = results(run("bench", model, "--each-board", "--json")[1])
    assert [row["board"] for row in rows] == ["f412-01", "f412-02", "f767-01", "f767-02"]


@pytest.mark.parametrize(("what", "code"), [("wrong", 1), ("toobig", 1), ("bench", 70)])
def test_bench_tells_a_bad_network_from_a_bad_bench(run, model, script, tmp_path, what, code):
    path = tmp_path / f"{what}.tinyrack.npz"
    os.link(model, path)
    assert run("bench", str(path), "--retries", "0")[0] == code
    got, out, _ = run("bench", str(path), "--retries", "0", "--json", "--again")
    assert got == code
    assert all(row["status"] != "ok" for row in results(out))


def test_bench_takes_an_input_file(run, model, script, tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((4, 4, 2), np.int8))
    assert run("bench", model, "--input", str(path), "--boards", "f412-01")[0] == 0
    for bad in (np.zeros((4, 4, 3), np.int8), np.zeros((4, 4, 2), np.int32)):
        np.save(path, bad)
        assert run("bench", model, "--input", str(path))[0] == 2
    path.write_bytes(b"junk")
    assert run("bench", model, "--input", str(path))[0] == 2


def test_boards_check_doubts_a_target_that_pyocd_does_not_have(run, rack, tmp_path):
    odd = tmp_path / "odd.yaml"
    odd.write_text(rack.path.read_text().replace("target: stm32f412xg", "target: stm32f412xq"))
    code, _, err = run("boards", "check", file=str(odd))
    assert code == 0
    assert "did you mean 'stm32f412xg'?" in err
    assert "nucleo-f767zi" not in err


def test_busy_boards_end_in_75(run, model, script, board):
    with lease.lease(board, 1.0):
        code, _, err = run("bench", model, "--boards", "f412-01", "--wait", "0.2")
    assert code == 75
    assert "f412-01 is held by process" in err


def test_ctrl_c_ends_quickly_and_releases_the_boards(rack, board, model, tmp_path, scripted_path):
    os.link(model, tmp_path / "hang.tinyrack.npz")
    code = (
        "import sys, functools, farm.manager as m\n"
        "import farm.commands.bench as b, farm.cli as c\n"
        "b.BoardManager = functools.partial(m.BoardManager, runner='scripted:run')\n"
        "sys.exit(c.main(sys.argv[1:]))"
    )
    argv = ["bench", str(tmp_path / "hang.tinyrack.npz"), "--boards-file", str(rack.path)]
    command = subprocess.Popen([sys.executable, "-c", code, *argv], stderr=subprocess.PIPE)
    wait_until(lambda: len(scripted.runs()) == 2)
    command.send_signal(2)
    err = command.communicate(timeout=20)[1]  # the job itself would take longer
    assert command.returncode == 130
    assert b"interrupted" in err
    assert lease.holder(board) is None


def test_compile_writes_a_library_and_tells_its_cost(run, model, tmp_path):
    out = tmp_path / "out"
    code, text, _ = run("compile", model, "--mcu", "stm32f412zg", "--out", str(out), "--json")
    (row,) = results(text)
    assert code == 0
    assert (out / "model.h").is_file()
    assert (row["fits"], len(row["layers"])) == (True, 1)
    assert row["static_ram_bytes"] > row["arena_bytes"] > 0
    assert row["flash_bytes"] > row["const_bytes"]
    assert (out / "bench.elf").read_bytes().startswith(b"\x7fELF")


def test_a_mode_is_told_with_its_code_and_its_flags_are_in_the_library(run, model, tmp_path):
    rows = []
    for mode in ("fastest", "smallest"):
        options = ("--mcu", "stm32f412zg", "--out", str(tmp_path / mode), "--mode", mode)
        code, text, _ = run("compile", model, *options, "--json")
        assert code == 0
        rows += results(text)
    assert [row["mode"] for row in rows] == ["fastest", "smallest"]
    assert rows[1]["code_bytes"] < rows[0]["code_bytes"]
    assert "-Os" in (tmp_path / "smallest" / "CMakeLists.txt").read_text()
    assert "-Os" not in (tmp_path / "fastest" / "CMakeLists.txt").read_text()
    assert run("compile", model, "--mcu", "x", "--out", "y", "--mode", "best")[0] == 2


def test_compile_shows_the_arena_beside_its_lower_bound_and_no_image_of_before(
    run, model, tmp_path, monkeypatch
):
    options = ("compile", model, "--mcu", "stm32f412zg", "--out", str(tmp_path / "out"))
    code, out, _ = run(*options)
    assert code == 0
    assert re.search(r"arena_bytes +(\d+) .* lower bound \1 ", out)

    def too_big(*_):
        raise ImageError("too big", too_big=True, flash_bytes=9, static_ram_bytes=9)

    monkeypatch.setattr("farm.commands.compile.build_image", too_big)
    assert run(*options)[0] == 1
    assert not (tmp_path / "out" / "bench.elf").exists()
    assert (tmp_path / "out" / "model.c").exists()


def test_compile_into_a_file_is_a_usage_error(run, model):
    code, out, err = run("compile", model, "--mcu", "stm32f412zg", "--out", model)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{model}: not a folder" in err


def test_bench_tells_the_cycles_of_every_layer(run, model, script):
    code, out, _ = run("bench", model, "--boards", "f412-01")
    assert code == 0
    assert re.search(r"│ 0 │ pool +│ +0 │ +[\d,]+ │", out)


def test_a_file_that_is_no_elf_is_a_usage_error(run, tmp_path):
    (tmp_path / "x.elf").write_bytes(b"junk")
    code, out, err = run("flash", str(tmp_path / "x.elf"), "--boards", "all")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "not an ELF file" in err


def test_an_elf_for_another_machine_is_refused_before_any_board_is_touched(run):
    code, out, err = run("flash", sys.executable, "--boards", "all")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "not for the Arm cortex-m4 of stm32f412zg" in err


def test_the_power_of_a_virtual_board_can_be_cut_unless_it_is_held(run, board):
    assert run("rack", "power", board.id)[0] == 70
    run("rack", "up", "--boards", board.id)
    try:
        (row,) = results(run("rack", "power", board.id, "--json")[1])
        assert (row["board"], row["power_cycled"]) == (board.id, True)
        with lease.lease(board, 1.0):
            assert run("rack", "power", board.id, "--wait", "0")[0] == 75
            assert run("rack", "down", "--boards", board.id)[0] == 75
        assert run("rack", "status", "--boards", board.id, "--json")[1].count('"alive": true') == 1
    finally:
        run("rack", "down")


def test_status_shows_the_rack_while_it_is_down(run):
    rows = results(run("rack", "status", "--json")[1])
    assert (rows[0]["board"], rows[0]["alive"]) == ("f412-01", False)
    assert run("rack", "down")[1] == "ended: none was up\n"


def test_scan_runs_without_any_probe(run):
    assert run("boards", "scan")[0] == 0


def test_the_monitor_lets_no_escape_sequence_through():
    assert monitor.readable(b"ok\r\n\x1b[2J\xff\t") == "ok\n\\x1b[2J\\xff\t"
