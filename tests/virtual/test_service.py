from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.virtual.bus import BusFault
from farm.virtual.dap import DebugPort, ids_of
from farm.virtual.parts import load_part
from farm.virtual.rpc import MAX_PAYLOAD_BYTES, Op, Request, Status
from farm.virtual.service import Caller, Service

REGISTERS = 0x4000_0000


class Registers:
    """A board with nothing but 64 bytes of registers, which notes the accesses it sees."""

    state: Literal["running", "halted", "lockup"] = "running"
    cycles = instructions = 5

    def __init__(self) -> None:
        self.data = bytearray(range(64))
        self.seen: list[tuple[int, int]] = []
        self.in_reset = False

    def read(self, addr: int, size: int) -> int:
        at = self._at(addr, size)
        return int.from_bytes(self.data[at : at + size], "little")

    def write(self, addr: int, size: int, value: int) -> None:
        at = self._at(addr, size)
        self.data[at : at + size] = value.to_bytes(size, "little")

    def read_block(self, addr: int, n: int) -> bytes:
        del n
        raise BusFault(addr)

    def write_block(self, addr: int, data: bytes) -> None:
        del data
        raise BusFault(addr)

    def hold_reset(self, asserted: bool) -> None:
        self.in_reset = asserted

    def power_cycle(self) -> None:
        self.data[:] = bytes(64)

    def _at(self, addr: int, size: int) -> int:
        assert addr % size == 0
        if not REGISTERS <= addr <= REGISTERS + 64 - size:
            raise BusFault(addr)
        self.seen.append((addr, size))
        return addr - REGISTERS


def connected() -> tuple[Service, Registers, Caller]:
    board, caller = Registers(), Caller(pid=1)
    service = Service(board, DebugPort(ids_of(load_part("stm32f412zg")), board), {"uid": "TR-1"})
    service.answer(Request(Op.CLAIM), caller)
    for length, bits in ((16, 0xE79E), (51, (1 << 51) - 1)):
        payload = bits.to_bytes(8, "little")
        assert service.answer(Request(Op.SWJ, value=length, payload=payload), caller).status == 0
    service.answer(Request(Op.DP_READ, 0), caller)
    service.answer(Request(Op.DP_WRITE, 4, 0x5000_0000), caller)
    return service, board, caller


@given(st.integers(0, 63), st.integers(0, 64))
def test_block_of_registers_is_read_by_aligned_accesses_once_each(start: int, count: int) -> None:
    service, board, caller = connected()
    count = min(count, 64 - start)
    reply = service.answer(Request(Op.BLOCK_READ, REGISTERS + start, count), caller)
    assert reply.payload == bytes(range(start, start + count))
    touched = [address + n for address, size in board.seen for n in range(size)]
    assert touched == list(range(REGISTERS + start, REGISTERS + start + count))
    assert len(board.seen) <= count // 4 + 4


@given(st.integers(0, 63), st.binary(max_size=64))
def test_block_is_written_into_registers_and_nowhere_else(start: int, data: bytes) -> None:
    service, board, caller = connected()
    data = data[: 64 - start]
    before = bytes(board.data)
    reply = service.answer(Request(Op.BLOCK_WRITE, REGISTERS + start, payload=data), caller)
    assert reply.status is Status.OK
    assert board.data == before[:start] + data + before[start + len(data) :]


@given(
    st.builds(
        Request,
        st.sampled_from(sorted(set(Op) - {Op.SHUTDOWN})),
        st.integers(0, 0xFFFF_FFFF),
        st.integers(0, 0xFFFF_FFFF) | st.integers(0, 300),
        st.binary(max_size=80),
        st.integers(0, 255),
    )
)
def test_every_request_has_an_answer_that_fits_a_message(request: Request) -> None:
    service, _, caller = connected()
    reply = service.answer(request, caller)
    assert len(reply.payload) <= MAX_PAYLOAD_BYTES
    assert len(reply.encode()) == 12 + len(reply.payload)


def test_probe_that_was_unplugged_stays_so_to_whoever_had_it_until_the_next_claim() -> None:
    service, _, caller = connected()
    service.probe.unplug(0.0)
    read = Request(Op.DP_READ, 0)
    assert [service.answer(read, caller).status for _ in range(2)] == [Status.GONE] * 2
    assert service.answer(read, Caller(pid=2)).status is Status.REFUSED
    assert service.answer(Request(Op.CLAIM), caller).status is Status.OK
    assert service.answer(read, caller).status is Status.OK


def test_caller_that_leaves_frees_the_port_and_the_reset_line() -> None:
    service, board, caller = connected()
    service.answer(Request(Op.NRST, value=1), caller)
    assert board.in_reset
    other = Caller(pid=2)
    assert service.answer(Request(Op.CLAIM), other).status is Status.BUSY
    service.hung_up(other)
    assert board.in_reset
    service.hung_up(caller)
    assert not board.in_reset
    assert service.answer(Request(Op.CLAIM), other).status is Status.OK


@pytest.mark.parametrize(("value", "stops"), [(0, True), (1, False)])
def test_shutdown_spares_a_board_in_use_when_asked_to(value: int, stops: bool) -> None:
    service, _, _ = connected()
    service.answer(Request(Op.SHUTDOWN, value=value), Caller(pid=2))
    assert service.stopping is stops


def test_access_that_nothing_answers_names_its_address() -> None:
    service, _, caller = connected()
    reply = service.answer(Request(Op.MEM_READ, 0x6000_0000, size=4), caller)
    assert (reply.status, reply.value) == (Status.FAULT, 0x6000_0000)
