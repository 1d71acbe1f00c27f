"""Clock and power control of STM32H743 by ST's CMSIS device header and HAL."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from farm.virtual.hook import EdgeHook
from farm.virtual.pages import Page
from farm.virtual.parts import Clock, Part
from farm.virtual.rcc import ClockControl, Clocks, ahb_divider, apb_divider

RCC_BASE, PWR_BASE, SYSCFG_BASE = 0x58024400, 0x58024800, 0x58000400
CR, CFGR, D1CFGR, D2CFGR, PLLCKSELR, PLLDIVR = 0x00, 0x10, 0x18, 0x1C, 0x28, 0x30
D2CCIP2R, BDCR, CSR = 0x54, 0x70, 0x74
_OTHERS = {0: 2, 7: 8, 12: 13, 26: 27, 28: 29}  # HSI, CSI, HSI48, PLL2, PLL3 and their ready bits
_DOMAINS_READY = 3 << 14
HSEON, HSERDY, HSEBYP, PLLON, PLLRDY = 1 << 16, 1 << 17, 1 << 18, 1 << 24, 1 << 25
_CSI_HZ = 4_000_000
PWR_CSR1, PWR_CR3, PWR_D3CR = 0x04, 0x0C, 0x18
SCUEN, ACTVOSRDY, VOSRDY = 1 << 2, 1 << 13, 1 << 13
_SUPPLY, _VOS = 7, 3 << 14
SYSCFG_PWRCR, ODEN = 0x2C, 1
_SYSCFGEN = Clock(0xF4, 1)


class H7Clocks(ClockControl):
    """Power states are the scales `vos0`, the fastest, to `vos3`."""

    enables = (0xD4, 0xD8, 0xDC, 0xE0, 0xE4, 0xE8, 0xEC, 0xF0, 0xF4)
    selector = (CFGR, 0)
    selector_bits = 3

    def __init__(
        self,
        part: Part,
        hook: EdgeHook,
        gated: Iterable[Page],
        wait_states: Callable[[], int],
        on_change: Callable[[], None],
    ) -> None:
        self.syscfg = Page(SYSCFG_BASE, hook, _SYSCFGEN)
        power = Page(PWR_BASE, hook)
        pages = (*gated, self.syscfg)
        super().__init__(part, hook, RCC_BASE, power, pages, wait_states, on_change)
        self.rcc.on_write(CR, self._write_cr)
        self.rcc.on_write(CFGR, self._write_cfgr)
        for offset in (D1CFGR, D2CFGR):
            self.rcc.on_write(offset, self._write_divider)
        for offset in (PLLCKSELR, PLLDIVR):
            self.rcc.on_write(offset, self._write_pll)
        for offset in (BDCR, CSR):
            self.rcc.on_write(offset, self._write_low_speed)
        self.power.on_write(PWR_CR3, self._write_supply)
        self.power.on_write(PWR_D3CR, self._write_scale)
        self.power.on_write(PWR_CSR1, lambda _offset, _value: None)
        self.syscfg.on_write(SYSCFG_PWRCR, self._write_overdrive)
        self.reset()

    @property
    def pages(self) -> tuple[Page, ...]:
        """Every page of registers here."""
        return (*super().pages, self.syscfg)

    def reset(self) -> None:
        """Registers as after a system reset: HSI at 64 MHz, scale 3."""
        self.syscfg.clear()
        super().reset()
        self._show_scale()

    def clocks(self) -> Clocks:
        """The core runs at SYSCLK by D1CPRE, buses and flash at that by HPRE."""
        d1, d2 = self.rcc[D1CFGR], self.rcc[D2CFGR]
        system = self.source_hz(self.switched_to()) or self._hsi_hz()
        core = system // ahb_divider(d1 >> 8 & 15)
        hclk = core // ahb_divider(d1 & 15)
        pclk1, pclk2 = (hclk // apb_divider(d2 >> shift & 7) for shift in (4, 8))
        return Clocks(core, hclk, pclk1, pclk2, system)

    def power_state(self) -> str:
        """The scale; ODEN lifts scale 1 to 0."""
        scale = 4 - max(self.power[PWR_D3CR] >> 14 & 3, 1)
        return "vos0" if scale == 1 and self.syscfg[SYSCFG_PWRCR] & ODEN else f"vos{scale}"

    def source_hz(self, number: int) -> int:
        """HSI, CSI, HSE, PLL1."""
        cr = self.rcc[CR]
        if number == 3:
            return self._pll_hz() if cr & PLLRDY else 0
        known = {
            0: self._hsi_hz() if cr & 1 else 0,
            1: _CSI_HZ if cr & 1 << 8 else 0,
            2: self.external_hz if cr & HSERDY else 0,
        }
        return known.get(number, 0)

    def console_hz(self) -> int:
        """The kernel clock of USART2 to 8 by D2CCIP2R: PCLK1, HSI or LSE; else not modelled."""
        known = {0: self.clocks().pclk1, 3: self._hsi_hz(), 5: 32_768}
        return known.get(self.rcc[D2CCIP2R] & 7, 0)

    def _hsi_hz(self) -> int:
        return self.internal_hz >> (self.rcc[CR] >> 3 & 3)

    def _pll_hz(self) -> int:
        """PLL1's output P; the fraction is not modelled."""
        choice, divider = self.rcc[PLLCKSELR], self.rcc[PLLDIVR]
        source = self.source_hz(choice & 3) if choice & 3 < 3 else 0
        vco = self.pll_hz(source, choice >> 4 & 63, (divider & 511) + 1)
        return vco // ((divider >> 9 & 127) + 1)

    def _write_cr(self, _offset: int, value: int) -> None:
        for bit, ready in _OTHERS.items():
            value = value & ~(1 << ready) | (value >> bit & 1) << ready
        runs = self.external_runs(value & HSEON, value & HSEBYP)
        value = value & ~(HSERDY | PLLRDY) | (HSERDY if runs else 0) | _DOMAINS_READY
        self.rcc[CR] = value
        if value & PLLON and self._pll_hz():
            self.rcc[CR] = value | PLLRDY
        self.update()

    def _write_cfgr(self, _offset: int, value: int) -> None:
        self.rcc[CFGR] = self.follow_switch(value)
        self.update()

    def _write_divider(self, offset: int, value: int) -> None:
        self.rcc[offset] = value
        self.update()

    def _write_pll(self, offset: int, value: int) -> None:
        """Fixed while the PLL is on (unverified)."""
        if not self.rcc[CR] & PLLON:
            self.rcc[offset] = value

    def _write_supply(self, offset: int, value: int) -> None:
        """The supply is chosen once after power-up (HAL); then SCUEN is 0."""
        old = self.power[offset]
        if not old & SCUEN:
            value = value & ~_SUPPLY | old & _SUPPLY
        self.power[offset] = self.kept[offset] = value & ~SCUEN
        self._show_scale()

    def _write_scale(self, _offset: int, value: int) -> None:
        """The scale stays until the supply is chosen."""
        if self.power[PWR_CR3] & SCUEN:
            value = value & ~_VOS | self.power[PWR_D3CR] & _VOS
        self.power[PWR_D3CR] = value
        self._show_scale()
        self.update()

    def _write_overdrive(self, offset: int, value: int) -> None:
        self.syscfg[offset] = value & ODEN
        self.update()

    def _show_scale(self) -> None:
        """The scale is there at once, if there is a supply."""
        ready = not self.power[PWR_CR3] & SCUEN
        scale = self.power[PWR_D3CR] & ~VOSRDY
        self.power[PWR_D3CR] = scale | (VOSRDY if ready else 0)
        self.power[PWR_CSR1] = scale & _VOS | (ACTVOSRDY if ready else 0)
