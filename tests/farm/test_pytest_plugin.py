"""The pytest plug-in, run by pytest itself on suites of its own."""

import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from farm import pytest_plugin
from farm.errors import BenchError, InventoryError
from farm.leases import lease
from farm.plugin import boards as pytest_boards
from farm.plugin import facts as pytest_facts
from farm.plugin.console import KEPT_BYTES, Recorder
from farm.plugin.keeper import Keeper

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]
PRELOADED = pytest_boards  # pytester forgets modules that it imports; numpy loads only once


@pytest.fixture
def suite(pytester, rack, monkeypatch, scripted_path):
    """Run a suite with the farm's plug-in on the default rack, the scripted runner behind it."""
    pytester.makeconftest("import farm.plugin.boards as b\nb.DEFAULT_RUNNER = 'scripted:run'\n")

    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # others take a second each time

    def run(source: str, *argv: str):
        pytester.makepyfile(source)
        return pytester.runpytest_inprocess("-p", "farm.pytest_plugin", "-rs", *argv)

    run.rack = (f"--boards-file={rack.path}",)
    return run


NETWORK = "import numpy as np\nfrom toy_network import network\n"


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
        from farm.leases import lease
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


def test_a_board_that_is_quarantined_in_mid_session_is_used_no_more(suite):
    source = """
        import pytest
        from farm.leases import lease
        def test_smokes(board):
            assert board.id == "f412-01"
            lease.quarantine(board, "smokes")
        def test_other(board): assert board.id == "f412-02"
        @pytest.mark.board("f412-01")
        def test_same(board): pass
    """
    argv = ("--boards", "type=nucleo-f412zg", "--boards-order=as-written", *suite.rack)
    outcome = suite(source, *argv)
    outcome.assert_outcomes(passed=2, skipped=1)
    outcome.stdout.fnmatch_lines(["*1 there, 1 of them out of service*"])


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


def test_each_makes_one_test_a_board_or_a_type_grouped_by_board(suite):
    source = """
        import pytest
        @pytest.mark.board(each=True)
        def test_a(board): pass
        @pytest.mark.board("type=nucleo-f767zi", each=True)
        def test_b(board): pass
        @pytest.mark.board(each="type", count=2)
        def test_c(boards): assert boards[0].type == boards[1].type
    """
    outcome = suite(source, "--boards", "all", "--boards-dry-run", *suite.rack)
    names = [line.split("::")[1] for line in outcome.outlines if "::" in line]
    assert names == [
        *("test_a[f412-01]: f412-01", "test_a[f412-02]: f412-02", "test_a[f767-01]: f767-01"),
        *("test_b[f767-01]: f767-01", "test_a[f767-02]: f767-02", "test_b[f767-02]: f767-02"),
        *("test_c[nucleo-f412zg]: f412-01, f412-02", "test_c[nucleo-f767zi]: f767-01, f767-02"),
    ]
    suite(source).assert_outcomes(skipped=3)


def test_a_failed_bench_is_an_error_with_facts_and_a_failed_test_is_not(suite):
    source = (
        NETWORK
        + """
from farm.errors import BenchError
def test_bench(board, measure): measure(network("bench"))
def test_wrong(board, measure): assert measure(network("wrong")).status == "ok"
def test_direct(board): raise BenchError("no answer", board.id)
"""
    )
    argv = ("--boards", "f412-01", "--board-retries=0", "--junitxml=out.xml", "-rE", *suite.rack)
    outcome = suite(source, *argv)
    outcome.assert_outcomes(errors=2, failed=1)
    outcome.stdout.fnmatch_lines(["*held_board = f412-01*", "*UART tail of f412-01*"])
    outcome.stdout.fnmatch_lines(["f412-01 *"])
    assert outcome.ret == pytest.ExitCode.TESTS_FAILED
    report = Path("out.xml").read_text()
    assert 'errors="2" failures="1"' in report
    assert report.count('name="outcome_kind" value="bench"') == 2
    assert report.count('name="held_lease_token"') == 3


def test_a_board_is_kept_from_test_to_test_and_given_back_to_who_waits(suite, rack, board):
    source = """
        import threading
        from farm.leases import lease
        tokens = []
        def test_first(board): tokens.append(lease.holder(board).token)
        def test_same(board): assert tokens == [lease.holder(board).token]
        def test_waits():
            with lease.lease(BOARD, 5.0): pass
        def test_new(board): assert lease.holder(board).token == tokens[0] + 2
    """
    head = (
        "from farm.rack.inventory import load_rack\n"
        f"BOARD = load_rack({str(rack.path)!r}).boards[0]\n"
    )
    argv = ("--boards", board.id, "--boards-order=as-written", *suite.rack)
    suite(head + textwrap.dedent(source), *argv).assert_outcomes(passed=4)


