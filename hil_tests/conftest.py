"""The HIL suite runs once on every type of board that --boards selects."""

from typing import Any

import numpy as np
import pytest

from engine.graph import Graph
from engine.quantize import FloatNet, FloatOp, quantize
from farm.inventory import Board, load_rack, select


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One run a board type; without --boards one run, which is skipped."""
    if "board_type" not in metafunc.fixturenames:
        return
    config = metafunc.config
    selector = config.getoption("--boards")
    boards: tuple[Board, ...] = ()
    if selector:
        boards = select(load_rack(config.getoption("--boards-file")), selector)
    types = list(dict.fromkeys(board.type.name for board in boards)) or ["no boards"]
    metafunc.parametrize("board_type", types)


@pytest.fixture
def typed_boards(farm: Any, board_type: str) -> list[Board]:
    """The selected boards of the type under test, which nobody holds yet."""
    return [board for board in farm.boards if board.type.name == board_type]


@pytest.fixture(scope="session")
def network() -> Graph:
    """A network with every kind of operator, small enough for any board."""
    random = np.random.default_rng(7)

    def weights(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * 0.4).astype(np.float32)

    ops = (
        FloatOp(
            "conv2d", "stem", ("x",), "a", (3, 3), (2, 2),
            activation="relu6", weights=weights(8, 3, 3, 3), bias=weights(8),
        ),
        FloatOp(
            "conv2d", "expand", ("a",), "b", activation="relu6",
            weights=weights(8, 1, 1, 8), bias=weights(8),
        ),
        FloatOp("add", "skip", ("a", "b"), "c"),
        FloatOp(
            "depthwise_conv2d", "spread", ("c",), "d", (3, 3), activation="relu6",
            weights=weights(3, 3, 8), bias=weights(8),
        ),
        FloatOp("average_pool2d", "pool", ("d",), "e", (5, 5), (5, 5)),
        FloatOp(
            "fully_connected", "classify", ("e",), "y",
            weights=weights(10, 8), bias=weights(10),
        ),
    )  # fmt: skip
    net = FloatNet("hil", (16, 16, 3), ops, "x", "y")
    return quantize(net, random.standard_normal((8, 16, 16, 3)).astype(np.float32))
