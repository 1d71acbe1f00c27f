"""Cycles of a Cortex-M7: an in-order schedule over two issue slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from farm.virtual.decode import Block, Instr

_NARROW = ("ldrb", "ldrh", "ldrsb", "ldrsh")


@dataclass(frozen=True)
class _Class:
    """How a group of instructions issues."""

    units: tuple[str, ...]
    latency: int
    early: str = ""
    late: str = ""
    older_slot: bool = False
    alone: bool = False
    cycles: int = 1


@dataclass
class _Pipe:
    """The state of the schedule: the cycle being filled and when each register is ready."""

    cycle: int = 0
    slots: int = 0
    busy: dict[str, int] = field(default_factory=dict)
    ready: dict[int, int] = field(default_factory=dict)

    def advance(self, cycle: int) -> None:
        """Start filling `cycle`, if it is later than the one being filled."""
        if cycle > self.cycle:
            self.cycle, self.slots = cycle, 0
            self.busy.clear()

    @property
    def end(self) -> int:
        """The first cycle in which nothing was issued."""
        return self.cycle + (self.slots > 0)


class CortexM7:
    """Prices blocks with a table such as timing/m7-v1.yaml."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.table = table
        self._classes: dict[str, _Class] = {}
        for group in table["groups"]:
            facts = {key: value for key, value in group.items() if key != "names"}
            made = _class(facts)
            self._classes.update(dict.fromkeys(group["names"], made))
        self._default = _class(table["default"])
        self._shifted = _class(table["shifted_operand"])
        load, store = dict(table["load"]), table["store"]
        narrow = load.pop("latency_narrow")
        self._load, self._load_narrow = _class(load), _class({**load, "latency": narrow})
        self._store = _class(store)

    def cost(self, prev: Block | None, cur: Block, count: int | None = None) -> int:
        """Cycles that `cur` (its first `count` instructions) adds behind `prev`."""
        pipe = _Pipe()
        start = 0
        if prev is not None:
            self._issue_all(pipe, prev.instrs)
            start = pipe.end
            self._follow(pipe, prev, cur)
        self._issue_all(pipe, cur.instrs[:count])
        return max(pipe.end - start, 0)

    def _follow(self, pipe: _Pipe, prev: Block, cur: Block) -> None:
        """What the branch at the end of `prev` costs, now that its outcome is known."""
        last = prev.instrs[-1] if prev.instrs else None
        if last is None or not last.jumps:
            return
        branch = self.table["branch"]
        penalty, taken = 0, cur.address != prev.end or not last.conditional
        if last.role != "branch":
            penalty = branch["indirect"] if taken else 0
        elif last.conditional and taken:
            penalty = branch["forward_taken"] if cur.address > prev.address else 0
        elif last.conditional:
            penalty = branch["loop_exit"] if self._backward(prev) else 0
        if taken or penalty:
            pipe.advance(pipe.end + penalty)

    def _backward(self, prev: Block) -> bool:
        """Whether the branch that ends `prev` points backward."""
        return prev.instrs[-1].offset < 0

    def _issue_all(self, pipe: _Pipe, instrs: tuple[Instr, ...]) -> None:
        for instr in instrs:
            self._issue(pipe, instr)

    def _class_of(self, instr: Instr) -> _Class:
        if instr.words and instr.role != "fp_memory":
            cycles = -(-instr.words // self.table["multiple"]["words_per_cycle"])
            latency = self.table["multiple"]["latency"]
            return _Class((), latency, "address", "", alone=True, cycles=cycles)
        if instr.role == "load" or (instr.role in ("indirect", "fp_memory") and instr.address):
            if instr.name == "vstr":
                return self._store
            return self._load_narrow if instr.name in _NARROW else self._load
        if instr.role == "store":
            return self._store
        if instr.jumps:
            return _Class(("branch",), 1)
        known = self._classes.get(instr.name)
        return known or (self._shifted if instr.shifted else self._default)

    def _issue(self, pipe: _Pipe, instr: Instr) -> None:
        kind = self._class_of(instr)
        pipe.advance(self._operands_ready(pipe, instr, kind))
        while not self._fits(pipe, kind):
            pipe.advance(pipe.cycle + 1)
        if instr.name == "it":
            return
        for unit in kind.units:
            pipe.busy[unit] = pipe.busy.get(unit, 0) + 1
        pipe.slots += 1
        for register in instr.writes:
            pipe.ready[register] = pipe.cycle + (0 if register == instr.updated else kind.latency)
        if kind.alone:
            pipe.advance(pipe.cycle + kind.cycles - 1)
            pipe.slots = self.table["width"]

    def _fits(self, pipe: _Pipe, kind: _Class) -> bool:
        if pipe.slots >= self.table["width"] or (pipe.slots and (kind.alone or kind.older_slot)):
            return False
        units = self.table["units"]
        return all(pipe.busy.get(unit, 0) < units[unit] for unit in kind.units)

    def _operands_ready(self, pipe: _Pipe, instr: Instr, kind: _Class) -> int:
        """The first cycle in which every operand is there when its stage needs it."""
        cycle = pipe.cycle
        for register in instr.reads:
            ready = pipe.ready.get(register)
            if ready is not None:
                cycle = max(cycle, ready + _shift(instr, kind, register))
        return cycle


def _class(facts: Mapping[str, Any]) -> _Class:
    return _Class(**{**facts, "units": tuple(facts["units"])})


def _shift(instr: Instr, kind: _Class, register: int) -> int:
    """+1: the operand is needed a cycle early; -1: a cycle late."""
    if kind.early == "all" or register in instr.shifted:
        return 1
    if register in instr.address:
        return 1
    if kind.late == "accumulator" and register in instr.accumulators:
        return -1
    return -1 if kind.late == "data" else 0
