"""The memory protection unit of Armv7-M (PMSAv7): regions, and what they allow.

Registers and rules after the Armv7-M Architecture Reference Manual (DDI 0403E), section B3.5.
Memory types and cache attributes only count for timing (`memory_costs.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from farm.virtual.bus import BusFaultError

TYPE, CTRL, RNR, RBAR, RASR, LAST = 0xD90, 0xD94, 0xD98, 0xD9C, 0xDA0, 0xDB8
ENABLE, HFNMIENA, PRIVDEFENA = 1, 2, 4
READ, WRITE, EXECUTE = 1, 2, 4
_DATA = READ | WRITE
_SPACE = 1 << 32
_PPB = (0xE0000000, 0xE0100000)  # always the default map (B3.5.1)
# By RASR.AP: what privileged and unprivileged code may do (table B3-15).
_PRIVILEGED = (0, _DATA, _DATA, _DATA, 0, READ, READ, READ)
_UNPRIVILEGED = (0, 0, READ, _DATA, 0, 0, READ, READ)
# Where the default map forbids execution (table B3-1).
_NEVER_EXECUTED = ((0x40000000, 0x60000000), (0xA0000000, _SPACE))
_LARGE = 7  # SIZE from which on sub-regions exist: 256 bytes


class ProtectionFaultError(BusFaultError):
    """An access that the memory protection unit forbids."""


@dataclass(frozen=True)
class Span:
    """Addresses from `first` up to and without `end`, and what both levels may do there."""

    first: int
    end: int
    privileged: int
    unprivileged: int


@dataclass(frozen=True)
class Region:
    """One enabled region; `disabled` are the bits of its sub-regions."""

    base: int
    size: int
    disabled: int
    privileged: int
    unprivileged: int

    def holds(self, address: int) -> bool:
        """Whether the region speaks for this address."""
        inside = address - self.base
        return 0 <= inside < self.size and not self.disabled >> inside * 8 // self.size & 1

    def edges(self) -> range:
        """The addresses at which it may begin or stop to speak."""
        step = self.size // 8 if self.disabled else self.size
        return range(self.base, self.base + self.size + 1, step)


def _region(base: int, attributes: int) -> Region | None:
    exponent = attributes >> 1 & 31
    if not attributes & 1 or exponent < 4:
        return None
    size = 2 << exponent
    runs = 0 if attributes >> 28 & 1 else EXECUTE
    access = attributes >> 24 & 7
    levels = (a | (runs if a & READ else 0) for a in (_PRIVILEGED[access], _UNPRIVILEGED[access]))
    disabled = attributes >> 8 & 0xFF if exponent >= _LARGE else 0
    return Region(base & -size & 0xFFFFFFFF, size, disabled, *levels)


@lru_cache(maxsize=64)
def spans(control: int, registers: tuple[tuple[int, int], ...]) -> tuple[Span, ...]:
    """The whole address space, for an enabled unit with these (RBAR, RASR)."""
    regions = [r for r in (_region(*pair) for pair in registers) if r]
    edges = {0, _SPACE, *_PPB, *(edge for pair in _NEVER_EXECUTED for edge in pair)}
    edges.update(edge for region in regions for edge in region.edges() if edge <= _SPACE)
    return tuple(
        Span(first, end, *_allowed(first, control, regions))
        for first, end in pairwise(sorted(edges))
    )


def _allowed(address: int, control: int, regions: list[Region]) -> tuple[int, int]:
    default = _DATA | EXECUTE
    if any(first <= address < end for first, end in _NEVER_EXECUTED):
        default = _DATA
    if _PPB[0] <= address < _PPB[1]:
        return default, default
    system = 0 if address >= _PPB[1] else EXECUTE  # never executed, whatever a region says
    for region in reversed(regions):
        if region.holds(address):
            mask = _DATA | system
            return region.privileged & mask, region.unprivileged & mask
    return (default if control & PRIVDEFENA else 0), 0


class Mpu:
    """The registers, by their offset in the system control space; `on_change()` after a write."""

    def __init__(self, mpu_type: int, on_change: Callable[[], None]) -> None:
        self._type, self._on_change = mpu_type, on_change
        self._count = mpu_type >> 8 & 0xFF
        self.reset()

    def reset(self) -> None:
        """Off. The regions are unknown after reset on silicon; here they are 0."""
        self.control = self._number = 0
        self._regions = [(0, 0)] * self._count

    @property
    def enabled(self) -> bool:
        """Whether it checks anything."""
        return bool(self.control & ENABLE)

    @property
    def spans(self) -> tuple[Span, ...]:
        """The address space as it is protected now."""
        return spans(self.control, tuple(self._regions))

    def allows(self, address: int, access: int, privileged: bool) -> bool:
        """Whether a byte may be accessed; for an enabled unit."""
        span = next(s for s in self.spans if s.first <= address & 0xFFFFFFFF < s.end)
        return bool((span.privileged if privileged else span.unprivileged) & access)

    def attributes(self, address: int) -> int | None:
        """RASR of the region that speaks for an address; None: the default map does."""
        for pair in reversed(self._regions if self.enabled else []):
            region = _region(*pair)
            if region and region.holds(address):
                return pair[1]
        return None

    def read(self, offset: int) -> int:
        """A register."""
        if offset in (TYPE, CTRL, RNR):
            return {TYPE: self._type, CTRL: self.control, RNR: self._number}[offset]
        if not self._count:
            return 0
        base, attributes = self._regions[self._number]
        return attributes if (offset - RBAR) % 8 else base & -32 | self._number

    def write(self, offset: int, value: int) -> None:
        """A register, or an alias of RBAR and RASR."""
        if not self._count or offset == TYPE:
            return
        if offset == CTRL:
            self.control = value & 7
        elif offset == RNR:
            self._number = value & 0xFF if value & 0xFF < self._count else self._number
        elif (offset - RBAR) % 8:
            self._regions[self._number] = (self._regions[self._number][0], value & 0x173FFF3F)
        else:
            if value & 16 and value & 15 < self._count:
                self._number = value & 15
            self._regions[self._number] = (value & -32, self._regions[self._number][1])
        self._on_change()
