"""Floating-point registers of code that an exception has interrupted: FPCCR and FPCAR.

With FPCCR.LSPEN exception entry only reserves room for them; they are stored before the handler's
first floating-point instruction (DDI 0403E, section B1.5.7). Here "before" is at the start of the
block that holds it, even when a condition then skips it. FPCCR.MONRDY stays 0, and new contexts
begin with an FPSCR of 0, not of FPDSCR: that is Unicorn's doing.
"""

from __future__ import annotations

from farm.virtual import scs as regs
from farm.virtual.nvic import BUS_FAULT, MEM_MANAGE, Nvic
from farm.virtual.scs import SystemControl

_USER, _THREAD, _HFRDY = 1 << 1, 1 << 3, 1 << 4
_READY = {MEM_MANAGE: 1 << 5, BUS_FAULT: 1 << 6}


class FpContext:
    """What FPCCR says, and what exceptions make of it."""

    def __init__(self, scs: SystemControl, nvic: Nvic) -> None:
        self._scs, self._nvic, self._values = scs, nvic, scs.values

    @property
    def stacked(self) -> bool:
        """Whether exceptions reserve room for the registers: the FPU is on, and FPCCR.ASPEN."""
        return self._scs.fpu_enabled and bool(self._values[regs.FPCCR] & regs.ASPEN)

    @property
    def lazy(self) -> bool:
        """Whether they are stored only once a handler uses the FPU (FPCCR.LSPEN)."""
        return bool(self._values[regs.FPCCR] & regs.LSPEN)

    @property
    def postponed(self) -> bool:
        """Whether they wait to be stored (FPCCR.LSPACT)."""
        return bool(self._values[regs.FPCCR] & regs.LSPACT)

    @property
    def address(self) -> int:
        """Where they are to be stored (FPCAR)."""
        return self._values[regs.FPCAR]

    @property
    def privileged(self) -> bool:
        """Whether they are stored with privilege (FPCCR.USER is 0)."""
        return not self._values[regs.FPCCR] & _USER

    def postpone(self, address: int, before: int, thread: bool, user: bool) -> None:
        """An entry, at priority `before`, has left them in their places (UpdateFPCCR)."""
        flags = regs.LSPACT | (_USER if user else 0) | (_THREAD if thread else 0)
        flags |= _HFRDY if before > -1 else 0
        for number, bit in _READY.items():
            able = self._scs.fault_enabled(number) and before > self._nvic.group(number)
            flags |= bit if able else 0
        kept = self._values[regs.FPCCR] & (regs.ASPEN | regs.LSPEN)
        self._values[regs.FPCCR], self._values[regs.FPCAR] = kept | flags, address

    def settle(self) -> None:
        """They are in memory, or their owner goes on with them."""
        self._values[regs.FPCCR] &= ~regs.LSPACT
