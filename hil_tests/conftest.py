"""Networks and boards that the suite shares; docs/hil.md tells how to write one of your own."""

import numpy as np
import pytest

from engine.graph import Graph
from engine.quantize import FloatNet, FloatOp, quantize
from farm.rack.inventory import Board
from farm.virtual.rack import ensure_up


@pytest.fixture
def powered(board: Board) -> Board:
    """The board that the test holds; a virtual one runs, as a real one does by itself."""
    if board.virtual:
        ensure_up(board)
    return board


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
