"""Where the last resets came from, as the flags of RCC tell the firmware.

Flags gather from reset to reset until firmware removes them (RMVF) or the supply comes back.
Every reset pulls the NRST pin, so PINRSTF is always among them. RM0090 and RM0432, RCC_CSR;
RM0433, RCC_RSR and its table of reset sources. Unverified: which flags a brown-out alone leaves,
and that RMVF reads as 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Cause = Literal["power-on", "brown-out", "pin", "software"]
_CAUSES: tuple[Cause, ...] = get_args(Cause)
_POWER: tuple[Cause, ...] = ("power-on", "brown-out")


@dataclass(frozen=True)
class Flags:
    """Where a family keeps them: offset in RCC, the bit that removes them, all, and by cause."""

    register: int
    remove: int
    every: int
    by: Mapping[Cause, int]


def _flags(register: int, remove: int, every: int, by: tuple[int, int, int, int]) -> Flags:
    return Flags(register, remove, every, dict(zip(_CAUSES, by, strict=True)))


FAMILIES: Mapping[str, Flags] = {
    "f4": _flags(0x74, 1 << 24, 0xFE00_0000, (0x0E00_0000, 0x0600_0000, 0x0400_0000, 0x1400_0000)),
    # Power-on and brown-out share BORRSTF: the part cannot tell them apart.
    "l4": _flags(0x94, 1 << 23, 0xFF00_0000, (0x0C00_0000, 0x0C00_0000, 0x0400_0000, 0x1400_0000)),
    # With CPURSTF, and from power-on D1RSTF and D2RSTF.
    "h7": _flags(0xD0, 1 << 16, 0xFFFE_0000, (0x00FA_0000, 0x0062_0000, 0x0042_0000, 0x0142_0000)),
}


class ResetCause:
    """The flags of one part; `family` is that of its clock tree."""

    def __init__(self, family: str) -> None:
        self._facts = FAMILIES[family]
        self.register = self._facts.register
        self._flags = 0

    def happened(self, cause: Cause) -> None:
        """There was a reset; one of the supply clears what was there before."""
        kept = 0 if cause in _POWER else self._flags
        self._flags = kept | self._facts.by[cause]

    def shown(self, value: int) -> int:
        """The register's value with the flags in it."""
        return value & ~(self._facts.every | self._facts.remove) | self._flags

    def written(self, offset: int, value: int) -> int:
        """What a write to a register of RCC leaves there: flags are only removed."""
        if offset != self.register:
            return value
        if value & self._facts.remove:
            self._flags = 0
        return self.shown(value)
