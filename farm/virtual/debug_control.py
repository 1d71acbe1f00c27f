"""Debug control: DHCSR, whether the core runs, and who hears of a debug event."""

from __future__ import annotations

from typing import Literal

from farm.virtual import scs as regs
from farm.virtual.core import Core
from farm.virtual.exceptions import LOCKUP_PC, Exceptions
from farm.virtual.hook import EdgeHook
from farm.virtual.nvic import DEBUG_MONITOR, NMI, Nvic
from farm.virtual.scs import SystemControl
from farm.virtual.sleep import Sleep

_S_REGRDY, _S_HALT, _S_SLEEP, _S_LOCKUP = 1 << 16, 1 << 17, 1 << 18, 1 << 19
_S_RETIRE, _S_RESET = 1 << 24, 1 << 25

State = Literal["running", "halted", "lockup"]


class DebugControl:
    """Halts the core for a debugger, or enters the debug monitor; it never runs anything."""

    def __init__(
        self,
        core: Core,
        scs: SystemControl,
        nvic: Nvic,
        exceptions: Exceptions,
        sleep: Sleep,
        hook: EdgeHook,
    ) -> None:
        self._core, self._scs, self._nvic, self._exceptions = core, scs, nvic, exceptions
        self.sleep, self._hook = sleep, hook
        self.state: State = "running"
        self.retired = False  # an instruction, since DHCSR was last read
        self._was_reset = False  # since then
        self._control = 0  # DHCSR: C_DEBUGEN, C_HALT, C_STEP, C_MASKINTS

    def power_up(self) -> None:
        """No debugger, and nothing to tell it."""
        self._control = 0
        self._nvic.silenced = False
        self._scs.demcr = self._scs.dfsr = 0

    def reset(self) -> None:
        """Once all else has been reset: run, or halt at the first instruction."""
        self._was_reset, self.retired = True, False
        self.state = "running"
        self._control &= ~regs.C_HALT  # always clears on a system reset (Armv7-M debug, DHCSR)
        if self.enabled and self._scs.demcr & regs.VC_CORERESET:
            self.halt(regs.DFSR_VCATCH)

    @property
    def enabled(self) -> bool:
        """Whether a debugger is there."""
        return bool(self._control & regs.C_DEBUGEN)

    @property
    def wants_halt(self) -> bool:
        """Whether the debugger wants the core halted."""
        return bool(self._control & regs.C_HALT)

    @property
    def wants_step(self) -> bool:
        """Whether the core is to halt again after one instruction."""
        return bool(self._control & regs.C_STEP)

    @property
    def monitor_steps(self) -> bool:
        """Whether the debug monitor is to run behind each instruction that it may interrupt."""
        wanted = regs.MON_EN | regs.MON_STEP
        return not self.enabled and self._scs.demcr & wanted == wanted

    @property
    def watches_exceptions(self) -> bool:
        """Whether native code may not serve exceptions on its own."""
        return self._nvic.silenced or self.monitor_steps

    @property
    def heard(self) -> bool:
        """Whether a debugger or the monitor listens."""
        return self.enabled or bool(self._scs.demcr & regs.MON_EN)

    def write(self, value: int) -> bool:
        """DHCSR; whether a debugger came or left. Halting and going on is left to the caller."""
        before = self.enabled
        self._control = value & 0xF if value & regs.C_DEBUGEN else 0
        self._nvic.silenced = bool(self._control & regs.C_MASKINTS)
        return before is not self.enabled

    def status(self, in_reset: bool) -> int:
        """DHCSR; S_RESET_ST and S_RETIRE_ST clear when read."""
        bits = self._control | _S_REGRDY
        bits |= _S_HALT if self.state == "halted" else 0
        bits |= _S_LOCKUP if self.state == "lockup" else 0
        bits |= _S_SLEEP if self.sleep.asleep else 0
        bits |= _S_RETIRE if self.retired else 0
        bits |= _S_RESET if self._was_reset or in_reset else 0
        self._was_reset = self.retired = False
        return bits

    def halt(self, reason: int) -> None:
        """Halt; `reason`: the bit of DFSR."""
        self.state = "halted"
        self.sleep.asleep = False
        self._control |= regs.C_HALT
        self._scs.dfsr |= reason
        self._hook.flush_sent()

    def resume(self) -> None:
        """Not halted any more; locked up as before when the PC still says so."""
        self.state = "lockup" if self._core.pc == LOCKUP_PC else "running"

    def lock_up(self) -> None:
        """Let the core lock up, as a fault in the fault handler does."""
        self.state = "lockup"
        self._core.pc = LOCKUP_PC

    def leave_lockup(self) -> None:
        """An NMI ends it, unless it is the NMI's own (DDI 0403E, section B1.5.15)."""
        may = NMI in self._nvic.pending and NMI not in self._nvic.active
        if self.state == "lockup" and may:
            self.state = "running"

    def monitor_steps_now(self) -> bool:
        """Whether the next instruction is a step of the debug monitor's."""
        return self.monitor_steps and self._exceptions.may_take(DEBUG_MONITOR)

    def stepped(self) -> None:
        """An instruction has run under DEMCR.MON_STEP."""
        self._scs.dfsr |= regs.DFSR_HALTED
        self._scs.pend_monitor(True)

    def event(self, reason: int) -> bool:
        """Halt, or enter the debug monitor; False when neither wants to know."""
        if self.enabled:
            self.halt(reason)
        elif self._scs.demcr & regs.MON_EN and self._exceptions.may_take(DEBUG_MONITOR):
            self._scs.dfsr |= reason
            self._exceptions.enter(DEBUG_MONITOR, self._core.pc)
        else:
            return False
        return True

    def breakpoint(self, pc: int) -> None:
        """BKPT or a breakpoint at `pc`: a hard fault when nobody wants to know."""
        if not self.event(regs.DFSR_BKPT):
            self._scs.hfsr |= regs.DEBUGEVT
            self._exceptions.hard_fault(pc)

    def exception_enters(self, number: int, internal: bool) -> None:
        """A handler is about to start: an event for WFE, and perhaps a vector catch."""
        self.sleep.send_event()
        if self.enabled and self._scs.catches(number, internal):
            self.halt(regs.DFSR_VCATCH)
