"""Single instructions of which Unicorn does not do all that the architecture says.

The places are found when code is priced, and only they are hooked: divisions while CCR.DIV_0_TRP is
set, FP instructions while CPACR does not let all code use the FPU, SEV, and MSR CONTROL, which may
give up the privilege. Divisions whose cycles depend on their operands are hooked by divisions.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import unicorn

from farm.virtual.core import Core
from farm.virtual.decode import NUMBERS, Block, Instr
from farm.virtual.divisions import Divisions
from farm.virtual.execution import Runner, Stop
from farm.virtual.scs import SystemControl


class Traps:
    """`on_event()` after a SEV, `on_control()` before a write of CONTROL."""

    def __init__(
        self,
        core: Core,
        runner: Runner,
        timed: Divisions,
        scs: SystemControl,
        on_event: Callable[[], None],
        on_control: Callable[[], None],
    ) -> None:
        self._core, self._runner, self._timed = core, runner, timed
        self._scs, self._on_event, self._on_control = scs, on_event, on_control
        self._hooks: dict[int, Any] = {}
        self.divisions = False  # CCR.DIV_0_TRP
        self.floating = False  # not all code may use the FPU

    def find(self, block: Block) -> bool:
        """Hook what must be in a block that was decoded; whether there is anything new."""
        new, at = self._timed.find(block), block.address
        for instr in block.instrs:
            judge = self._judge(instr)
            if judge and instr.conditional:
                new |= self._runner.exits.add(at, judge)
            else:
                new |= self._hook(at, self._call(instr, judge))
            at += instr.size
        self._runner.stale |= new
        return new

    def _hook(self, at: int, call: Callable[..., None] | None) -> bool:
        if not call or at in self._hooks:
            return False
        kind = unicorn.UC_HOOK_CODE
        self._hooks[at] = self._core.uc.hook_add(kind, call, begin=at, end=at)
        return True

    def forget(self) -> None:
        """The code has changed."""
        for handle in self._hooks.values():
            self._core.uc.hook_del(handle)
        self._hooks.clear()
        self._runner.exits.forget()
        self._timed.forget()

    def _call(
        self, instr: Instr, judge: Callable[[], Stop | None] | None
    ) -> Callable[..., None] | None:
        if judge:
            return lambda *_: self._refuse(judge())
        calls = {"sev": self._on_event, "control": self._on_control}
        known = calls.get(instr.special)
        return (lambda *_: known()) if known else None

    def _refuse(self, stop: Stop | None) -> None:
        if stop:
            self._runner.trap(stop)

    def _judge(self, instr: Instr) -> Callable[[], Stop | None] | None:
        """Tells, just before an instruction, what it leads to; None: nothing ever."""
        if instr.name in ("sdiv", "udiv") and self.divisions:
            divisor = NUMBERS[instr.last]
            return lambda: None if self._core.general(divisor) else Stop.DIVIDE
        return self._without_fpu if instr.floating and self.floating else None

    def _without_fpu(self) -> Stop | None:
        allowed = self._scs.fpu_enabled or (self._scs.fpu_on and self._core.privileged)
        return None if allowed else Stop.NO_FPU