def test_the_command_line_beats_the_environment_which_beats_ini_files(suite, monkeypatch):
    source = "def test_board(board): assert board.id == 'f767-01'"
    Path("pytest.ini").write_text("[pytest]\nfarm_boards = f412-01\nfarm_board_timeout = 1\n")
    monkeypatch.setenv("FARM_BOARDS", "f412-02")
    suite(source, "--boards", "f767-01", *suite.rack).assert_outcomes(passed=1)
    suite(source, *suite.rack).stdout.fnmatch_lines(["*'f412-02' == 'f767-01'*"])
    monkeypatch.delenv("FARM_BOARDS")
    suite(source, *suite.rack).stdout.fnmatch_lines(["*'f412-01' == 'f767-01'*"])
    monkeypatch.setenv("FARM_BOARD_TIMEOUT", "soon")
    outcome = suite(source)
    outcome.stderr.fnmatch_lines(["ERROR: FARM_BOARD_TIMEOUT is 'soon': *"])
    assert outcome.ret == pytest.ExitCode.USAGE_ERROR


def test_hooks_tell_who_comes_and_goes(suite):
    source = "def test_board(board): pass"
    hooks = (
        "\ndef pytest_farm_board_acquired(board, token): print('came', board.id, token)\n"
        "def pytest_farm_board_released(board): print('went', board.id)\n"
    )
    with Path("conftest.py").open("a") as conftest:
        conftest.write(hooks)
    outcome = suite(source, "--boards", "f412-02", "-s", *suite.rack)
    outcome.stdout.fnmatch_lines(["*came f412-02*", "*went f412-02*"])


def test_a_marker_is_enough_for_measure_but_each_needs_the_board(suite):
    source = """
        import pytest
        @pytest.mark.board("f412-01", each={each})
        def test_marked(measure): pass
    """
    argv = ("--boards", "all", *suite.rack)
    outcome = suite(source.format(each=False), *argv)
    outcome.assert_outcomes(passed=1)
    outcome.stdout.fnmatch_lines(["f412-01 *1 *0 *"])
    assert suite(source.format(each=True), *argv).ret == pytest.ExitCode.USAGE_ERROR


MANAGER = """
def manager(rack, boards, runner, progress, **settings):
    print("runner:", runner)
    for kind, detail in (("retried", ""), ("recovered", ""), ("aside", "quarantined: it smokes")):
        progress(Event(kind, "", boards[0].id, detail))
    return SimpleNamespace(boards=boards, close=lambda: print("closed"), store=None)

b.BoardManager = manager
def pytest_farm_board_quarantined(board_id, why): print(board_id, "is", why)
"""


def test_a_type_that_the_test_holds_is_measured_on_its_own_board(suite):
    source = f"""{NETWORK}
def test_own(board, measure):
    assert measure(network("a"), board_type=board.type.name).board == board.id
"""
    outcome = suite(source, "--boards", "f412-01", "--board-timeout", "9", *suite.rack)
    outcome.assert_outcomes(passed=1)


def test_a_test_that_measures_twice_without_a_board_of_its_own_counts_once(suite):
    source = f"""{NETWORK}
def test_two(measure):
    assert measure(network("a")).board == measure(network("b")).board == "f412-01"
"""
    outcome = suite(source, "--boards", "f412-01", *suite.rack)
    outcome.assert_outcomes(passed=1)
    outcome.stdout.fnmatch_lines(["f412-01 *1 *2 *"])


def test_what_the_manager_tells_is_counted_and_golden_off_checks_no_board(suite):
    with Path("conftest.py").open("a") as conftest:
        conftest.write(
            "\nfrom types import SimpleNamespace\nfrom farm.job import Event\n" + MANAGER
        )
    argv = ("--boards", "f412-01", "-s", *suite.rack)
    outcome = suite("def test_farm(farm): pass", *argv)
    outcome.stdout.fnmatch_lines(["*runner: scripted:run", "f412-01 is quarantined: it smokes"])
    outcome.stdout.fnmatch_lines(["*closed*", "board *retries *rungs *", "f412-01 * 1 * 1 *"])
    outcome = suite("def test_farm(farm): pass", "--golden=off", *argv)
    outcome.stdout.fnmatch_lines(["*runner: <farm.scheduling.crew.Threads object *"])


