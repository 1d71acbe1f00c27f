"""Pytest fixtures and markers for HIL suites.

    python -m pytest hil_tests --boards virtual

`farm` is a BoardManager over the selected boards, for the whole session. `board` is a board
that the test holds alone; `@pytest.mark.board("type=nucleo-f412zg", count=2)` narrows the
choice, `boards` gives all `count` of them. `measure(graph)` runs a network and returns its
Measurement. Without boards, tests that need them are skipped, unless --boards-required.
Nothing heavy is imported before a test asks for a board.
"""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

_MARKERS = (
    "hil: needs boards; skipped when none are selected",
    "board(selector, count=1): which of the selected boards the test holds",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("farm", "boards of the rack")
    group.addoption(
        "--boards", metavar="SELECTOR", help="boards to use: ids, type=..., tag=value, virtual, all"
    )
    group.addoption("--boards-file", metavar="FILE", help="the rack (default: boards.yaml)")
    group.addoption(
        "--board-timeout",
        metavar="S",
        type=float,
        default=60.0,
        help="seconds to wait for boards that others hold (default: 60)",
    )
    group.addoption(
        "--boards-required",
        action="store_true",
        help="fail instead of skip when there are no boards",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name the boards, if any were asked for."""
    selector = config.getoption("--boards")
    return f"boards: {selector}" if selector else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse malformed `board` markers before anything runs."""
    for item in items:
        for marker in item.iter_markers("board"):
            _marker_arguments(item, marker)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `hil` when there are no boards."""
    if item.get_closest_marker("hil") is not None:
        _boards().selection(item.config)


@pytest.fixture(scope="session")
def farm(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A BoardManager over the selected boards."""
    with _boards().manager(request.config) as opened:
        yield opened


@pytest.fixture
def boards(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The boards that the test holds: a tuple of `count` Boards."""
    marker = request.node.get_closest_marker("board")
    selector, count = _marker_arguments(request.node, marker) if marker else ("", 1)
    with _boards().held(request.config, selector, count) as held:
        yield held


@pytest.fixture
def board(boards: Any) -> Any:
    """The board that the test holds."""
    return boards[0]


@pytest.fixture
def measure(farm: Any, record_property: Any) -> Any:
    """measure(graph, x=None, *, board_type=None, on="", repeats=5) -> Measurement."""
    return _boards().measurer(farm, record_property)


def _boards() -> Any:
    """The part that imports the farm, loaded when a test needs a board."""
    return importlib.import_module("farm.pytest_boards")


def _marker_arguments(item: pytest.Item, marker: pytest.Mark) -> tuple[str, int]:
    values = {"selector": "", "count": 1} | dict(
        zip(("selector", "count"), marker.args, strict=False)
    )
    values |= marker.kwargs
    selector, count = values.pop("selector"), values.pop("count")
    fine = isinstance(selector, str) and isinstance(count, int) and 1 <= count <= 64
    if not fine or values or len(marker.args) > 2:
        raise pytest.UsageError(f"{item.nodeid}: use @pytest.mark.board(selector, count=1)")
    return str(selector), int(str(count))
