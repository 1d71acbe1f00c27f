"""The private peripheral bus as 4 KiB components."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from farm.virtual.bus import Bus
from farm.virtual.debug_parts import (
    GENERIC_CLASS,
    BreakpointUnit,
    component_id,
    rom_tables,
)
from farm.virtual.dwt import Dwt
from farm.virtual.parts import Part
from farm.virtual.scs import SystemControl

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
