import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

import nas
from nas import commands
from nas.candidate import Limits
from nas.cli import _lazy, main
from nas.errors import BrokenLimit, InfeasibleError, NasError

ROOT = Path(__file__).parents[2]


def test_the_command_line_imports_no_torch_until_a_search_runs():
    code = "import sys, nas.cli; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize("command", ["search", "calibrate", "report", "boards", "rack", "bench"])
def test_every_sub_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert "--json" in capsys.readouterr().out or command == "rack"


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "--sram", "-1"],
        ["search", "--latency", "soon"],
        ["search", "--seed", "-1"],
        ["search", "--epochs", "0"],
        ["report"],
    ],
)
def test_wrong_arguments_are_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().out == ""


def test_a_selector_without_boards_is_69(tmp_path, capsys):
    arguments = ["search", "--boards", "type=none", "--boards-file", str(ROOT / "boards.yaml")]
    assert main([*arguments, "--runs", str(tmp_path / "runs"), "--json"]) == 69
    output = json.loads(capsys.readouterr().out)
    assert output["exit_code"] == 69
    assert not (tmp_path / "runs").exists()


def test_a_missing_rack_file_is_2(tmp_path):
    assert main(["search", "--boards-file", str(tmp_path / "none.yaml")]) == 2


def test_a_name_that_leads_elsewhere_is_2_and_nothing_is_written(tmp_path, capsys):
    rack = ["--boards-file", str(ROOT / "boards.yaml"), "--runs", str(tmp_path / "runs")]
    assert main(["search", "--name", "../x", *rack]) == 2
    assert "--name" in capsys.readouterr().err
    assert not {path.name for path in tmp_path.iterdir()} & {"runs", "x"}


def test_missing_data_is_2_and_says_how_to_get_it(tmp_path, capsys):
    rack = ["--boards-file", str(ROOT / "boards.yaml"), "--runs", str(tmp_path)]
    assert main(["search", "--data", "fashion-mnist", "--data-dir", str(tmp_path), *rack]) == 2
    assert "apt install dataset-fashion-mnist" in capsys.readouterr().err


def test_the_report_of_no_run_is_2(tmp_path, capsys):
    assert main(["report", "nothing", "--runs", str(tmp_path)]) == 2
    assert "nothing" in capsys.readouterr().err


def test_a_limit_of_nothing_is_none_and_a_tiny_one_is_not(monkeypatch):
    asked = []

    def note(config, *_):
        asked.append(config.limits)
        raise NasError("enough")

    monkeypatch.setattr("nas.commands.search.search", note)
    main(["search", "--sram", "0", "--flash", "0.0001", "--latency", "0"])
    main(["search", "--sram", "0.0001", "--flash", "0", "--latency", "0.001"])
    assert asked == [Limits(None, 1, None), Limits(1, None, 0.001)]


def test_limits_that_cannot_be_met_are_a_list_in_json(monkeypatch, capsys):
    broken = BrokenLimit("sram_bytes", "nucleo-f412zg", 1024, 2412)

    def refuse(*_):
        raise InfeasibleError("too little", (broken, broken))

    monkeypatch.setattr("nas.commands.search.search", refuse)
    assert main(["search"]) == 1
    assert main(["search", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["broken_limits"] == [asdict(broken)] * 2
    assert json.loads(out)["error"] == "too little"
    assert err == 2 * "tinyrack: too little\n"


def test_what_is_missing_is_named_with_the_way_to_get_it(monkeypatch, capsys):
    for name in [m for m in sys.modules if m.startswith("nas.commands")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "nas.search", None)  # as where torch is not installed
    assert main(["search"]) == 2
    assert "tinyrack[nas]" in capsys.readouterr().err


def test_the_facade_names_what_is_missing_with_the_way_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "nas.tinynas", None)  # as where torch is not installed
    with pytest.raises(ImportError, match=r'nas\.TinyNAS needs .*pip install "tinyrack\[nas\]"'):
        _ = nas.TinyNAS


@pytest.fixture
def interrupted_import(tmp_path, monkeypatch):
    """A command whose import gets a Ctrl-C half-way; the file `done` appears at its end."""
    monkeypatch.setattr(commands, "__path__", [str(tmp_path)])
    monkeypatch.setitem(sys.modules, "nas.commands.slow", None)
    del sys.modules["nas.commands.slow"]
    (tmp_path / "slow.py").write_text(
        "import signal\n"
        "from pathlib import Path\n"
        "signal.raise_signal(signal.SIGINT)\n"
        "Path(__file__).with_name('done').touch()\n"
        "run = lambda args: 7\n"
    )
    yield tmp_path / "done"
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_ctrl_c_amid_an_import_waits_for_its_end(interrupted_import):
    with pytest.raises(KeyboardInterrupt):
        _lazy("slow")(None)
    assert interrupted_import.exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_ignored_ctrl_c_stays_ignored_amid_an_import(interrupted_import):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert _lazy("slow")(None) == 7
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
