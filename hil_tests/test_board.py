"""One board by itself: what is flashed is what runs, and it says who it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from engine import reference
from engine.emit import emit
from engine.graph import Graph, Op, Quant, Tensor
from farm.errors import BenchError
from farm.image import Image, build_image
from farm.link import Link
from farm.mcus import load_mcu
from farm.probe import Probe, open_probe
from farm.rack.inventory import Board

pytestmark = [pytest.mark.hil, pytest.mark.board(each="type")]


@pytest.fixture
def held(powered: Board) -> Board:
    return powered


@pytest.fixture
def image(network: Graph, held: Board) -> Image:
    return build_image(emit(network), load_mcu(held.type.mcu), held.type.name)


def test_flash_reads_back_as_programmed(held: Board, image: Image) -> None:
    with open_probe(held, load_mcu(held.type.mcu)) as probe:
        probe.flash(image)
        probe.verify(image)
        _, first = image.segments()[0]
        assert probe.read(image.segments()[0][0], len(first)) == first


def test_verify_refuses_a_board_that_holds_another_image(held: Board, image: Image) -> None:
    other = build_other(held, image)
    with flashed(held, image) as probe, pytest.raises(BenchError, match="instead of"):
        probe.verify(other)


def test_banner_names_the_image_the_type_and_the_clock(
    held: Board, image: Image, console: Any
) -> None:
    mcu = load_mcu(held.type.mcu)
    with flashed(held, image) as probe:
        probe.reset()
    with console(held) as port:
        banner = Link(port, held.id).banner()
    assert banner.image_sha256 == image.image_sha256
    assert banner.board_type == held.type.name
    assert banner.clock_hz == mcu.clock_hz


def test_every_output_of_ten_inputs_equals_the_reference(
    held: Board, image: Image, network: Graph, console: Any
) -> None:
    with flashed(held, image) as probe:
        probe.reset()
    shape = network.tensor(network.input).shape
    inputs = np.random.default_rng(3).integers(-128, 128, (10, *shape)).astype(np.int8)
    with console(held) as port:
        link = Link(port, held.id)
        link.banner()
        for x in inputs:
            assert link.infer(x.tobytes()) == reference.run(network, x).tobytes()


def build_other(board: Board, image: Image) -> Image:
    """The same network built for a board of another name: other identity, other bytes."""
    model = emit(quiet_network())
    other = build_image(model, load_mcu(board.type.mcu), board.type.name)
    assert other.image_sha256 != image.image_sha256
    return other


def quiet_network() -> Graph:
    tensors = (Tensor("x", (4, 4, 2), Quant(1.0, 0)), Tensor("y", (2, 2, 2), Quant(1.0, 0)))
    op = Op("average_pool2d", "pool", ("x",), "y", kernel=(2, 2), stride=(2, 2))
    return Graph("quiet", tensors, (op,), ("x",), ("y",))


@contextmanager
def flashed(board: Board, image: Image) -> Iterator[Probe]:
    with open_probe(board, load_mcu(board.type.mcu)) as probe:
        probe.flash(image)
        yield probe
