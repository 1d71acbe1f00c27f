"""The pytest plug-in, run by pytest itself on suites of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from farm import lease, pytest_boards

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]
PRELOADED = pytest_boards  # pytester forgets modules that it imports; numpy loads only once


@pytest.fixture
def suite(pytester, rack, monkeypatch, scripted_path):
    """Run a suite with the farm's plug-in on the default rack, the scripted runner behind it."""
    pytester.makeconftest("import farm.pytest_boards as b\nb.DEFAULT_RUNNER = 'scripted:run'\n")

    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # others take a second each time

    def run(source: str, *argv: str):
        pytester.makepyfile(source)
        return pytester.runpytest_inprocess("-p", "farm.pytest_plugin", "-rs", *argv)

    run.rack = ("--boards-file", str(rack.path))
    return run


NETWORK = """
import numpy as np
from engine.graph import Graph, Op, Quant, Tensor

def network(name="ok"):
    tensors = (Tensor("x", (4, 4, 2), Quant(1.0, 0)), Tensor("y", (2, 2, 2), Quant(1.0, 0)))
    op = Op("average_pool2d", "pool", ("x",), "y", kernel=(2, 2), stride=(2, 2))
    return Graph(name, tensors, (op,), ("x",), ("y",))
"""


def test_without_boards_tests_are_skipped_with_a_reason(suite):
    source = """
        import pytest
        def test_plain(): pass
        def test_board(board): pass
        def test_farm(farm): pass
        @pytest.mark.hil
        def test_hil(): raise AssertionError
    """
    outcome = suite(source)
    outcome.assert_outcomes(passed=1, skipped=3)
    outcome.stdout.fnmatch_lines(["*use --boards, for example --boards virtual*"])


def test_boards_required_turns_skips_into_failures(suite):
    outcome = suite("def test_board(board): pass", "--boards-required")
    outcome.assert_outcomes(errors=1)


def test_a_test_holds_its_board_alone(suite, rack):
    source = """
        from farm import lease
        def test_board(board):
            assert board.id == "f412-01"
            assert lease.holder(board) is not None
    """
    suite(source, "--boards", "virtual", *suite.rack).assert_outcomes(passed=1)
    assert lease.holder(rack.boards[0]) is None


def test_a_marker_chooses_and_counts(suite):
    source = """
        import pytest
        @pytest.mark.board("type=nucleo-f767zi", count=2)
        def test_two(boards):
            assert [b.id for b in boards] == ["f767-01", "f767-02"]
        @pytest.mark.board("type=nucleo-f767zi", count=3)
        def test_three(boards): pass
        @pytest.mark.board("f412-01")
        def test_one(board):
            assert board.id == "f412-01"
    """
    outcome = suite(source, "--boards", "all", *suite.rack)
    outcome.assert_outcomes(passed=2, skipped=1)
    outcome.stdout.fnmatch_lines(["*needs 3 boards*"])


def test_a_held_board_is_passed_over_and_waiting_is_bounded(suite, board):
    source = """
        import pytest
        from farm.errors import BoardsBusyError
        @pytest.mark.board("type=nucleo-f412zg")
        def test_other(board):
            assert board.id == "f412-02"
        @pytest.mark.board("f412-01")
        def test_busy(request):
            with pytest.raises(BoardsBusyError):
                request.getfixturevalue("board")
    """
    with lease.lease(board, 1.0):
        outcome = suite(source, "--boards", "all", "--board-timeout", "0.3", *suite.rack)
    outcome.assert_outcomes(passed=2)


def test_quarantined_boards_are_passed_over(suite, board):
    lease.quarantine(board, "smokes")
    source = "def test_board(board): assert board.id == 'f412-02'"
    suite(source, "--boards", "type=nucleo-f412zg", *suite.rack).assert_outcomes(passed=1)


def test_measure_runs_a_network_on_a_board(suite):
    source = (
        NETWORK
        + """
def test_measure(measure):
    m = measure(network(), board_type="nucleo-f767zi", repeats=3)
    assert (m.status, m.samples, m.board_type) == ("ok", (1000,) * 3, "nucleo-f767zi")
    assert measure(network(), on="f412-02").board == "f412-02"
    assert measure(network(), np.zeros((4, 4, 2))).board_type == "nucleo-f412zg"
"""
    )
    outcome = suite(source, "--boards", "all", "--junitxml=out.xml", *suite.rack)
    outcome.assert_outcomes(passed=1)
    assert 'name="board_type" value="nucleo-f767zi"' in Path("out.xml").read_text()


@pytest.mark.parametrize("mark", ["", "3", "'all', 1, 2", "'all', n=1", "'all', count=0"])
def test_a_malformed_marker_is_a_usage_error(suite, mark):
    outcome = suite(f"import pytest\n@pytest.mark.board({mark})\ndef test_x(): pass")
    assert outcome.ret == (pytest.ExitCode.OK if not mark else pytest.ExitCode.USAGE_ERROR)


def test_a_wrong_rack_file_is_a_usage_error(suite, write_rack):
    bad = str(write_rack("colour: red"))
    outcome = suite("def test_x(board): pass", "--boards", "all", "--boards-file", bad)
    outcome.stderr.fnmatch_lines(["ERROR: *boards.yaml:1: *"])
    assert outcome.ret == pytest.ExitCode.USAGE_ERROR


def test_the_plug_in_imports_nothing_heavy():
    code = (
        "import sys, farm.pytest_plugin\n"
        "heavy = {'numpy', 'pyocd', 'serial', 'rich', 'torch', 'yaml', 'sqlite3'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
