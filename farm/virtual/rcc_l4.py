"""Clock and power control of STM32L4+ by ST's CMSIS device header and HAL."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from farm.virtual.hook import EdgeHook
from farm.virtual.pages import Page
from farm.virtual.parts import Clock, Part
from farm.virtual.rcc import ClockControl, Clocks, ahb_divider, apb_divider

RCC_BASE, PWR_BASE = 0x40021000, 0x40007000
CR, CFGR, PLLCFGR, BDCR, CSR = 0x00, 0x08, 0x0C, 0x90, 0x94
_OTHERS = {0: 1, 26: 27, 28: 29}  # MSION, PLLSAI1ON, PLLSAI2ON and their ready bits
MSIRGSEL, HSION, HSIRDY = 1 << 3, 1 << 8, 1 << 10
HSEON, HSERDY, HSEBYP, PLLON, PLLRDY = 1 << 16, 1 << 17, 1 << 18, 1 << 24, 1 << 25
PLLREN = 1 << 24
_MSI_KHZ = (100, 200, 400, 800, 1000, 2000, 4000, 8000, 16000, 24000, 32000, 48000)
PWR_CR1, PWR_CR5 = 0x00, 0x80
R1MODE = 1 << 8
_PWREN = Clock(0x58, 28)
_STEP_LIMIT_HZ = 80_000_000


class L4Clocks(ClockControl):
    """Power states: `range1+boost`, `range1` and `range2` of the regulator."""

    enables = (0x48, 0x4C, 0x50, 0x58, 0x5C, 0x60)
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
        self._jumped = False  # went past 80 MHz at once
        self.rcc.on_write(CR, self._write_cr)
        self.rcc.on_write(PLLCFGR, self._write_pll)
        self.rcc.on_write(CFGR, self._write_cfgr)
        for offset in (BDCR, CSR):
            self.rcc.on_write(offset, self._write_low_speed)
        for offset in (PWR_CR1, PWR_CR5):
            self.power.on_write(offset, self._write_power)
        self.reset()

    def reset(self) -> None:
        """Registers as after a system reset: MSI at 4 MHz."""
        self._jumped = False
        super().reset()

    def clocks(self) -> Clocks:
        """SYSCLK is HCLK's source; the core and the flash run at HCLK."""
        cfgr = self.rcc[CFGR]
        system = self.source_hz(self.switched_to()) or self._msi_hz()
        hclk = system // ahb_divider(cfgr >> 4 & 15)
        pclk1, pclk2 = (hclk // apb_divider(cfgr >> shift & 7) for shift in (8, 11))
        return Clocks(hclk, hclk, pclk1, pclk2, system)

    def power_state(self) -> str:
        """VOS, and R1MODE 0 for boost. A jump past 80 MHz leaves the voltage behind."""
        if self.power[PWR_CR1] >> 9 & 3 == 2:
            return "range2"
        boosted = not self.power[PWR_CR5] & R1MODE and not self._jumped
        return "range1+boost" if boosted else "range1"

    def source_hz(self, number: int) -> int:
        """MSI, HSI16, HSE, PLL."""
        cr = self.rcc[CR]
        if number == 3:
            return self._pll_hz() if cr & PLLRDY else 0
        known = {
            0: self._msi_hz(),
            1: self.internal_hz if cr & HSIRDY else 0,
            2: self.external_hz if cr & HSERDY else 0,
        }
        return known[number]

    def _msi_hz(self) -> int:
        cr = self.rcc[CR]
        number = cr >> 4 & 15 if cr & MSIRGSEL else self.rcc[CSR] >> 8 & 15
        return 1000 * _MSI_KHZ[min(number, len(_MSI_KHZ) - 1)]

    def _pll_hz(self) -> int:
        """The R output, which can be SYSCLK."""
        pll = self.rcc[PLLCFGR]
        source = self.source_hz((pll & 3) - 1) if pll & 3 else 0
        vco = self.pll_hz(source, (pll >> 4 & 15) + 1, pll >> 8 & 127)
        return vco // (2 * ((pll >> 25 & 3) + 1)) if pll & PLLREN else 0

    def _write_cr(self, _offset: int, value: int) -> None:
        for bit, ready in _OTHERS.items():
            value = value & ~(1 << ready) | (value >> bit & 1) << ready
        value = value & ~(HSIRDY | HSERDY | PLLRDY)
        value |= HSIRDY if value & HSION else 0
        value |= HSERDY if self.external_runs(value & HSEON, value & HSEBYP) else 0
        self.rcc[CR] = value
        if value & PLLON and self._pll_hz():
            self.rcc[CR] = value | PLLRDY
        self.update()

    def _write_pll(self, _offset: int, value: int) -> None:
        """Settings are fixed while the PLL is on; outputs may be switched (unverified)."""
        if self.rcc[CR] & PLLON:
            value = self.rcc[PLLCFGR] & ~PLLREN | value & PLLREN
        self.rcc[PLLCFGR] = value

    def _write_cfgr(self, _offset: int, value: int) -> None:
        """From below 80 MHz to above only by way of HPRE /2 (HAL)."""
        before = self.clocks()
        self.rcc[CFGR] = self.follow_switch(value)
        after = self.clocks()
        switched = after.system != before.system
        self._jumped |= switched and after.core > _STEP_LIMIT_HZ >= before.core
        self.update()

    def _write_power(self, offset: int, value: int) -> None:
        self.power[offset] = value
        self.update()
