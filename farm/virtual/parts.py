"""What the virtual board knows of each microcontroller, from parts/<name>.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from farm.shipped_tables import load_table


@dataclass(frozen=True)
class Ram:
    """A plain memory, seen at `base` and at each alias.

    `bus` is the core's way there: "tcm", "ahb" or "axi", of which the last two go through the
    data cache where there is one. `wait_states` are in cycles of that bus.
    """

    name: str
    base: int
    bytes: int
    bus: str
    wait_states: int
    aliases: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sector:
    """What one erase clears; `offset` from the start of flash."""

    offset: int
    bytes: int


@dataclass(frozen=True)
class Accelerator:
    """ST's cache between flash and core; `data_lines` 0: data shares the lines of code."""

    code_lines: int
    data_lines: int
    line_bytes: int


@dataclass(frozen=True)
class Clock:
    """The enable bit of a peripheral: register offset in RCC and bit."""

    offset: int
    bit: int


@dataclass(frozen=True)
class Registers:
    """A peripheral that only remembers what is written to it."""

    name: str
    base: int
    clock: Clock | None


@dataclass(frozen=True)
class Usart:
    """The console UART; style "old" is SR/DR (F4), "new" is ISR/RDR/TDR (the others).

    Its kernel clock is chosen by the two bits at `source_shift` of the RCC register at offset
    `source` (None: always the bus clock `bus`). `scale` divides that clock to give BRR: 256
    where the UART is an LPUART. `supply` is the PWR register and bit that power its pins.
    """

    base: int
    style: str
    irq: int
    clock: Clock
    bus: str  # pclk1 or pclk2
    source: int | None = None
    source_shift: int = 0
    scale: int = 1
    supply: Clock | None = None


@dataclass(frozen=True)
class Limits:
    """The highest core clock in one power state, and of the flash's clock by wait states."""

    core_hz: int
    flash_hz: tuple[int, ...]


@dataclass(frozen=True)
class ClockTree:
    """Oscillators, PLL limits and what each power state allows; frequencies in Hz."""

    family: str
    internal_hz: int  # HSI
    external_hz: int  # HSE, as the board has it
    external_bypass: bool  # it is a signal, not a crystal
    pll_input_hz: tuple[int, int]
    vco_hz: tuple[int, int]
    limits: Mapping[str, Limits]
    rcc_reset: Mapping[int, int]
    power_reset: Mapping[int, int]


@dataclass(frozen=True)
class Part:
    """One microcontroller. Fields that are not explained are register values."""

    name: str
    core: str
    timing_model: str
    cpuid: int
    mvfr: tuple[int, int, int]
    irq_count: int
    mpu_type: int
    breakpoint_revision: int
    code_breakpoints: int
    literal_breakpoints: int
    dwt_lock: bool  # CYCCNT needs the key in DWT.LAR first
    caches: Mapping[str, int]
    dpidr: int
    ap_idr: int
    rom_table: int  # address of the top ROM table
    dbgmcu: int  # address of the debug support block
    dbgmcu_idcode: int
    device_id: int
    boot_vector: int  # VTOR after reset
    flash_family: str  # which flash controller
    flash_row_bytes: int  # what one access to the array reads
    flash_base: int
    flash_aliases: tuple[int, ...]
    flash_buses: tuple[str, ...]  # the way to base and aliases: "accelerator" or "axi"
    accelerator: Accelerator | None
    sectors: tuple[Sector, ...]
    flash_reset: Mapping[int, int]  # offset in the controller: value after reset
    rams: tuple[Ram, ...]
    system_memory: Mapping[str, int]
    clock: ClockTree
    usart: Usart
    registers: tuple[Registers, ...]

    @cached_property
    def flash_bytes(self) -> int:
        """The size of flash."""
        return sum(s.bytes for s in self.sectors)


def part_names() -> tuple[str, ...]:
    """Every microcontroller that can be emulated."""
    return tuple(sorted(p.stem for p in _folder().glob("*.yaml")))


@lru_cache
def load_part(name: str) -> Part:
    """The part called `name`, such as "stm32f412zg". ValueError when there is none."""
    if name not in part_names():
        known = ", ".join(part_names())
        raise ValueError(f"No virtual board for the microcontroller {name!r}; there are: {known}.")
    return _part(name, load_table(_folder() / f"{name}.yaml"))


def _folder() -> Path:
    return Path(__file__).parent / "parts"


def _part(name: str, facts: dict[str, Any]) -> Part:
    flash, port, usart = facts["flash"], facts["debug_port"], facts["usart"]
    breakpoints = facts["breakpoints"]
    kept = ("core", "timing_model", "cpuid", "irq_count", "mpu_type", "dwt_lock", "caches")
    also = ("dbgmcu", "dbgmcu_idcode", "device_id", "boot_vector", "system_memory")
    return Part(
        name=name,
        mvfr=tuple(facts["mvfr"]),
        breakpoint_revision=breakpoints["revision"],
        code_breakpoints=breakpoints["code"],
        literal_breakpoints=breakpoints["literal"],
        dpidr=port["dpidr"],
        ap_idr=port["ap_idr"],
        rom_table=port["rom_table"],
        flash_family=flash["family"],
        flash_row_bytes=flash["row_bytes"],
        flash_base=flash["base"],
        flash_aliases=tuple(flash["aliases"]),
        flash_buses=tuple(flash["buses"]),
        accelerator=Accelerator(**flash["accelerator"]) if "accelerator" in flash else None,
        sectors=_sectors(flash["sectors"]),
        flash_reset=flash["reset"],
        rams=tuple(
            Ram(**{**ram, "aliases": tuple(ram.get("aliases", ()))}) for ram in facts["rams"]
        ),
        clock=_clock_tree(facts["clock"]),
        usart=_usart(usart),
        registers=tuple(_registers(key, value) for key, value in facts["registers"].items()),
        **{key: facts[key] for key in kept + also},
    )


def _sectors(runs: list[list[int]]) -> tuple[Sector, ...]:
    sectors: list[Sector] = []
    offset = 0
    for count, size in runs:
        for _ in range(count):
            sectors.append(Sector(offset, size))
            offset += size
    return tuple(sectors)


def _clock_tree(facts: dict[str, Any]) -> ClockTree:
    limits = {
        state: Limits(_mhz(given["core_mhz"]), tuple(_mhz(f) for f in given["flash_mhz"]))
        for state, given in facts["limits"].items()
    }
    return ClockTree(
        family=facts["family"],
        internal_hz=_mhz(facts["internal_mhz"]),
        external_hz=_mhz(facts["external_mhz"]),
        external_bypass=facts["external_bypass"],
        pll_input_hz=(_mhz(facts["pll_input_mhz"][0]), _mhz(facts["pll_input_mhz"][1])),
        vco_hz=(_mhz(facts["vco_mhz"][0]), _mhz(facts["vco_mhz"][1])),
        limits=limits,
        rcc_reset=facts["rcc_reset"],
        power_reset=facts["power_reset"],
    )


def _usart(facts: dict[str, Any]) -> Usart:
    supply = Clock(*facts["supply"]) if "supply" in facts else None
    return Usart(**{**facts, "clock": Clock(*facts["clock"]), "supply": supply})


def _mhz(value: float) -> int:
    return round(value * 1_000_000)


def _registers(name: str, facts: dict[str, Any]) -> Registers:
    clock = Clock(*facts["clock"]) if "clock" in facts else None
    return Registers(name, facts["base"], clock)
