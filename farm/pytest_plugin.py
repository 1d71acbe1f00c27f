"""Pytest fixtures and markers for HIL suites; docs/hil.md tells how to write one.

    python -m pytest hil_tests --boards virtual

`board` is a board that the test holds alone; `@pytest.mark.board("type=nucleo-f412zg", count=2)`
narrows the choice, `boards` gives all `count` of them, `each=True` makes one test a board.
`measure(graph)` runs a network, on that board if the test holds one, and returns its
Measurement; `farm` is the BoardManager behind it. Without boards, tests that need them are
skipped, unless --boards-required. Nothing heavy is imported before a test asks for a board.
"""

import importlib
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from farm.plugin import hooks as pytest_hooks
from farm.plugin import options as pytest_options
from farm.plugin import outcome as pytest_outcome
from farm.plugin import wishes as pytest_wishes
from farm.plugin.options import setting_of
from farm.plugin.tally import Tally

_MARKERS = (
    "hil: needs boards; skipped when none are selected",
    'board(selector="", count=1, each=False | True | "type", image=""): which boards a test holds',
)
_BENCH = pytest.StashKey[Any]()
_TALLY = pytest.StashKey[Tally]()
_USAGE = "farm_usage"  # of what a process of xdist gives its controller


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options and the keys of ini files."""
    pytest_options.declare(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that tell what happens to boards."""
    pluginmanager.add_hookspecs(pytest_hooks)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers and refuse settings that make no sense."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    pytest_options.check(config)
    config.stash[_TALLY] = Tally()


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name the boards, if any were asked for."""
    selector = setting_of(config, "boards")
    return f"boards: {selector}" if selector else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a board, or a board type, where the marker says so."""
    marker = metafunc.definition.get_closest_marker("board")
    if marker is None or "boards" not in metafunc.fixturenames:
        return
    try:
        wish = pytest_wishes.parse(metafunc.definition.nodeid, marker)
        found = _choices().choices(metafunc.config, wish) if wish.each else []
    except pytest.UsageError:
        return  # said once the tests are collected: here it would be shown as a crash
    if found:
        metafunc.parametrize("boards", found, indirect=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse malformed markers and racks; put tests of one board and image after one another."""
    with_boards = bool(setting_of(config, "boards"))
    try:
        pytest_wishes.check_all(items)
        if with_boards:
            _choices().check_rack(config)
        pytest_wishes.check_made(items)
    except pytest.UsageError as error:
        getattr(config, "workeroutput", {})[_USAGE] = str(error)  # xdist passes on no such error
        raise
    if with_boards and setting_of(config, "boards-order") == "grouped":
        items[:] = pytest_wishes.grouped(items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """With --boards-dry-run, say who would take what, and run nothing."""
    if not setting_of(session.config, "boards-dry-run"):
        return None
    write = session.config.get_terminal_writer().line
    for line in importlib.import_module("farm.plugin.plan").lines(session.config, session.items):
        write(line)
    return True


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `hil` when there are no boards."""
    if item.get_closest_marker("hil") is not None:
        _bench(item.config).selection()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Begin every test with a clean sheet of what it used."""
    if _BENCH in item.config.stash:
        item.config.stash[_BENCH].begin()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what is known of the boards; tell errors of the bench from failures of the test."""
    report = yield
    bench = item.config.stash.get(_BENCH, None)
    if bench is not None:
        pytest_outcome.add_properties(item, report, bench.used.properties)
        if report.failed:
            report.sections += bench.sections()
    pytest_outcome.note_bench_error(item, report, call)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Show errors of the bench as errors."""
    return pytest_outcome.status(report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Give all boards back; tell the controller of xdist what was done."""
    config = session.config
    if _BENCH in config.stash:
        config.stash[_BENCH].close()
    output = getattr(config, "workeroutput", None)
    if output is not None:
        output["farm_tally"] = config.stash[_TALLY].to_json()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a process of xdist did, or refused; one that crashed leaves nothing."""
    output = getattr(node, "workeroutput", {})
    if refused := output.get(_USAGE):
        raise pytest.UsageError(refused)
    node.config.stash[_TALLY].add_json(output.get("farm_tally", {}))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print what the tests did, board by board."""
    if config.stash[_TALLY].boards:
        terminalreporter.section("boards")
        for line in config.stash[_TALLY].lines():
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def farm(request: pytest.FixtureRequest) -> Any:
    """A BoardManager over the selected boards, for the whole session."""
    return _bench(request.config).farm()


@pytest.fixture
def boards(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The boards that the test holds: a tuple of `count` Boards."""
    wish = pytest_wishes.wish_of(request.node)
    choice = getattr(request, "param", "")
    if choice:
        wish = _choices().of_choice(wish, choice)
    with _bench(request.config).held(wish) as held:
        yield held


@pytest.fixture
def board(boards: Any) -> Any:
    """The board that the test holds."""
    return boards[0]


@pytest.fixture
def console(request: pytest.FixtureRequest) -> Callable[[Any], AbstractContextManager[Any]]:
    """`with console(board) as port:` the open console, of which a failure shows the tail."""
    bench = _bench(request.config)
    opened: Callable[[Any], AbstractContextManager[Any]] = bench.console
    return opened


@pytest.fixture
def measure(request: pytest.FixtureRequest, farm: Any) -> Any:
    """measure(graph, x=None, *, board_type=None, on="", repeats=5) -> Measurement.

    On the board `on`, else on one of `board_type`, else on the one that the test holds, as it
    does with a `board` marker, else on one of the first type there is.
    """
    del farm
    if request.node.get_closest_marker("board") is not None:
        request.getfixturevalue("boards")
    return _bench(request.config).measure


def _boards() -> Any:
    """The part that imports the farm, loaded when a test needs a board."""
    return importlib.import_module("farm.plugin.boards")


def _choices() -> Any:
    """The part that reads boards.yaml."""
    return importlib.import_module("farm.plugin.choices")


def _bench(config: pytest.Config) -> Any:
    if _BENCH not in config.stash:
        config.stash[_BENCH] = _boards().Bench(config, config.stash[_TALLY])
    return config.stash[_BENCH]
