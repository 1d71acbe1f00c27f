from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.virtual.bus import BusFault
from farm.virtual.dap import (
    CTRL_STAT,
    DPIDR,
    RDBUFF,
    SELECT,
    STICKYERR,
    DebugPort,
    LinkFaultError,
    NoAcknowledgeError,
    ids_of,
)
from farm.virtual.parts import load_part

M4, M7 = "stm32f412zg", "stm32f767zi"
CSW, TAR, DRW = 0x0, 0x4, 0xC
POWER_UP = 0x5000_0000
LINE_RESET = (51, (1 << 51) - 1)
RAM_BASE, RAM_BYTES = 0x2000_0000, 0x4000


class Ram:
    """Memory that faults outside itself."""

    def __init__(self) -> None:
        self.data = bytearray(RAM_BYTES)

    def _at(self, addr: int, size: int) -> slice:
        if not RAM_BASE <= addr <= RAM_BASE + RAM_BYTES - size:
            raise BusFault(addr)
        return slice(addr - RAM_BASE, addr - RAM_BASE + size)

    def read(self, addr: int, size: int) -> int:
        return int.from_bytes(self.data[self._at(addr, size)], "little")

    def write(self, addr: int, size: int, value: int) -> None:
        self.data[self._at(addr, size)] = value.to_bytes(size, "little")


def connect(mcu: str, bus: Ram) -> DebugPort:
    port = DebugPort(ids_of(load_part(mcu)), bus)
    port.swj_sequence(*LINE_RESET)
    port.swj_sequence(16, 0xE79E)
    port.swj_sequence(*LINE_RESET)
    port.swj_sequence(8, 0)
    port.read_dp(DPIDR)
    port.write_dp(CTRL_STAT, POWER_UP)
    return port


def transfer(port: DebugPort, address: int, csw: int) -> None:
    port.write_ap(CSW, [csw])
    port.write_ap(TAR, [address])


def test_nothing_answers_before_the_wire_is_switched_to_swd() -> None:
    port = DebugPort(ids_of(load_part(M4)), Ram())
    port.swj_sequence(*LINE_RESET)
    with pytest.raises(NoAcknowledgeError):
        port.read_dp(DPIDR)


def test_line_reset_wants_the_id_read_first() -> None:
    port = connect(M4, Ram())
    port.swj_sequence(*LINE_RESET)
    with pytest.raises(NoAcknowledgeError):
        port.read_dp(CTRL_STAT)
    assert port.read_dp(DPIDR) == 0x2BA0_1477
    assert port.read_dp(CTRL_STAT) & POWER_UP == POWER_UP  # a line reset keeps the power on


def test_idle_cycles_and_short_runs_are_no_line_reset() -> None:
    port = connect(M4, Ram())
    port.swj_sequence(49, (1 << 49) - 1)
    port.swj_sequence(60, 0b0111 << 50)
    assert port.read_dp(CTRL_STAT) & POWER_UP == POWER_UP


def test_power_requests_are_acknowledged_one_by_one() -> None:
    port = connect(M7, Ram())
    assert port.read_dp(CTRL_STAT) >> 28 == 0xF
    port.write_dp(CTRL_STAT, 0x1000_0000)
    assert port.read_dp(CTRL_STAT) >> 28 == 0x3


def test_access_port_needs_the_debug_domain_powered() -> None:
    port = connect(M4, Ram())
    port.write_dp(CTRL_STAT, 0)
    assert not port.connected
    with pytest.raises(LinkFaultError):
        port.read_ap(CSW)


@pytest.mark.parametrize(("mcu", "idr"), [(M4, 0x2477_0011), (M7, 0x7477_0001)])
def test_only_access_port_0_exists(mcu: str, idr: int) -> None:
    port = connect(mcu, Ram())
    port.write_dp(SELECT, 0x0000_00F0)
    assert port.read_ap(0xC) == [idr]
    assert port.read_ap(0x8)[0] & 3 == 3  # a ROM table is present
    for other in (1, 2, 255):
        port.write_dp(SELECT, other << 24 | 0xF0)
        assert port.read_ap(0xC) == [0]


