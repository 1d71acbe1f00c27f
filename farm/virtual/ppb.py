"""The private peripheral bus as 4 KiB components."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from farm.virtual.bus import Bus
from farm.virtual.core import Core
from farm.virtual.debug_parts import (
    GENERIC_CLASS,
    BreakpointUnit,
    component_id,
    rom_tables,
)
from farm.virtual.dwt import Dwt
from farm.virtual.execution import Stop
from farm.virtual.fence import LOAD, STORE, Range
from farm.virtual.parts import Part
from farm.virtual.protection import Protection
from farm.virtual.scs import CCR, USERSETMPEND, SystemControl

_TRIGGER = 0xE000EF00  # STIR
ITM, DWT, FPB, SCS = 0xE0000000, 0xE0001000, 0xE0002000, 0xE000E000


@dataclass(frozen=True)
class WordDevice:
    """A component whose registers are read and written as words."""

    load: Callable[[int], int]
    save: Callable[[int, int, bool], None]  # (offset, value, debugger)

    def read(self, offset: int, size: int, debugger: bool) -> int:
        """Part of a register, the same for firmware and debugger."""
        del debugger
        return self.load(offset & ~3) >> 8 * (offset & 3) & ((1 << 8 * size) - 1)

    def write(self, offset: int, size: int, value: int, debugger: bool) -> None:
        """A register; smaller writes are ignored."""
        if size == 4:
            self.save(offset, value & 0xFFFFFFFF, debugger)


def _ignore(_offset: int, _value: int, _debugger: bool) -> None:
    """Read-only registers."""


def add_components(bus: Bus, part: Part, scs: SystemControl, dwt: Dwt, fpb: BreakpointUnit) -> None:
    """Put the components of a Cortex-M and its ROM tables on the bus."""
    bus.add_device(SCS, scs)
    bus.add_device(DWT, WordDevice(dwt.read, dwt.write))
    bus.add_device(FPB, WordDevice(fpb.read, lambda offset, value, _d: fpb.write(offset, value)))
    bus.add_device(ITM, WordDevice(_trace, _ignore))
    for base, read in rom_tables(part).items():
        bus.add_device(base, WordDevice(read, _ignore))


def _trace(offset: int) -> int:
    """The ITM: its ports are always ready and lead nowhere."""
    return component_id(offset, 0x001, 0x43B, GENERIC_CLASS) if offset >= 0xFD0 else 1


class PrivateBus:
    """Keeps code without privilege away from the private peripheral bus: a bus fault.

    STIR is open to it with CCR.USERSETMPEND (DDI 0403E, section B3.2.1), and the ITM, whose ports
    lead nowhere, always. Nothing costs anything before the first such code runs.
    """

    def __init__(self, core: Core, scs: SystemControl, protection: Protection) -> None:
        self._core, self._scs, self._protection = core, scs, protection

    def ranges(self) -> list[Range]:
        """Where it wants to be asked."""
        if not self._protection.unprivileged:
            return []
        return [(DWT, ITM + 0xFFFFF, LOAD | STORE)]

    def judge(self, address: int, size: int, access: int, value: int | None) -> Stop | None:
        """What an access leads to."""
        del size, value
        if address < DWT or address > ITM + 0xFFFFF or self._core.privileged:
            return None
        open_ = access == STORE and address == _TRIGGER
        return None if open_ and self._scs.values[CCR] & USERSETMPEND else Stop.BUS
