"""Running the core: slices, and what to do each time Unicorn stops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import unicorn

from farm.virtual.bus import BusFault
from farm.virtual.core import Core
from farm.virtual.exception_state import ExceptionState
from farm.virtual.exits import Exits
from farm.virtual.hook import EdgeHook

_UNTIL = 0xFFFFFFF0  # never reached: an exception return is seen first
_INTR_SVC, _INTR_BKPT, _INTR_NOCP = 2, 7, 17
_INTR_FETCH = (3, 8)
_WFI, _WFE, _YIELD = 0xBF30, 0xBF20, 0xBF10
_LINK_FIRST = 0xFFFFFFE0
_SPACE = 0xFFFFFFFF


class Stop(Enum):
    """Why the core stopped."""

    SLICE = auto()  # by the block hook: budget, event or request
    SLEEP = auto()  # WFI
    WAIT = auto()  # WFE
    HINT = auto()  # YIELD: go on
    SVC = auto()
    BKPT = auto()
    RETURN = auto()  # EXC_RETURN loaded into the PC
    BREAKPOINT = auto()  # a comparator of the breakpoint unit
    NO_FPU = auto()
    FETCH = auto()  # nothing executable there
    UNDEFINED = auto()
    STATE = auto()  # jump without the Thumb bit
    BUS = auto()  # data access that nothing answers
    PROTECTED = auto()  # data access that the memory protection unit forbids
    NO_EXECUTE = auto()  # instruction that it forbids
    WATCH = auto()  # a comparator of the DWT matched; the instruction is still to be finished
    DIVIDE = auto()  # by zero, with CCR.DIV_0_TRP
    UNALIGNED = auto()
    INSIDE = auto()  # at an exit in an IT block where nothing is wrong: step over it
    STEPPED = auto()


@dataclass(frozen=True)
class Event:
    """One stop: where the core is now, and the faulting address of BUS and PROTECTED."""

    stop: Stop
    pc: int
    address: int = 0


class Runner:
    """Starts the core and tells why it stopped."""

    def __init__(
        self,
        core: Core,
        hook: EdgeHook,
        state: ExceptionState,
        fetch: Callable[[int, int], bytes],
    ) -> None:
        self._core, self._hook, self._state, self._fetch = core, hook, state, fetch
        self._fault_at: int | None = None
        self._fetch_at = 0  # where code was met that may not run
        self.opens: Callable[[int], bool] = lambda _address: False  # may it run from now on?
        self._skip: int | None = None
        self._remembers = False  # Unicorn has the rights of a page that may change its mind
        self._trap: tuple[Stop, int] | None = None
        self._undo: Callable[[], object] | None = None
        self._breakpoints: dict[int, Any] = {}
        self.exits = Exits(core, fetch)
        self.stale = False  # translated code may be out of date
        self.active = False  # inside Unicorn
        if not hook.native:
            core.uc.hook_add(unicorn.UC_HOOK_INTR, self._on_intr)
        core.uc.hook_add(unicorn.UC_HOOK_MEM_UNMAPPED, self._on_unmapped)
        core.uc.hook_add(unicorn.UC_HOOK_MEM_FETCH_PROT, self._on_fetch)

    @property
    def it_state(self) -> int:
        """Of the block that is about to run: not 0 when it begins inside an IT block."""
        return self._core.it_state

    def set_breakpoints(self, addresses: set[int]) -> None:
        """Stop before the instructions at these addresses, and no others."""
        uc = self._core.uc
        for address in set(self._breakpoints) - addresses:
            uc.hook_del(self._breakpoints.pop(address))
            self.stale = True
        for address in addresses - set(self._breakpoints):
            kind = unicorn.UC_HOOK_CODE
            handle = uc.hook_add(kind, self._on_breakpoint, begin=address, end=address)
            self._breakpoints[address] = handle
            self.stale = True

    def trap(self, stop: Stop, address: int = 0, undo: Callable[[], object] | None = None) -> None:
        """For hooks: end the run at the instruction that runs now, as if it had not started.

        `undo()` is called once the core has stopped.
        """
        if self._trap is None:
            self._trap, self._undo = (stop, address), undo
        self._core.uc.emu_stop()

    def forget_pages(self) -> None:
        """For hooks: Unicorn remembers a page that was let through; stop soon, and forget it."""
        self._remembers = True
        self._hook.counters.stop = 1

    def note_fault(self, address: int) -> None:
        """For hooks: where an access failed, if the run ends by that."""
        self._fault_at = address

    def run(self, skip: bool = False) -> Event:
        """Run until something happens; `skip`: not on a breakpoint at the first instruction."""
        self._hook.counters.stopped = 0
        if not self._core.thumb:  # a slice has ended behind the jump: starting sets the T bit
            return Event(Stop.STATE, self._core.pc)
        if self._breakpoints or self.exits.used:
            self.stale |= self.exits.arm(self._breakpoints)
            if self._core.pc in self.exits:
                return self._at_exit(self._core.pc, skip)
        return self._start(0, skip)

    def step(self) -> Event:
        """Run one instruction, uncounted."""
        pc = self._core.pc
        wrong = self.exits.judge(pc)
        if wrong:
            return Event(wrong, pc)
        self.exits.arm_step(pc)
        self._hook.counters.off = 1
        self.stale = True  # translations of a whole block ignore the count
        event = self._start(1, skip=True)
        self._hook.counters.off = 0
        self.stale = True
        return event

    def _start(self, count: int, skip: bool) -> Event:
        core = self._core
        self._fault_at = self._trap = None
        self._state.intr = 0
        if self._remembers:
            core.uc.ctl(unicorn.UC_CTL_TLB_FLUSH, unicorn.UC_CTL_IO_WRITE)
            self._remembers = False
        if self.stale:
            core.uc.ctl_flush_tb()
            self.stale = False
        pc, error = core.pc, self._emulate(core.pc, count, skip)
        last = (-1, -1)
        while error == unicorn.UC_ERR_FETCH_PROT and (core.pc, self._fetch_at) != last:
            last = (core.pc, self._fetch_at)
            if not self.opens(self._fetch_at):
                break
            error = self._emulate(core.pc, count, skip and core.pc == pc)
        if self._undo:
            self._undo()
            self._undo = None
        return self._classify(error, core.pc, count)

    def _emulate(self, pc: int, count: int, skip: bool) -> int | None:
        """Unicorn's error, if it stopped by one."""
        self._skip = pc & ~1 if skip else None
        self.active = True
        try:
            self._core.uc.emu_start(pc | 1, _UNTIL, count=count)
        except unicorn.UcError as caught:
            return int(caught.errno)
        finally:
            self.active = False
        return None

    def _classify(self, error: int | None, pc: int, count: int) -> Event:
        if self._trap:
            return Event(self._trap[0], pc, self._trap[1])
        if self._state.intr:
            return Event(self._interrupt(self._state.intr, pc), pc)
        if error is not None:
            return self._failure(error, pc)
        if self._hook.counters.stopped:
            return Event(Stop.SLICE, pc)
        if pc in self.exits and not count:
            return self._at_exit(pc, skip=False)
        done = Stop.STEPPED if count else Stop.SLICE
        return Event(Stop.SLEEP if self._halfword(pc - 2) == _WFI else done, pc)

    def _at_exit(self, pc: int, skip: bool) -> Event:
        if pc in self._breakpoints and not skip:
            return Event(Stop.BREAKPOINT, pc)
        return Event(self.exits.judge(pc) or Stop.INSIDE, pc)

    def _interrupt(self, number: int, pc: int) -> Stop:
        if number in _INTR_FETCH:
            link = pc >= _LINK_FIRST and self._core.ipsr
            return Stop.RETURN if link else Stop.FETCH
        known = {_INTR_SVC: Stop.SVC, _INTR_BKPT: Stop.BKPT, _INTR_NOCP: Stop.NO_FPU}
        return known.get(number, Stop.UNDEFINED)

    def _failure(self, error: int, pc: int) -> Event:
        """What an error of Unicorn means to the architecture."""
        if error == unicorn.UC_ERR_INSN_INVALID:
            if not self._core.thumb:
                return Event(Stop.STATE, pc)
            return Event(self._hint(pc), pc)
        fetching = (unicorn.UC_ERR_FETCH_UNMAPPED, unicorn.UC_ERR_FETCH_PROT)
        if error in fetching:
            return Event(Stop.FETCH, pc)
        return Event(Stop.BUS, pc, self._fault_at if self._fault_at is not None else 0)

    def _hint(self, pc: int) -> Stop:
        """Unicorn refuses WFE and YIELD, with the PC already behind them."""
        started_here = self._hook.counters.prev & _SPACE == pc
        hints = {_WFE: Stop.WAIT, _YIELD: Stop.HINT}
        return Stop.UNDEFINED if started_here else hints.get(self._halfword(pc - 2), Stop.UNDEFINED)

    def _halfword(self, address: int) -> int:
        try:
            return int.from_bytes(self._fetch(address, 2), "little")
        except BusFault:
            return 0

    def _on_intr(self, uc: Any, number: int, _user: Any) -> None:
        """Only notes the exception: registers are changed once Unicorn has returned."""
        self._state.intr = number
        uc.emu_stop()

    def _on_unmapped(self, _uc: Any, _t: int, address: int, _s: int, _v: int, _u: Any) -> bool:
        self._fault_at = address & _SPACE
        return False

    def _on_fetch(self, _uc: Any, _t: int, address: int, _s: int, _v: int, _u: Any) -> bool:
        self._fetch_at = address & _SPACE
        return False

    def _on_breakpoint(self, _uc: Any, address: int, _size: int, _user: Any) -> None:
        skipped, self._skip = self._skip, None
        if skipped != address:
            self.trap(Stop.BREAKPOINT)
