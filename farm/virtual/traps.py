"""Single instructions of which Unicorn does not do all that the architecture says.

The places are found when code is priced, and only they are hooked: divisions while CCR.DIV_0_TRP is
set, SEV, and MSR CONTROL, which may give up the privilege. Divisions whose cycles depend on their
operands are hooked by divisions.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import unicorn
from unicorn import arm_const

from farm.virtual.core import Core
from farm.virtual.decode import NUMBERS, Block, Instr, holds
from farm.virtual.divisions import Divisions
from farm.virtual.execution import Runner, Stop


class Traps:
    """`on_event()` after a SEV, `on_control()` before a write of CONTROL."""

    def __init__(
        self,
        core: Core,
        runner: Runner,
        timed: Divisions,
        on_event: Callable[[], None],
        on_control: Callable[[], None],
    ) -> None:
        self._core, self._runner, self._timed = core, runner, timed
        self._on_event, self._on_control = on_event, on_control
        self._hooks: dict[int, Any] = {}
        self.divisions = False  # CCR.DIV_0_TRP

    def find(self, block: Block) -> bool:
        """Hook what must be in a block that was decoded; whether there is anything new."""
        before, at = len(self._hooks), block.address
        timed = self._timed.find(block)
        for instr in block.instrs:
            call = self._call(instr)
            if call and at not in self._hooks:
                self._hooks[at] = self._core.uc.hook_add(
                    unicorn.UC_HOOK_CODE, call, begin=at, end=at
                )
            at += instr.size
        new = timed or len(self._hooks) > before
        self._runner.stale |= new
        return new

    def forget(self) -> None:
        """The code has changed."""
        for handle in self._hooks.values():
            self._core.uc.hook_del(handle)
        self._hooks.clear()
        self._timed.forget()

    def _call(self, instr: Instr) -> Callable[..., None] | None:
        if instr.name in ("sdiv", "udiv") and self.divisions:
            return lambda *_: self._divide(instr)
        calls = {"sev": self._on_event, "control": self._on_control}
        known = calls.get(instr.special)
        return (lambda *_: known()) if known else None

    def _divide(self, instr: Instr) -> None:
        flags = self._core.uc.reg_read(arm_const.UC_ARM_REG_CPSR)
        if not self._core.general(NUMBERS[instr.last]) and holds(instr.condition, flags):
            self._runner.trap(Stop.DIVIDE)
