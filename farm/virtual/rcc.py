"""Reset and clock control, power control: what all families have in common.

A family computes its clocks from its registers; this part gates the peripherals, and says when the
core outruns what its voltage or the flash's wait states allow.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from farm.virtual.hook import EdgeHook
from farm.virtual.pages import Page
from farm.virtual.parts import Part
from farm.virtual.reset_cause import Cause, ResetCause

Overrun = Literal["", "flash", "core"]


@dataclass(frozen=True)
class Clocks:
    """What runs how fast, in Hz; `flash` is what the wait states are counted in."""

    core: int
    flash: int
    pclk1: int
    pclk2: int
    system: int


class ClockControl(ABC):
    """RCC and PWR. `gated` are pages whose clock the enable registers switch.

    `wait_states()` tells what FLASH_ACR holds; `on_change()` is called when `overrun` changes.
    `internal_hz` and `external_hz` are what the oscillators really do.
    """

    enables: tuple[int, ...]  # offsets of the enable registers
    selector: tuple[int, int]  # the register and the position of SW; SWS lies above it
    selector_bits = 2

    def __init__(
        self,
        part: Part,
        hook: EdgeHook,
        rcc: int,
        power: Page,
        gated: Iterable[Page],
        wait_states: Callable[[], int],
        on_change: Callable[[], None],
    ) -> None:
        self.rcc, self.power = Page(rcc, hook), power
        self.tree = part.clock
        self.internal_hz, self.external_hz = part.clock.internal_hz, part.clock.external_hz
        self.pll_locks = True
        self.reset_by: Cause = "software"  # where the next reset comes from
        self.resets = ResetCause(part.clock.family)
        self.overrun: Overrun = ""
        self.on_update: Callable[[], None] = lambda: None  # clocks or wait states may have changed
        self.kept: dict[int, int] = {}  # registers of PWR that a system reset leaves alone
        self._usart = part.usart
        self._gated = (*gated, self.power)
        self._wait_states, self._on_change = wait_states, on_change
        for offset in self.enables:
            self.rcc.on_write(offset, self._write_enable)
        self.rcc.on_write(self.resets.register, self._write_flags)

    @property
    def pages(self) -> tuple[Page, ...]:
        """Every page of registers here."""
        return self.rcc, self.power

    def reset(self) -> None:
        """Registers as after a system reset: the internal oscillator, everything else off."""
        for page, values in self._reset_values():
            page.clear()
            for offset, value in values.items():
                page[offset] = value
        for offset, value in self.kept.items():
            self.power[offset] = value
        self.came_from(self.reset_by)
        self.reset_by = "software"
        self._gate()
        self.update()

    def came_from(self, cause: Cause) -> None:
        """Show where a reset came from."""
        self.resets.happened(cause)
        self._show_flags()

    def _reset_values(self) -> tuple[tuple[Page, Mapping[int, int]], ...]:
        return (self.rcc, self.tree.rcc_reset), (self.power, self.tree.power_reset)

    @abstractmethod
    def clocks(self) -> Clocks:
        """The clocks that the registers ask for now."""

    @abstractmethod
    def power_state(self) -> str:
        """Which of the part's limits hold now."""

    @abstractmethod
    def source_hz(self, number: int) -> int:
        """The frequency of the source with this number in SW; 0: it does not run."""

    def console_hz(self) -> int:
        """The kernel clock of the console UART: bus, system clock or internal oscillator."""
        clocks = self.clocks()
        bus = clocks.pclk1 if self._usart.bus == "pclk1" else clocks.pclk2
        if self._usart.source is None:
            return bus
        chosen = self.rcc[self._usart.source] >> self._usart.source_shift & 3
        return (bus, clocks.system, self.internal_hz, 32_768)[chosen]

    def update(self) -> None:
        """Look again whether the core outruns its limits."""
        limits, clocks = self.tree.limits[self.power_state()], self.clocks()
        allowed = limits.flash_hz[min(self._wait_states(), len(limits.flash_hz) - 1)]
        found: Overrun = "core" if clocks.core > limits.core_hz else ""
        found = found or ("flash" if clocks.flash > allowed else "")
        if found != self.overrun:
            self.overrun = found
            self._on_change()
        self.on_update()

    def pll_hz(self, source_hz: int, m: int, n: int) -> int:
        """The oscillator of a PLL; 0: it does not lock, as an input or output is out of range."""
        low, high = self.tree.pll_input_hz
        if not m or not self.pll_locks or not low <= source_hz / m <= high:
            return 0
        vco = source_hz * n // m
        low, high = self.tree.vco_hz
        return vco if low <= vco <= high else 0

    def external_runs(self, enabled: int, bypassed: int) -> bool:
        """Whether HSE gets ready: a crystal does not start when it is bypassed."""
        present = bool(self.external_hz)
        return bool(enabled) and present and (self.tree.external_bypass or not bypassed)

    def follow_switch(self, value: int) -> int:
        """A value for the register of SW: SWS follows when the source that it names runs."""
        offset, shift = self.selector
        mask = (1 << self.selector_bits) - 1
        wanted, at = value >> shift & mask, shift + self.selector_bits
        current = self.rcc[offset] >> at & mask
        chosen = wanted if self.source_hz(wanted) else current
        return value & ~(mask << at) | chosen << at

    def switched_to(self) -> int:
        """The number of the source in use."""
        offset, shift = self.selector
        return self.rcc[offset] >> shift + self.selector_bits & (1 << self.selector_bits) - 1

    def _show_flags(self) -> None:
        at = self.resets.register
        self.rcc[at] = self.resets.shown(self.rcc[at])

    def _write_flags(self, offset: int, value: int) -> None:
        self.rcc[offset] = self.resets.written(offset, value)

    def _write_low_speed(self, offset: int, value: int) -> None:
        """An oscillator of 32 kHz is ready at once."""
        self._write_flags(offset, value | 2 if value & 1 else value & ~2)

    def _write_enable(self, offset: int, value: int) -> None:
        self.rcc[offset] = value
        self._gate()

    def _gate(self) -> None:
        for page in self._gated:
            clock = page.clock
            page.state.clocked = self.rcc[clock.offset] >> clock.bit & 1 if clock else 1


def ahb_divider(code: int) -> int:
    """HPRE of every family: 0..7 no division, then 2, 4, 8, 16, 64, 128, 256, 512."""
    return 1 if code < 8 else (2, 4, 8, 16, 64, 128, 256, 512)[code & 7]


def apb_divider(code: int) -> int:
    """PPRE of every family: 0..3 no division, then 2, 4, 8, 16."""
    return 1 if code < 4 else 2 << (code & 3)
