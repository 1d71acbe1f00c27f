"""Exception entry and return, faults and their escalation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from farm.virtual import scs as regs
from farm.virtual.bus import BusFault
from farm.virtual.core import Core
from farm.virtual.hook import EdgeHook
from farm.virtual.nvic import BUS_FAULT, HARD_FAULT, NMI, USAGE_FAULT, Nvic
from farm.virtual.scs import SystemControl

_SHCSR_ENABLE = {BUS_FAULT: 1 << 17, USAGE_FAULT: 1 << 18}
_UNSTACK_FROM = 0xFFFFFFE1
_RETURNS = (0x1, 0x9, 0xD)


class Exceptions:
    """Moves the core between thread and handler mode.

    `on_lockup()` is called when a fault cannot be handled, `on_hard_fault()` when the HardFault
    handler is about to start.
    """

    def __init__(
        self,
        core: Core,
        nvic: Nvic,
        scs: SystemControl,
        hook: EdgeHook,
        read_word: Callable[[int], int],
        cycles: Mapping[str, Any],
    ) -> None:
        self._core, self._nvic, self._scs = core, nvic, scs
        self._counters, self._read_word, self._cycles = hook.counters, read_word, cycles
        self.on_lockup: Callable[[], None] = lambda: None
        self.on_hard_fault: Callable[[], None] = lambda: None

    def take_pending(self) -> bool:
        """Enter the most urgent pending exception, if one may run now."""
        masks = self._core.masks
        number = self._nvic.next(masks)
        if number:
            self.enter(number, self._core.pc)
        return bool(number)

    def enter(self, number: int, return_to: int) -> None:
        """Stack, and go to the handler of `number`."""
        try:
            self._core.enter(number, return_to, self._scs.fpu_enabled)
        except BusFault:
            self._escalate(number, regs.STKERR)
            return
        self._nvic.activate(number)
        self._jump(number)

    def _escalate(self, number: int, bit: int) -> None:
        """Stacking or unstacking failed: a HardFault without a frame, or the end."""
        self._scs.cfsr |= bit
        self._scs.hfsr |= regs.FORCED
        if number in (HARD_FAULT, NMI) or self._nvic.running() <= -1:
            self.on_lockup()
            return
        self._nvic.activate(HARD_FAULT)
        self._core.switch_to_handler(HARD_FAULT)
        self._jump(HARD_FAULT)

    def _jump(self, number: int) -> None:
        self._counters.prev = self._counters.before = 0
        self._counters.cycles += self._cycles["entry"]
        try:
            self._core.pc = self._read_word(self._scs.vtor + 4 * number)
        except BusFault:
            self._scs.hfsr |= regs.VECTTBL
            self.on_lockup()
            return
        if number == HARD_FAULT:
            self.on_hard_fault()

    def leave(self, link: int) -> None:
        """Return from the running handler by EXC_RETURN."""
        number = self._core.ipsr
        nested = len(self._nvic.active) > 1
        thread = link & 8
        valid = link | 1 >= _UNSTACK_FROM and link & 0xF in _RETURNS and nested != bool(thread)
        if not valid or number not in self._nvic.active:
            self.fault(USAGE_FAULT, regs.INVPC, link)
            return
        self._nvic.deactivate(number)
        if number != NMI:
            self._core.clear_faultmask()
        try:
            self._core.pc = self._core.leave(link)
        except BusFault:
            self._escalate(number, regs.UNSTKERR)
            return
        self._counters.prev = self._counters.before = 0
        self._counters.cycles += self._cycles["exit"]

    def fault(self, number: int, bits: int, return_to: int, address: int | None = None) -> None:
        """A fault at `return_to`: its own handler if enabled and more urgent, else HardFault."""
        self._scs.cfsr |= bits
        if address is not None:
            self._scs.cfsr |= regs.BFARVALID
            self._scs.values[regs.BFAR] = address
        enabled = self._scs.values.get(regs.SHCSR, 0) & _SHCSR_ENABLE.get(number, 0)
        running = self._nvic.running(self._core.masks)
        if enabled and self._nvic.group(number) < running:
            self.enter(number, return_to)
            return
        self._scs.hfsr |= regs.FORCED
        self.hard_fault(return_to)

    def hard_fault(self, return_to: int) -> None:
        """Enter HardFault; a fault inside it locks the core up."""
        if self._nvic.running(self._core.masks) <= -1:
            self.on_lockup()
            return
        self.enter(HARD_FAULT, return_to)

    def supervisor_call(self, number: int, pc: int) -> None:
        """SVC: taken at once, or a HardFault when its priority does not allow it."""
        if self._nvic.group(number) < self._nvic.running(self._core.masks):
            self.enter(number, pc)
        else:
            self._scs.hfsr |= regs.FORCED
            self.hard_fault(pc)
