"""What is derived from code: prices, hooks at single instructions, Unicorn's translations."""

from __future__ import annotations

from contextlib import suppress

from farm.virtual.bus import BusFault
from farm.virtual.execution import Runner
from farm.virtual.hook import Edge, EdgeHook
from farm.virtual.memory_timing import MemoryTiming
from farm.virtual.parts import Part
from farm.virtual.pricing import Pricer
from farm.virtual.scs import CCR, DIV_0_TRP, UNALIGN_TRP, SystemControl
from farm.virtual.strict import Strict
from farm.virtual.traps import Traps


class Code:
    """Prices blocks when they are met first, and forgets them when the bytes change."""

    def __init__(
        self,
        part: Part,
        pricer: Pricer,
        hook: EdgeHook,
        traps: Traps,
        strict: Strict,
        runner: Runner,
        scs: SystemControl,
        memory: MemoryTiming,
    ) -> None:
        self._part, self.pricer, self._hook = part, pricer, hook
        self._traps, self._strict, self._runner, self._scs = traps, strict, runner, scs
        self._memory = memory
        memory.attach(hook)
        self._floating = False  # an FP instruction has been seen

    def price(self, edge: Edge) -> bool:
        """Fill in a new edge; False stops the core before a block that needs a hook.

        A known edge comes again when its block is entered with an address that is not aligned.
        """
        if edge.strict:
            self._distrust(edge.cur)
            return False
        block = self.pricer.block(edge.cur, self._runner.it_state)
        floating = any(i.floating for i in block.instrs)
        self._floating |= floating
        if self._traps.find(block) | self._strict.find(edge.cur):
            return False
        edge.floating = floating and self._scs.fpu_on
        edge.cost = self.pricer.price(edge.prev, edge.cur)
        edge.instructions = len(block.instrs)
        edge.plan = self._memory.plan(edge.cur, block)
        edge.strict = self._strict.forms(edge.prev, edge.cur)
        return True

    def prepare_step(self, pc: int) -> bool:
        """Hook what the instruction at `pc` needs: a single step prices nothing beforehand.

        Whether it is one before which FP registers are to be saved.
        """
        with suppress(BusFault):  # nothing to run there: the step will tell
            block = self.pricer.block(pc | 4 << 32, self._runner.it_state)
            self._floating |= any(i.floating for i in block.instrs)
            self._traps.find(block)
            self._strict.watch(pc | 4 << 32)
            saves = bool(block.instrs) and block.instrs[0].floating and self._scs.fpu_on
            return saves and self._hook.postponed()
        return False

    def _distrust(self, block: int) -> None:
        self._look_again()
        self._strict.distrust(block)

    def _look_again(self) -> None:
        """Other hooks are needed; the code is the same, and so is what ran last."""
        c = self._hook.counters
        prev, before = c.prev, c.before
        self.forget()
        c.prev, c.before = prev, before

    def follow(self) -> bool:
        """Watch what CCR and CPACR ask for; whether that needs other hooks."""
        found = self._follow_fpu()
        control = self._scs.values[CCR]
        divisions, words = bool(control & DIV_0_TRP), bool(control & UNALIGN_TRP)
        if (divisions, words) == (self._traps.divisions, self._strict.all_words):
            return found
        self._traps.divisions, self._strict.all_words = divisions, words
        self.forget()
        return True

    def _follow_fpu(self) -> bool:
        """FP instructions of an FPU that not all code may use; code without any knows no change."""
        watched = not self._scs.fpu_enabled
        if watched is self._traps.floating:
            return False
        self._traps.floating = watched
        if not self._floating:
            return False
        self._look_again()
        return True

    def flash_changes(self, offset: int, size: int) -> None:
        """Flash is about to change behind the core's back."""
        for base in (self._part.flash_base, *self._part.flash_aliases):
            self.changes(base + offset, size)

    def changes(self, address: int, size: int) -> None:
        """Bytes are about to change behind the core's back."""
        if self.pricer.holds(address, size) or self._memory.holds(address, size):
            self.forget()

    def follow_protection(self) -> None:
        """The MPU may have changed what is cached."""
        if self._memory.follow_protection():
            self.forget()

    def forget(self) -> None:
        """Drop all that was derived."""
        self.pricer.forget()
        self._hook.forget()
        self._memory.forget()
        self._traps.forget()
        self._strict.forget()
        self._floating = False
        self._runner.stale = True
