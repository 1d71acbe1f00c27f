"""The debug port of a virtual board: an SW-DP with one AHB-AP, as pyOCD drives them.

Register layout and behaviour after the Arm Debug Interface, ADIv5.2 (IHI 0031). Ids as read from
the real parts. Access port 0 is the only one; every other one answers IDR 0, which ends a scan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Protocol

from farm.virtual.bus import BusFault
from farm.virtual.parts import Part

DPIDR, ABORT = 0x0, 0x0
CTRL_STAT = 0x4
SELECT, RESEND = 0x8, 0x8
RDBUFF = 0xC

STICKYERR = 1 << 5
READOK = 1 << 6
WDATAERR = 1 << 7
_STICKY = 1 << 1 | 1 << 4 | STICKYERR | WDATAERR
_CDBGPWRUPREQ = 1 << 28
_CSYSPWRUPREQ = 1 << 30
_REQUESTS = _CDBGPWRUPREQ | _CSYSPWRUPREQ | 1 << 26  # each is acknowledged one bit above
_CTRL_WRITABLE = _REQUESTS | 0x00FF_FF0D  # TRNCNT, MASKLANE, TRNMODE, ORUNDETECT

CSW, TAR, DRW, BD0, BD3 = 0x00, 0x04, 0x0C, 0x10, 0x1C
CFG, BASE, IDR = 0xF4, 0xF8, 0xFC
_CSW_DEVICE_ENABLED = 1 << 6

_JTAG_TO_SWD = 0xE79E  # ADIv5.2 section 5.2.1, sent least significant bit first
_LINE_RESET_BITS = 50


class Bus(Protocol):
    """What the access port sees: memories, peripherals and the private peripheral bus."""

    def read(self, addr: int, size: int) -> int:
        """The value at `addr`, `size` 1, 2 or 4 bytes; BusFault where nothing answers."""
        ...

    def write(self, addr: int, size: int, value: int) -> None:
        """Store `value` at `addr`; BusFault where nothing answers."""
        ...


class LinkFaultError(Exception):
    """The debug port answered FAULT; `address` is the memory address, if there is one."""

    def __init__(self, address: int | None = None) -> None:
        super().__init__("the debug port answered FAULT")
        self.address = address


class NoAcknowledgeError(Exception):
    """Nobody answered on the wire: the line is not in SWD, or was not read out of line reset."""


@dataclass(frozen=True)
class DebugIds:
    """What tells one core's debug port from another's."""

    dpidr: int
    ap_idr: int
    rom_base: int  # the AP's BASE register, format and present bits included
    csw_reset: int
    csw_writable: int
    wrap_bytes: int  # TAR counts up inside blocks of this size only


# csw_reset, csw_writable, wrap_bytes. The M4's AHB-AP counts within 4 KiB, the M7's within 1 KiB:
# pyOCD tells them apart by their IDR and cuts its blocks to match.
_ACCESS_PORTS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        "cortex-m4": (0x2300_0042, 0x2200_0037, 0x1000),
        "cortex-m7": (0x0B00_0042, 0x0F00_0037, 0x400),
    }
)


def ids_of(part: Part) -> DebugIds:
    """The ids of a microcontroller's debug port."""
    return DebugIds(part.dpidr, part.ap_idr, part.rom_table | 3, *_ACCESS_PORTS[part.core])


class MemAp:
    """The AHB-AP: a window of a few registers onto the memory bus."""

    def __init__(self, ids: DebugIds, bus: Bus) -> None:
        self._ids = ids
        self._bus = bus
        self.csw = ids.csw_reset
        self.tar = 0

    def read(self, register: int) -> int:
        """A register's value; DRW and BD0 to BD3 read memory and may raise BusFault."""
        if register == DRW:
            return self._transfer_read()
        if BD0 <= register <= BD3:
            return self._bus.read(self.tar & ~0xF | register & 0xC, 4)
        fixed = {CSW: self.csw, TAR: self.tar, BASE: self._ids.rom_base, IDR: self._ids.ap_idr}
        return fixed.get(register, 0)

    def write(self, register: int, value: int) -> None:
        """Set a register; DRW and BD0 to BD3 write memory and may raise BusFault."""
        if register == CSW:
            self._write_csw(value)
        elif register == TAR:
            self.tar = value
        elif register == DRW:
            self._transfer_write(value)
        elif BD0 <= register <= BD3:
            self._bus.write(self.tar & ~0xF | register & 0xC, 4, value)

    def _write_csw(self, value: int) -> None:
        kept = self._ids.csw_reset & ~self._ids.csw_writable
        csw = value & self._ids.csw_writable | kept | _CSW_DEVICE_ENABLED
        if csw & 0x7 > 2:  # no transfers wider than a word
            csw = csw & ~0x7 | 2
        if csw & 0x30 != 0x10:  # packed transfers read back as off: allowed, and nobody uses them
            csw &= ~0x30
        self.csw = csw

    def _transfer_read(self) -> int:
        size = 1 << (self.csw & 0x7)
        address = self.tar & ~(size - 1)
        value = self._bus.read(address, size) << 8 * (address & 3)
        self._advance(size)
        return value

    def _transfer_write(self, value: int) -> None:
        size = 1 << (self.csw & 0x7)
        address = self.tar & ~(size - 1)
        lane = value >> 8 * (address & 3) & (1 << 8 * size) - 1
        self._bus.write(address, size, lane)
        self._advance(size)

    def _advance(self, size: int) -> None:
        if self.csw & 0x30:
            within = self._ids.wrap_bytes - 1
            self.tar = self.tar & ~within | self.tar + size & within


