"""The cycle count in the middle of a block: which load is reading the counter?

The hook adds a whole block when it is entered, and Unicorn does not tell which instruction of it
is running. The load that reads CYCCNT is found by its base register, which holds the counter's
address; behind it, the rest of the block is taken off.
"""

from __future__ import annotations

from farm.virtual.core import Core
from farm.virtual.decode import NUMBERS
from farm.virtual.hook import EdgeHook
from farm.virtual.pricing import Pricer

CYCCNT = 0xE0001004


class CycleReader:
    """Gives the cycles up to the instruction that reads the counter."""

    def __init__(self, core: Core, hook: EdgeHook, pricer: Pricer) -> None:
        self._core, self._counters, self._pricer = core, hook.counters, pricer
        self._hook = hook
        self._entry = -1  # the block entry of the last read
        self._index = -1  # the instruction of the last read in it

    def now(self) -> int:
        """Cycles; to the end of the block when the load is not found."""
        c = self._counters
        if c.off or not c.prev:
            return int(c.cycles)
        if self._entry != c.blocks:
            self._entry, self._index = c.blocks, -1
        index = self._find()
        if index is None:
            return int(c.cycles)
        self._index = index
        return int(c.cycles - c.cost) + self._pricer.partial(c.before, c.prev, index)

    def rewind(self, pc: int) -> None:
        """Take off what lies behind `pc` in the block that was stopped there."""
        c = self._counters
        self._hook.on_cut(pc)
        block = self._pricer.block(c.prev) if c.prev else None
        if block is not None and block.address <= pc < block.end:
            at = block.address
            for index, instr in enumerate(block.instrs):
                if at == pc:
                    c.cycles -= c.cost - self._pricer.partial(c.before, c.prev, index)
                    c.instructions -= len(block.instrs) - index
                at += instr.size
        c.prev = c.before = 0

    def _find(self) -> int | None:
        """The first load behind the last one found whose address is the counter's."""
        instrs = self._pricer.block(self._counters.prev).instrs
        for index, instr in enumerate(instrs):
            number = NUMBERS.get(instr.base)
            if index <= self._index or number is None:
                continue
            if self._core.general(number) + instr.offset & 0xFFFFFFFF == CYCCNT:
                return index
        return None
