"""What follows from each stop of the core, and single steps."""

from __future__ import annotations

from farm.virtual import scs as regs
from farm.virtual.code import Code
from farm.virtual.core import Core
from farm.virtual.cyccnt import CycleReader
from farm.virtual.debug_control import DebugControl
from farm.virtual.exceptions import Exceptions
from farm.virtual.execution import Event, Runner, Stop
from farm.virtual.hook import EdgeHook
from farm.virtual.nvic import BUS_FAULT, MEM_MANAGE, SVC, USAGE_FAULT
from farm.virtual.protection import Protection
from farm.virtual.watchpoints import Watchpoints

_FAULTS = {
    Stop.FETCH: (BUS_FAULT, regs.IBUSERR),
    Stop.NO_EXECUTE: (MEM_MANAGE, regs.IACCVIOL),
    Stop.PROTECTED: (MEM_MANAGE, regs.DACCVIOL),
    Stop.DIVIDE: (USAGE_FAULT, regs.DIVBYZERO),
    Stop.UNALIGNED: (USAGE_FAULT, regs.UNALIGNED),
    Stop.BUS: (BUS_FAULT, regs.PRECISERR),
    Stop.UNDEFINED: (USAGE_FAULT, regs.UNDEFINSTR),
    Stop.STATE: (USAGE_FAULT, regs.INVSTATE),
    Stop.NO_FPU: (USAGE_FAULT, regs.NOCP),
}

_IN_BLOCK = (Stop.BREAKPOINT, Stop.BKPT, Stop.BUS, Stop.UNDEFINED, Stop.NO_FPU)
_BY_HOOK = (Stop.NO_EXECUTE, Stop.PROTECTED, Stop.DIVIDE, Stop.UNALIGNED, Stop.WATCH)
_CUT_SHORT = _IN_BLOCK + _BY_HOOK  # in the middle of a block


class Stops:
    """Runs the core up to its next stop, or for one instruction, and acts on the stop."""

    def __init__(
        self,
        core: Core,
        hook: EdgeHook,
        runner: Runner,
        code: Code,
        exceptions: Exceptions,
        protection: Protection,
        watchpoints: Watchpoints,
        debug: DebugControl,
    ) -> None:
        self._core, self._counters, self._runner, self._pricer = (
            core,
            hook.counters,
            runner,
            code.pricer,
        )
        self._exceptions, self._protection, self._watchpoints = exceptions, protection, watchpoints
        self._sleep, self._debug = debug.sleep, debug
        self.reader = CycleReader(core, hook, self._pricer)
        self._code = code

    def run(self, skip: bool) -> None:
        """Up to the next stop; `skip`: not on a breakpoint at the first instruction."""
        if self._debug.monitor_steps_now():
            self.step()
            self._debug.stepped()
        else:
            self._handle(self._runner.run(skip))

    def step(self) -> None:
        """One instruction; its cycles are those of the instruction alone."""
        before = self._core.pc
        if self._code.prepare_step(before):
            self._exceptions.preserve()
        event = self._runner.step()
        self._counters.prev = self._counters.before = 0
        size = event.pc - before if 0 < event.pc - before <= 4 else 2
        self._counters.cycles += self._pricer.price(0, before | size << 32)
        if event.stop not in _CUT_SHORT:
            self._counters.instructions += 1
        self._debug.retired = True
        self._handle(event)
        self._sleep.asleep = False

    def _handle(self, event: Event) -> None:
        stop, pc = event.stop, event.pc
        if stop in _CUT_SHORT:
            self.reader.rewind(pc)
        if stop in _FAULTS:
            stop = self._protection.explains(stop, pc, event.address)
            address = event.address if stop in (Stop.BUS, Stop.PROTECTED) else None
            self._exceptions.fault(*_FAULTS[stop], pc, address)
        elif stop is Stop.SVC:
            self._exceptions.supervisor_call(SVC, pc)
        elif stop is Stop.RETURN:
            self._sleep.exception_returns(self._exceptions.leave(pc | 1))
        elif stop is Stop.SLEEP:
            self._sleep.wait_for_interrupt()
        elif stop is Stop.WAIT:
            self._sleep.wait_for_event()
        elif stop in (Stop.BREAKPOINT, Stop.BKPT):
            self._debug.breakpoint(pc)
        elif stop is Stop.WATCH:
            self._watchpoint()
        elif stop is Stop.INSIDE:
            self.step()

    def _watchpoint(self) -> None:
        """Behind the instruction that matched, as it is found on silicon."""
        self._watchpoints.muted = True
        self.step()
        self._watchpoints.muted = False
        if self._debug.state == "running":
            self._debug.event(regs.DFSR_DWT)
