"""How many messages pyOCD's work takes, and that what waits is neither lost nor reordered."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from farm.mcus import load_mcu
from farm.probe import Probe, open_probe
from farm.rack.inventory import Board
from farm.virtual import rack
from farm.virtual.pipeline import Pipeline
from farm.virtual.rpc import (
    AccessFaultError,
    Client,
    Op,
    Reply,
    Request,
    RequestRefusedError,
    take_all_requests,
)

FLASH, RAM = 0x0800_0000, 0x2000_0000
DHCSR, DEMCR = 0xE000_EDF0, 0xE000_EDFC
PAGE_BYTES = 0x1000  # of pyOCD's algorithm for the F412
MESSAGES = {"connect": 100, "page": 14}  # at most


class Bytes:
    name = "random bytes"

    def __init__(self, count: int) -> None:
        self.data = random.Random(count).randbytes(count)

    def segments(self) -> list[tuple[int, bytes]]:
        return [(FLASH, self.data)]


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[Op]:
    """The operation of every message to a daemon."""
    sent: list[Op] = []
    call = Client.call

    def counted(self: Client, request: Request) -> Reply:
        sent.append(request.op)
        return call(self, request)

    monkeypatch.setattr(Client, "call", counted)
    return sent


@contextmanager
def opened(board: Board) -> Iterator[Probe]:
    rack.ensure_up(board)
    with open_probe(board, load_mcu(board.type.mcu)) as probe:
        yield probe


@contextmanager
def claimed(board: Board) -> Iterator[Pipeline]:
    """The debug port with its link up, as pyOCD brings it up."""
    rack.ensure_up(board)
    found = rack.find(board.probe_uid)
    assert found
    with Client(found.socket) as client:
        pipeline = Pipeline(client)
        pipeline.call(Request(Op.CLAIM))
        pipeline.call(Request(Op.SWJ, value=16, payload=b"\x9e\xe7"))
        pipeline.call(Request(Op.DP_READ, 0))
        pipeline.call(Request(Op.DP_WRITE, 4, 0x5000_0000))
        yield pipeline


def test_connecting_and_flashing_take_few_messages(f412: Board, messages: list[Op]) -> None:
    with opened(f412) as probe:
        assert len(messages) <= MESSAGES["connect"]
        counts = []
        for pages in (4, 20):
            messages.clear()
            image = Bytes(pages * PAGE_BYTES)
            probe.flash(image)
            counts.append(len(messages))
            probe.verify(image)
        assert (counts[1] - counts[0]) / 16 <= MESSAGES["page"]


def test_posted_writes_come_before_a_later_read_and_in_order(
    f412: Board, messages: list[Op]
) -> None:
    with claimed(f412) as pipeline:
        messages.clear()
        for value in (1, 2, 3):
            pipeline.post(Request(Op.MEM_WRITE, RAM, value, size=4))
            seen = pipeline.post(Request(Op.MEM_READ, RAM, size=4))
        assert messages == []
        assert pipeline.call(Request(Op.MEM_READ, RAM, size=4)).value == 3
        assert seen.result().value == 3
        assert messages == [Op.BATCH]


def test_nothing_is_done_behind_a_posted_write_that_failed(f412: Board) -> None:
    with claimed(f412) as pipeline:
        pipeline.call(Request(Op.MEM_WRITE, RAM, 7, size=4))
        pipeline.post(Request(Op.MEM_WRITE, 0x6000_0000, 1, size=4))
        later = pipeline.post(Request(Op.MEM_WRITE, RAM, 8, size=4))
        with pytest.raises(AccessFaultError, match="0x60000000"):
            pipeline.call(Request(Op.MEM_READ, RAM, size=4))
        with pytest.raises(AccessFaultError):
            later.result()
        assert pipeline.call(Request(Op.MEM_READ, RAM, size=4)).value == 7


def test_a_read_that_failed_spoils_only_itself(f412: Board) -> None:
    with claimed(f412) as pipeline:
        bad = pipeline.post(Request(Op.MEM_READ, 0x6000_0000, size=4))
        pipeline.post(Request(Op.MEM_WRITE, RAM, 9, size=4))
        assert pipeline.call(Request(Op.MEM_READ, RAM, size=4)).value == 9
        with pytest.raises(AccessFaultError, match="0x60000000"):
            bad.result()


def test_big_blocks_go_alone_and_behind_what_waits(f412: Board, messages: list[Op]) -> None:
    block = random.Random(1).randbytes(0x8000)
    with claimed(f412) as pipeline:
        messages.clear()
        pipeline.post(Request(Op.MEM_WRITE, RAM, 1, size=4))
        pipeline.call(Request(Op.BLOCK_WRITE, RAM, payload=block))
        assert pipeline.call(Request(Op.BLOCK_READ, RAM, len(block))).payload == block
        assert messages == [Op.MEM_WRITE, Op.BLOCK_WRITE, Op.BLOCK_READ]


@pytest.mark.parametrize(
    "inside",
    [
        lambda: Request(Op.POWER, value=0).encode(),
        lambda: Request(Op.BATCH).encode(),
        lambda: Request(Op.DP_READ).encode()[:-1],
    ],
)
def test_batch_of_anything_but_whole_probe_requests_is_refused(
    f412: Board, inside: Callable[[], bytes]
) -> None:
    with claimed(f412) as pipeline, pytest.raises(RequestRefusedError):
        pipeline.call(Request(Op.BATCH, payload=inside()))
    good = [Request(Op.DP_READ, 4), Request(Op.MEM_WRITE, RAM, 5, size=4)]
    assert take_all_requests(b"".join(each.encode() for each in good)) == good
