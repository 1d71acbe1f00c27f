"""Exception entry and return, faults and their escalation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from farm.virtual import scs as regs
from farm.virtual.bus import BusFault
from farm.virtual.core import Core, FrameError
from farm.virtual.fp_context import FpContext
from farm.virtual.hook import EdgeHook
from farm.virtual.mpu import ProtectionFaultError
from farm.virtual.nvic import (
    BUS_FAULT,
    HARD_FAULT,
    MEM_MANAGE,
    NMI,
    SYSTICK,
    USAGE_FAULT,
    Nvic,
    SysTick,
)
from farm.virtual.scs import SystemControl

_RETURN_ANYWHERE = 1  # CCR.NONBASETHRDENA
_SYSTEM = 0xE0000000
_UNSTACK_FROM = 0xFFFFFFE1
_RETURNS = (0x1, 0x9, 0xD)
LOCKUP_PC = 0xFFFFFFFE


class Exceptions:
    """Moves the core between thread and handler mode.

    `on_lockup()` is called when a fault cannot be handled; `on_entry(number, internal)` when a
    handler is about to start, `internal`: because of a fault in an exception's entry or return.
    """

    def __init__(
        self,
        core: Core,
        nvic: Nvic,
        systick: SysTick,
        scs: SystemControl,
        hook: EdgeHook,
        read_word: Callable[[int], int],
        cycles: Mapping[str, Any],
    ) -> None:
        self._core, self._nvic, self._systick, self._scs = core, nvic, systick, scs
        self._state, self._fp = nvic.state, FpContext(scs, nvic)
        self._counters, self._read_word, self._cycles = hook.counters, read_word, cycles
        self.on_lockup: Callable[[], None] = lambda: None
        self.on_entry: Callable[[int, bool], None] = lambda _number, _internal: None

    def take_pending(self) -> bool:
        """Enter the most urgent pending exception, if one may run now."""
        if self._state.unsaved:
            self.preserve()
        masks = self._core.masks
        number = self._nvic.next(masks)
        if number:
            self.enter(number, self._core.pc)
        return bool(number)

    def may_take(self, number: int) -> bool:
        """Whether an exception would be handled now by its own handler."""
        enabled = self._scs.fault_enabled(number)
        return enabled and self._nvic.group(number) < self._nvic.running(self._core.masks)

    def enter(self, number: int, return_to: int) -> None:
        """Stack, and go to the handler of `number`, or to that of a fault in stacking."""
        before = self._nvic.running(self._core.masks)
        thread, user = not self._core.ipsr, not self._core.privileged
        extended = self._core.uses_fpu and self._fp.stacked
        lazy = extended and self._fp.lazy
        stacked = self._core.enter(number, return_to, extended, lazy)
        cost = self._cycles["entry"]
        if lazy:
            self._fp.postpone(stacked.fp_address, before, thread, user)
        elif extended:
            cost += self._cycles.get("extended_save", 0)
        taken = number
        if stacked.failed:
            taken = self._derived(number, stacked.failed, before)
        else:
            taken, cost = self._arrives(number, cost)
        if taken != number:
            self._core.switch_to_handler(taken)
        self._nvic.activate(taken)
        self._jump(taken, cost, bool(stacked.failed))

    def _arrives(self, number: int, cost: int) -> tuple[int, int]:
        """What runs once a frame is stacked, and the cycles until then.

        A timer that is more urgent and ends meanwhile takes the place of `number` (late arrival).
        """
        begun, due = int(self._counters.cycles), self._systick.next_event
        late = self._cycles.get("late_arrival", 0)
        urgent = self._nvic.group(SYSTICK) < self._nvic.group(number)
        if not late or self._nvic.silenced or not urgent or not begun < due <= begun + cost:
            return number, cost
        self._nvic.pend(number)
        self._systick.tick(due)
        return SYSTICK, max(cost, due + late - begun)

    def preserve(self) -> None:
        """Save the FP registers that exception entry has left in their places (FPCCR.LSPACT)."""
        self._state.unsaved = 0
        if not self._fp.postponed:
            return
        try:
            self._core.save_fp(self._fp.address, self._fp.privileged)
        except ProtectionFaultError:
            self.fault(MEM_MANAGE, regs.MLSPERR, self._core.pc)
        except BusFault:
            self.fault(BUS_FAULT, regs.LSPERR, self._core.pc)
        else:
            self._fp.settle()
            self._counters.cycles += self._cycles.get("extended_save", 0)

    def _derived(self, number: int, failed: BusFault, before: int) -> int:
        """What is entered after all when the frame of `number` could not be stacked.

        A fault that is not more urgent waits: the handler runs though its frame is lost
        (Cortex-M3 TRM, DDI 0337E section 5.12.1; DDI 0403E, DerivedLateArrival).
        """
        fault, bit = (BUS_FAULT, regs.STKERR)
        if isinstance(failed, ProtectionFaultError):
            fault, bit = MEM_MANAGE, regs.MSTKERR
        self._scs.cfsr |= bit
        if not self._scs.fault_enabled(fault) or self._nvic.group(fault) >= before:
            fault = HARD_FAULT
            self._scs.hfsr |= regs.FORCED
        if self._nvic.group(fault) < self._nvic.group(number):
            self._nvic.pend(number)
            return fault
        if fault not in (HARD_FAULT, number):
            self._nvic.pend(fault)
        return number

    def _jump(self, number: int, cost: int, internal: bool = False) -> None:
        self._counters.prev = self._counters.before = 0
        self._counters.cycles += cost
        try:
            target = self._read_word(self._scs.vtor + 4 * number)
        except BusFault:
            self._lose_vector(number)
            return
        self._core.pc = target
        if not target & 1:
            self.fault(USAGE_FAULT, regs.INVSTATE, target)
        elif target >= _SYSTEM:  # never executed; Unicorn would take it for a return
            self.fault(MEM_MANAGE, regs.IACCVIOL, target & ~1)
        else:
            self.on_entry(number, internal)

    def _lose_vector(self, number: int) -> None:
        """The vector table cannot be read: HardFault in place of `number`, or the end."""
        self._scs.hfsr |= regs.VECTTBL
        if number in (HARD_FAULT, NMI):
            self.on_lockup()
            return
        self._nvic.deactivate(number)
        self._nvic.pend(number)
        self._core.switch_to_handler(HARD_FAULT)
        self._nvic.activate(HARD_FAULT)
        self._jump(HARD_FAULT, self._cycles["entry"], internal=True)

    def leave(self, link: int) -> bool:
        """Return from the running handler by EXC_RETURN; whether thread mode goes on."""
        number = self._core.ipsr
        valid = self._valid(link) and number in self._nvic.active
        self._nvic.deactivate(number)
        if not valid:
            self._refuse(USAGE_FAULT, regs.INVPC, 0xF0000000 | link & 0x0FFFFFFF)
            return False
        if number != NMI:
            self._core.clear_faultmask()
        if self._chains(link):
            return False
        in_frame = not link & 0x10 and not self._fp.postponed
        try:
            self._core.pc = self._core.leave(link, in_frame)
        except ProtectionFaultError:
            self._refuse(MEM_MANAGE, regs.MUNSTKERR, link)
        except BusFault:
            self._refuse(BUS_FAULT, regs.UNSTKERR, link)
        except FrameError:
            self._refuse(USAGE_FAULT, regs.INVPC, 0xF0000000 | link & 0x0FFFFFFF)
        else:
            self._counters.prev = self._counters.before = 0
            self._counters.cycles += self._cycles["exit"]
            self._counters.cycles += self._cycles.get("extended_restore", 0) if in_frame else 0
            if not link & 0x10:
                self._fp.settle()
            if self._core.pc == LOCKUP_PC:  # an NMI has interrupted it
                self.on_lockup()
            return bool(link & 8)
        return False

    def _chains(self, link: int) -> bool:
        """Tail-chaining: the next handler on the frame that is there; whether one waits."""
        cost = self._cycles.get("tail_chain", 0)
        if not cost:
            return False
        self._systick.tick(int(self._counters.cycles))
        number = self._nvic.next(self._core.masks)
        if number:
            self._core.switch_to_handler(number, link)
            self._nvic.activate(number)
            self._jump(number, cost)
        return bool(number)

    def _valid(self, link: int) -> bool:
        """Whether an exception return may use `link` (DDI 0403E, ExceptionReturn)."""
        nested = len(self._nvic.active) > 1
        thread = bool(link & 8)
        anywhere = self._scs.values[regs.CCR] & _RETURN_ANYWHERE
        fits = nested != thread or (thread and anywhere)
        return link | 1 >= _UNSTACK_FROM and link & 0xF in _RETURNS and bool(fits)

    def _refuse(self, fault: int, bits: int, link: int) -> None:
        """A fault of an exception's return: its handler follows with no frame of its own."""
        self._scs.cfsr |= bits
        taken = fault
        if not self.may_take(fault):
            if self._nvic.running(self._core.masks) <= -1:
                self.on_lockup()
                return
            taken = HARD_FAULT
            self._scs.hfsr |= regs.FORCED
        self._core.switch_to_handler(taken, link)
        self._nvic.activate(taken)
        self._jump(taken, self._cycles["entry"], internal=True)

    def fault(self, number: int, bits: int, return_to: int, address: int | None = None) -> None:
        """A fault at `return_to`: its own handler if enabled and more urgent, else HardFault."""
        self._scs.report(number, bits, address)
        if self.may_take(number):
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