def test_a_failure_shows_what_a_console_said_last_with_every_odd_byte_written_out(board):
    class Port:
        in_waiting = 0

        def read(self, size: int = 1, /) -> bytes:
            return b"lost" + b"." * (size - 6) + b"ok\n\x1b[\xff"

    heard = Recorder(board, Port())
    heard.read(KEPT_BYTES)
    facts, tail = pytest_facts.sections([board], [("cycles", 7)], None, [heard], listening=False)
    assert facts == ("board facts", "cycles = 7")
    assert tail[0] == "UART tail of f412-01, so far"
    assert "lost" not in tail[1]
    assert tail[1].endswith("..ok\n\\x1b[\\xff")


def test_a_board_in_maintenance_that_is_selected_by_its_id_is_tested(suite, rack, write_rack):
    path = write_rack(rack.path.read_text().replace('F412-01"}', 'F412-01", state: maintenance}'))
    source = """
        import pytest
        def test_any(board): assert board.id == "f412-01"
        @pytest.mark.board("type=nucleo-f412zg")
        def test_type(board): assert board.id == "f412-01"
        @pytest.mark.board(each="type")
        def test_each(board): assert board.id == "f412-01"
    """
    outcome = suite(source, "--boards", "f412-01", f"--boards-file={path}")
    outcome.assert_outcomes(passed=3)


def test_a_test_that_could_have_a_real_or_a_virtual_board_is_refused(rack, board):
    real = replace(board, id="lab-1", probe="stlink:066DFF")
    with pytest.raises(
        InventoryError, match=r"a real board \(lab-1\) or a virtual one \(f412-01\)"
    ):
        pytest_boards._refuse_mixed([board, real])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_boards_that_cannot_be_asked_for_are_not_waited_for(board):
    with pytest.raises(BenchError, match="has ended"):
        Keeper([board], 2, 60.0).ready()


def test_each_of_a_parameter_is_a_usage_error(suite):
    source = """
        import pytest
        @pytest.mark.parametrize("x", [1, pytest.param(2, marks=pytest.mark.board(each=True))])
        def test_it(board, x): pass
    """
    outcome = suite(source, "--boards", "virtual", *suite.rack)
    assert outcome.ret == pytest.ExitCode.USAGE_ERROR
    outcome.stderr.fnmatch_lines(["*each= is for a test's marker, not a parameter's*"])


def test_a_board_that_was_taken_away_is_not_listened_to(suite):
    source = """
        from farm.leases import lease
        def test_it(board):
            with lease.opened(lease.place_of(board)) as rows:
                rows.revoke(lease.normal_uid(board.probe))
    """
    outcome = suite(source, "--boards", "f412-01", *suite.rack)
    outcome.assert_outcomes(passed=1, errors=1)
    outcome.stdout.fnmatch_lines(["*released by an operator*"])
    outcome.stdout.no_fnmatch_line("*UART tail*")


def test_each_on_a_broken_rack_is_told_as_a_broken_rack(suite, tmp_path):
    source = """
        import pytest
        @pytest.mark.board(each=True)
        def test_it(board): pass
    """
    outcome = suite(source, "--boards", "all", f"--boards-file={tmp_path}/nope.yaml")
    assert outcome.ret == pytest.ExitCode.USAGE_ERROR
    outcome.stderr.fnmatch_lines(["*nope.yaml: no such rack file*"])


def test_what_a_process_of_xdist_refuses_its_controller_refuses(suite, pytester):
    pytester.makeconftest("""
        def pytest_configure(config): config.workeroutput = {}
        def pytest_unconfigure(config): print("told:", config.workeroutput)
    """)
    source = "import pytest\n@pytest.mark.board(nope=1)\ndef test_it(board): pass"
    suite(source, "--boards", "virtual", *suite.rack).stdout.fnmatch_lines(
        ["told: *'farm_usage': '*::test_it: use @pytest.mark.board(*"]
    )
    with pytest.raises(pytest.UsageError, match=r"^why$"):
        pytest_plugin.pytest_testnodedown(SimpleNamespace(workeroutput={"farm_usage": "why"}))


def test_a_rack_file_named_in_an_ini_file_stands_beside_that(suite, pytester, rack, monkeypatch):
    (pytester.path / "lab.yaml").write_text(rack.path.read_text())
    pytester.makeini("[pytest]\nfarm_boards_file = lab.yaml\nfarm_boards = f412-01\n")
    monkeypatch.chdir(pytester.mkdir("elsewhere"))
    outcome = suite("def test_it(board): pass", pytester.path)
    outcome.assert_outcomes(passed=1)
