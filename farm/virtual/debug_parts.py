"""What a debugger finds beside the core: ROM tables, component ids, breakpoint unit."""

from __future__ import annotations

from collections.abc import Callable

from farm.virtual.parts import Part

ARM, _ST = 0x43B, 0x020  # JEP106 designers, with the continuation code in bits 11:8
ROM_CLASS, DEBUG_CLASS, GENERIC_CLASS = 0x1, 0x9, 0xE


def component_id(offset: int, part: int, designer: int, kind: int) -> int:
    """The PIDR and CIDR registers at 0xFD0..0xFFF of a CoreSight component."""
    identity, continuation = designer & 0x7F, designer >> 8 & 0xF
    values = {
        0xFD0: continuation,
        0xFE0: part & 0xFF,
        0xFE4: part >> 8 | (identity & 0xF) << 4,
        0xFE8: identity >> 4 | 0x8,
        0xFF0: 0x0D,
        0xFF4: kind << 4,
        0xFF8: 0x05,
        0xFFC: 0xB1,
    }
    return values.get(offset, 0)


def rom_tables(part: Part) -> dict[int, Callable[[int], int]]:
    """Readers of the ROM tables by their base address."""
    last = 0xE00FF000
    standard = (0xE000E000, 0xE0001000, 0xE0002000, 0xE0000000)
    if part.core == "cortex-m4":
        return {last: _rom(last, standard, part.device_id, _ST)}
    middle, top = 0xE00FE000, part.rom_table
    processor = _rom(last, standard, 0x4C7, ARM)
    if top == middle:  # an H7 has two levels, the others three
        return {top: _rom(top, (last,), part.device_id, _ST), last: processor}
    return {
        top: _rom(top, (middle,), part.device_id, _ST),
        middle: _rom(middle, (last,), 0x4C8, ARM),
        last: processor,
    }


def _rom(
    base: int, components: tuple[int, ...], number: int, designer: int
) -> Callable[[int], int]:
    entries = [(address - base & 0xFFFFF000) | 3 for address in components]

    def read(offset: int) -> int:
        if offset >= 0xFD0:
            return component_id(offset, number, designer, ROM_CLASS)
        if offset == 0xFCC:
            return 1  # system memory is on this bus
        return entries[offset // 4] if offset // 4 < len(entries) else 0

    return read


class BreakpointUnit:
    """FPB: revision 1 (code region, word plus half select) or 2 (any halfword)."""

    CTRL, REMAP, COMPARATORS = 0x000, 0x004, 0x008

    def __init__(self, part: Part, on_change: Callable[[], None]) -> None:
        self._part, self._on_change = part, on_change
        self.power_up()

    def power_up(self) -> None:
        """No breakpoints."""
        self.enabled = False
        self._values = [0] * (self._part.code_breakpoints + self._part.literal_breakpoints)

    def read(self, offset: int) -> int:
        """A register."""
        index = (offset - self.COMPARATORS) // 4
        if offset == self.CTRL:
            revision = self._part.breakpoint_revision - 1
            counts = self._part.literal_breakpoints << 8 | self._part.code_breakpoints << 4
            return revision << 28 | counts | int(self.enabled)
        if offset >= 0xFD0:
            number = 0x003 if self._part.breakpoint_revision == 1 else 0x00E
            return component_id(offset, number, ARM, GENERIC_CLASS)
        return self._values[index] if 0 <= index < len(self._values) else 0

    def write(self, offset: int, value: int) -> None:
        """A register; FP_CTRL takes a write only with its KEY bit."""
        index = (offset - self.COMPARATORS) // 4
        if offset == self.CTRL and value & 2:
            self.enabled = bool(value & 1)
        elif 0 <= index < len(self._values):
            self._values[index] = value
        self._on_change()

    def addresses(self) -> set[int]:
        """The instruction addresses that break."""
        if not self.enabled:
            return set()
        code = [v for v in self._values[: self._part.code_breakpoints] if v & 1]
        if self._part.breakpoint_revision == 2:
            return {v & ~1 for v in code}
        halves = ((v & 0x1FFFFFFC, v >> 30) for v in code)
        return {
            base + half for base, select in halves for half in (0, 2) if select >> half // 2 & 1
        }