class DebugPort:
    """The SW-DP: line state, power requests, sticky errors, and the way to the access port."""

    def __init__(self, ids: DebugIds, bus: Bus) -> None:
        self._ids = ids
        self._bus = bus
        self.power_on_reset()

    def power_on_reset(self) -> None:
        """Back to the state after power-up: JTAG on the wire, debug domain off."""
        self._line: Literal["jtag", "line-reset", "swd"] = "jtag"
        self._control = 0
        self._select = 0
        self._read_buffer = 0
        self._ap = MemAp(self._ids, self._bus)

    @property
    def connected(self) -> bool:
        """Whether memory can be reached: SWD on the wire and the debug domain powered."""
        return self._line == "swd" and bool(self._control & _CDBGPWRUPREQ)

    def swj_sequence(self, length: int, bits: int) -> None:
        """See `length` bits on the data line, least significant first."""
        if length == 16 and bits == _JTAG_TO_SWD:
            self._line = "line-reset"
        elif self._line != "jtag" and _longest_run_of_ones(length, bits) >= _LINE_RESET_BITS:
            self._line = "line-reset"
            self._select = 0

    def read_dp(self, address: int) -> int:
        """The register at 0x0, 0x4, 0x8 or 0xC; LinkFaultError, NoAcknowledgeError as on a wire."""
        self._acknowledge(reads_id=address == DPIDR)
        if address == DPIDR:
            return self._ids.dpidr
        if address == CTRL_STAT:
            return self._status() if self._select & 0xF == 0 else 0
        self._refuse_while_sticky()
        return self._read_buffer

    def write_dp(self, address: int, value: int) -> None:
        """Set a DP register; LinkFaultError or NoAcknowledgeError as on the wire."""
        self._acknowledge()
        if address == ABORT:
            self._abort(value)
            return
        self._refuse_while_sticky()
        if address == CTRL_STAT and self._select & 0xF == 0:
            self._control = value & _CTRL_WRITABLE | self._control & (_STICKY | READOK)
        elif address == SELECT:
            self._select = value

    def read_ap(self, address: int, count: int = 1) -> list[int]:
        """`count` reads of the AP register at A[3:2] = `address` in the selected bank."""
        register = self._reach_ap(address)
        values = [self._read_ap_once(register) for _ in range(count)]
        self._read_buffer = values[-1] if values else self._read_buffer
        return values

    def write_ap(self, address: int, values: Sequence[int]) -> None:
        """Write each of `values` to the AP register at A[3:2] = `address`."""
        register = self._reach_ap(address)
        for value in values:
            self._write_ap_once(register, value)

    def _read_ap_once(self, register: int) -> int:
        if self._select >> 24:
            return 0
        try:
            value = self._ap.read(register)
        except BusFault as fault:
            self._control = (self._control | STICKYERR) & ~READOK
            raise LinkFaultError(fault.address) from fault
        self._control |= READOK
        return value

    def _write_ap_once(self, register: int, value: int) -> None:
        if self._select >> 24:
            return
        try:
            self._ap.write(register, value)
        except BusFault as fault:
            self._control |= STICKYERR
            raise LinkFaultError(fault.address) from fault

    def _reach_ap(self, address: int) -> int:
        self._acknowledge()
        self._refuse_while_sticky()
        if not self._control & _CDBGPWRUPREQ:
            self._control |= STICKYERR
            raise LinkFaultError
        return self._select & 0xF0 | address & 0xC

    def _acknowledge(self, *, reads_id: bool = False) -> None:
        if self._line == "line-reset" and reads_id:
            self._line = "swd"
        if self._line != "swd":
            raise NoAcknowledgeError

    def _refuse_while_sticky(self) -> None:
        if self._control & _STICKY:
            raise LinkFaultError

    def _status(self) -> int:
        return self._control | (self._control & _REQUESTS) << 1

    def _abort(self, value: int) -> None:
        # Bit n + 1 of ABORT clears the n-th of these (ADIv5.2 B2.2.1).
        for bit, sticky in enumerate((1 << 4, STICKYERR, WDATAERR, 1 << 1)):
            if value >> bit + 1 & 1:
                self._control &= ~sticky


def _longest_run_of_ones(length: int, bits: int) -> int:
    runs = f"{bits & (1 << length) - 1:0{max(length, 1)}b}".split("0")
    return max(map(len, runs))
