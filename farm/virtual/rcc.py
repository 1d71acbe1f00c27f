"""Clock and power control of STM32F4 and F7: ready bits that follow, clock gates that count."""

from __future__ import annotations

from collections.abc import Iterable

from farm.virtual.hook import EdgeHook
from farm.virtual.pages import Page
from farm.virtual.parts import Clock, Part

RCC_BASE, PWR_BASE = 0x40023800, 0x40007000
CR, PLLCFGR, CFGR, BDCR, CSR = 0x00, 0x04, 0x08, 0x70, 0x74
_ENABLES = (0x30, 0x34, 0x38, 0x40, 0x44)
_OSCILLATORS = (0, 16, 24, 26, 28)  # HSION, HSEON, PLLON, PLLI2SON, PLLSAION; ready is the next bit
HSERDY, PLLON, PLLRDY = 1 << 17, 1 << 24, 1 << 25
PWR_CR, PWR_CSR = 0x00, 0x04
VOSRDY, ODEN, ODRDY, ODSWEN, ODSWRDY = 1 << 14, 1 << 16, 1 << 16, 1 << 17, 1 << 17
_PWREN = Clock(0x40, 28)
_HSI_READY = {0: 1 << 1, 1: HSERDY, 2: PLLRDY}


class ClockControl:
    """RCC and PWR. `gated` are pages whose clock the enable registers switch."""

    def __init__(self, part: Part, hook: EdgeHook, gated: Iterable[Page]) -> None:
        self.rcc = Page(RCC_BASE, hook)
        self.power = Page(PWR_BASE, hook, _PWREN)
        self._part = part
        self._gated = (*gated, self.power)
        self.rcc.on_write(CR, self._write_cr)
        self.rcc.on_write(PLLCFGR, self._write_pll)
        self.rcc.on_write(CFGR, self._write_cfgr)
        for offset in (BDCR, CSR):
            self.rcc.on_write(offset, self._write_low_speed)
        for offset in _ENABLES:
            self.rcc.on_write(offset, self._write_enable)
        self.power.on_write(PWR_CR, self._write_power)
        self.reset()

    def reset(self) -> None:
        """Registers as after a system reset: the internal oscillator, everything else off."""
        self.rcc.clear()
        self.power.clear()
        for offset, value in self._part.rcc_reset.items():
            self.rcc[offset] = value
        self.power[PWR_CR] = self._part.power_reset
        self._gate()

    def _write_cr(self, _offset: int, value: int) -> None:
        for bit in _OSCILLATORS:
            ready = 1 << bit + 1
            value = value | ready if value >> bit & 1 else value & ~ready
        self.rcc[CR] = value
        self._follow_power()

    def _write_pll(self, _offset: int, value: int) -> None:
        """The PLL takes a new setting only while it is off (RM0090, 6.3.2)."""
        if not self.rcc[CR] & PLLON:
            self.rcc[PLLCFGR] = value

    def _write_cfgr(self, _offset: int, value: int) -> None:
        """SWS follows SW when the source it names is running."""
        running = self.rcc[CR] & _HSI_READY.get(value & 3, 0)
        selected = value & 3 if running else self.rcc[CFGR] >> 2 & 3
        self.rcc[CFGR] = value & ~0xC | selected << 2

    def _write_low_speed(self, offset: int, value: int) -> None:
        self.rcc[offset] = value | 2 if value & 1 else value & ~2

    def _write_enable(self, offset: int, value: int) -> None:
        self.rcc[offset] = value
        self._gate()

    def _gate(self) -> None:
        for page in self._gated:
            clock = page.clock
            page.state.clocked = self.rcc[clock.offset] >> clock.bit & 1 if clock else 1

    def _write_power(self, _offset: int, value: int) -> None:
        self.power[PWR_CR] = value
        self._follow_power()

    def _follow_power(self) -> None:
        """The regulator's scale is ready once the PLL runs; over-drive when asked (F7)."""
        status = VOSRDY if self.rcc[CR] & PLLON else 0
        if self._part.overdrive:
            control = self.power[PWR_CR]
            status |= control & ODEN
            status |= control & ODSWEN if control & ODEN else 0
        self.power[PWR_CSR] = status