@pytest.mark.parametrize(("mcu", "wrap"), [(M4, 0x1000), (M7, 0x400)])
def test_address_counts_up_inside_its_block_only(mcu: str, wrap: int) -> None:
    ram = Ram()
    port = connect(mcu, ram)
    transfer(port, RAM_BASE + wrap - 8, 0x12)
    port.write_ap(DRW, [1, 2, 3])
    assert ram.read(RAM_BASE + wrap - 4, 4) == 2
    assert ram.read(RAM_BASE, 4) == 3
    assert ram.read(RAM_BASE + wrap, 4) == 0
    assert port.read_ap(TAR) == [RAM_BASE + 4]


def test_address_stays_without_increment() -> None:
    ram = Ram()
    port = connect(M4, ram)
    transfer(port, RAM_BASE, 0x02)
    port.write_ap(DRW, [1, 2])
    assert ram.read(RAM_BASE, 4) == 2
    assert port.read_ap(TAR) == [RAM_BASE]


@given(
    offset=st.integers(0, 60),
    size=st.sampled_from([0, 1, 2]),
    word=st.integers(0, 0xFFFF_FFFF),
)
def test_narrow_transfers_use_the_byte_lanes_of_their_address(
    offset: int, size: int, word: int
) -> None:
    ram = Ram()
    count = 1 << size
    address = (RAM_BASE + offset) & ~(count - 1)
    port = connect(M4, ram)
    transfer(port, address, 0x10 | size)
    port.write_ap(DRW, [word])
    lane = word >> 8 * (address & 3) & (1 << 8 * count) - 1
    assert ram.read(address, count) == lane
    assert sum(ram.data) == sum(lane.to_bytes(count, "little"))
    port.write_ap(TAR, [address])
    assert port.read_ap(DRW) == [lane << 8 * (address & 3)]


def test_banked_data_registers_reach_the_16_bytes_around_tar() -> None:
    ram = Ram()
    port = connect(M7, ram)
    transfer(port, RAM_BASE + 0x24, 0x12)
    port.write_dp(SELECT, 0x10)
    port.write_ap(0xC, [0xABCD_0123])
    assert ram.read(RAM_BASE + 0x2C, 4) == 0xABCD_0123
    assert port.read_ap(0xC) == [0xABCD_0123]


def test_bus_fault_sticks_until_cleared_and_names_its_address() -> None:
    port = connect(M4, Ram())
    transfer(port, 0x6000_0000, 0x12)
    with pytest.raises(LinkFaultError) as raised:
        port.read_ap(DRW)
    assert raised.value.address == 0x6000_0000
    assert port.read_dp(CTRL_STAT) & STICKYERR
    for refused in (lambda: port.read_ap(CSW), lambda: port.read_dp(RDBUFF)):
        with pytest.raises(LinkFaultError):
            refused()
    with pytest.raises(LinkFaultError):
        port.write_dp(SELECT, 0)
    port.write_dp(0x0, 0x1E)  # ABORT
    assert not port.read_dp(CTRL_STAT) & STICKYERR
    assert port.read_ap(TAR) == [0x6000_0000]


def test_abort_clears_only_what_it_names() -> None:
    port = connect(M4, Ram())
    transfer(port, 0, 0x12)
    with pytest.raises(LinkFaultError):
        port.write_ap(DRW, [0])
    port.write_dp(0x0, 0x1A)  # all but STKERRCLR
    assert port.read_dp(CTRL_STAT) & STICKYERR


def test_read_buffer_repeats_the_last_access_port_read() -> None:
    ram = Ram()
    ram.write(RAM_BASE + 4, 4, 77)
    port = connect(M4, ram)
    transfer(port, RAM_BASE, 0x12)
    assert port.read_ap(DRW, 2) == [0, 77]
    assert port.read_dp(RDBUFF) == 77


@given(st.integers(0, 0xFFFF_FFFF))
def test_csw_never_reads_back_what_the_port_cannot_do(value: int) -> None:
    port = connect(M4, Ram())
    port.write_ap(CSW, [value])
    csw = port.read_ap(CSW)[0]
    assert csw & 0x40  # DeviceEn
    assert csw & 7 <= 2
    assert csw & 0x30 in (0, 0x10)


def test_power_on_reset_forgets_the_connection() -> None:
    port = connect(M4, Ram())
    port.power_on_reset()
    with pytest.raises(NoAcknowledgeError):
        port.read_dp(DPIDR)
