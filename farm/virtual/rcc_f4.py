"""Clock and power control of STM32F4 and F7 by ST's CMSIS device headers and HAL."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from farm.virtual.hook import EdgeHook
from farm.virtual.pages import Page
from farm.virtual.parts import Clock, Part
from farm.virtual.rcc import ClockControl, Clocks, ahb_divider, apb_divider

RCC_BASE, PWR_BASE = 0x40023800, 0x40007000
CR, PLLCFGR, CFGR, BDCR, CSR = 0x00, 0x04, 0x08, 0x70, 0x74
_OTHERS = (0, 26, 28)  # HSION, PLLI2SON, PLLSAION; ready is the next bit
HSEON, HSERDY, HSEBYP, PLLON, PLLRDY = 1 << 16, 1 << 17, 1 << 18, 1 << 24, 1 << 25
_PLL_FROM_HSE = 1 << 22
PWR_CR, PWR_CSR = 0x00, 0x04
_VOS = 3 << 14
VOSRDY, ODEN, ODRDY, ODSWEN, ODSWRDY = 1 << 14, 1 << 16, 1 << 16, 1 << 17, 1 << 17
_PWREN = Clock(0x40, 28)


class F4Clocks(ClockControl):
    """Scales of the regulator are `vos1` to `vos3`, with `+od` while in over-drive (F7)."""

    enables = (0x30, 0x34, 0x38, 0x40, 0x44)
    selector = (CFGR, 0)

    def __init__(
        self,
        part: Part,
        hook: EdgeHook,
        gated: Iterable[Page],
        wait_states: Callable[[], int],
        on_change: Callable[[], None],
    ) -> None:
        power = Page(PWR_BASE, hook, _PWREN)
        super().__init__(part, hook, RCC_BASE, power, gated, wait_states, on_change)
        self._overdrive = any(state.endswith("+od") for state in part.clock.limits)
        self.rcc.on_write(CR, self._write_cr)
        self.rcc.on_write(PLLCFGR, self._write_pll)
        self.rcc.on_write(CFGR, self._write_cfgr)
        for offset in (BDCR, CSR):
            self.rcc.on_write(offset, self._write_low_speed)
        self.power.on_write(PWR_CR, self._write_power)
        self.reset()

    def clocks(self) -> Clocks:
        """SYSCLK is HCLK's source; the core and the flash run at HCLK."""
        cfgr = self.rcc[CFGR]
        system = self.source_hz(self.switched_to()) or self.internal_hz
        hclk = system // ahb_divider(cfgr >> 4 & 15)
        pclk1, pclk2 = (hclk // apb_divider(cfgr >> shift & 7) for shift in (10, 13))
        return Clocks(hclk, hclk, pclk1, pclk2, system)

    def power_state(self) -> str:
        """The scale, and over-drive once the switch to it is done."""
        driven = "+od" if self.power[PWR_CSR] & ODSWRDY and self._overdrive else ""
        return f"vos{max(self.power[PWR_CR] >> 14 & 3, 1)}{driven}"

    def source_hz(self, number: int) -> int:
        """HSI, HSE, PLL."""
        cr = self.rcc[CR]
        if number == 2:
            return self._pll_hz() if cr & PLLRDY else 0
        known = {0: self.internal_hz, 1: self.external_hz if cr & HSERDY else 0}
        return known.get(number, 0)

    def _pll_hz(self) -> int:
        pll = self.rcc[PLLCFGR]
        source = self.source_hz(1) if pll & _PLL_FROM_HSE else self.internal_hz
        vco = self.pll_hz(source, pll & 63, pll >> 6 & 511)
        return vco // (2 * ((pll >> 16 & 3) + 1))

    def _write_cr(self, _offset: int, value: int) -> None:
        for bit in _OTHERS:
            ready = 1 << bit + 1
            value = value | ready if value >> bit & 1 else value & ~ready
        runs = self.external_runs(value & HSEON, value & HSEBYP)
        value = value & ~(HSERDY | PLLRDY) | (HSERDY if runs else 0)
        self.rcc[CR] = value
        if value & PLLON and self._pll_hz():
            self.rcc[CR] = value | PLLRDY
        self._follow_power()

    def _write_pll(self, _offset: int, value: int) -> None:
        """The PLL takes a new setting only while it is off (RM0090, 6.3.2)."""
        if not self.rcc[CR] & PLLON:
            self.rcc[PLLCFGR] = value

    def _write_cfgr(self, _offset: int, value: int) -> None:
        self.rcc[CFGR] = self.follow_switch(value)
        self.update()

    def _write_power(self, _offset: int, value: int) -> None:
        """VOS takes a new setting only while the PLL is off (unverified)."""
        if self.rcc[CR] & PLLON:
            value = value & ~_VOS | self.power[PWR_CR] & _VOS
        self.power[PWR_CR] = value
        self._follow_power()

    def _follow_power(self) -> None:
        """The regulator's scale is ready once the PLL runs; over-drive when asked (F7)."""
        status = VOSRDY if self.rcc[CR] & PLLON else 0
        if self._overdrive:
            control = self.power[PWR_CR]
            status |= control & ODEN
            status |= control & ODSWEN if control & ODEN else 0
        self.power[PWR_CSR] = status
        self.update()
