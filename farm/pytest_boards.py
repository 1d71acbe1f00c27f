"""What the pytest plug-in does once a test needs a board."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.emit import emit
from engine.graph import Graph
from farm.errors import BoardsBusyError, InventoryError, NoBoardError
from farm.inventory import Board, Rack, load_rack, select
from farm.lease import lease, refuse_quarantined, renewing
from farm.manager import BoardManager, Job
from farm.measure import Measurement
from farm.model_file import Inputs, expected_output, input_bytes, load_input

_POLL_S = 0.2


def selection(config: pytest.Config) -> tuple[Rack, tuple[Board, ...]]:
    """The rack and the selected boards; skips or fails the test when there are none."""
    selector = config.getoption("--boards")
    if not selector:
        _give_up(config, "no boards selected; use --boards, for example --boards virtual")
    try:
        rack = load_rack(config.getoption("--boards-file"))
        return rack, select(rack, selector)
    except NoBoardError as error:
        _give_up(config, str(error))
    except InventoryError as error:
        raise pytest.UsageError(str(error)) from error


@contextmanager
def manager(config: pytest.Config) -> Iterator[BoardManager]:
    """A BoardManager over the selected boards."""
    rack, boards = selection(config)
    with BoardManager(rack, boards, wait_s=config.getoption("--board-timeout")) as opened:
        yield opened


@contextmanager
def held(config: pytest.Config, selector: str, count: int) -> Iterator[tuple[Board, ...]]:
    """Hold `count` of the selected boards that match; skips when so many do not exist."""
    rack, boards = selection(config)
    try:
        wanted = {board.id for board in select(rack, selector or "all")}
    except NoBoardError as error:
        _give_up(config, str(error))
    able = [board for board in boards if board.id in wanted and _in_service(board)]
    if len(able) < count:
        where = f"{selector or 'any'!r} among --boards {config.getoption('--boards')}"
        _give_up(config, f"the test needs {count} boards matching {where}; {len(able)} there")
    with _acquired(able, count, config.getoption("--board-timeout")) as acquired:
        yield acquired


def measurer(farm: BoardManager, record: Callable[[str, object], None]) -> object:
    """The `measure` fixture: a function from a graph to its Measurement on a board now."""

    def measure(
        graph: Graph,
        x: NDArray[np.int8] | Inputs | None = None,
        *,
        board_type: str | None = None,
        on: str = "",
        repeats: int = 5,
    ) -> Measurement:
        given = {graph.input: x.astype(np.int8)} if isinstance(x, np.ndarray) else x
        inputs = load_input(graph, None, 0) if given is None else given
        io = (input_bytes(graph, inputs), expected_output(graph, inputs))
        kind = board_type or _type_of(farm, on)
        job = Job(graph.name, emit(graph), kind, *io, repeats)
        m = farm.submit(job, again=True, on=on).result()  # bounded by the manager's deadlines
        for key in ("board", "board_type", "virtual", "image_sha256", "cycles", "peak_sram_bytes"):
            record(key, getattr(m, key))
        return m

    return measure


def _type_of(farm: BoardManager, board_id: str) -> str:
    boards = [board for board in farm.boards if board_id in ("", board.id)]
    return (boards or farm.boards)[0].type.name


def _in_service(board: Board) -> bool:
    try:
        refuse_quarantined(board)
    except NoBoardError:
        return False
    return True


@contextmanager
def _acquired(boards: list[Board], count: int, wait_s: float) -> Iterator[tuple[Board, ...]]:
    """All `count` or none, so that two tests that want two boards each cannot block each other."""
    deadline = time.monotonic() + wait_s
    while True:
        with ExitStack() as stack:
            got: list[Board] = []
            for board in boards:
                if len(got) < count and _try(stack, board):
                    got.append(board)
            if len(got) == count:
                yield tuple(got)
                return
        if time.monotonic() > deadline:
            ids = ", ".join(board.id for board in boards)
            raise BoardsBusyError(f"fewer than {count} of {ids} came free in {wait_s:.0f} s")
        time.sleep(_POLL_S)  # the deadline is above


def _try(stack: ExitStack, board: Board) -> bool:
    try:
        stack.enter_context(renewing(stack.enter_context(lease(board, 0.0))))
    except BoardsBusyError:
        return False
    return True


def _give_up(config: pytest.Config, reason: str) -> NoReturn:
    if config.getoption("--boards-required"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
