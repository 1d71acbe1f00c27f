"""Cycles of a Cortex-M7: an in-order schedule over two issue slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from farm.virtual.decode import NUMBERS, Block, Instr

_NARROW = ("ldrb", "ldrh", "ldrsb", "ldrsh")


@dataclass(frozen=True)
class _Class:
    """How a group of instructions issues; the table files explain the fields."""

    units: tuple[str, ...]
    latency: int
    early: str = ""
    late: str = ""
    late_by: int = 1
    older_slot: bool = False
    alone: bool = False
    cycles: int = 1
    holds: int = 0
    early_alu: str = ""
    multiplicand: int = 0
    chain: int = 0


@dataclass(frozen=True)
class _Result:
    """From which cycle on a register can be used, by who wants it."""

    ready: int
    early: int
    multiplicand: int
    accumulator: int


@dataclass
class _Pipe:
    """The state of the schedule: the cycle being filled and when each register is ready."""

    cycle: int = 0
    slots: int = 0
    held: int = 0  # no other cycle may be filled before this one
    busy: dict[str, int] = field(default_factory=dict)
    loads: list[Instr] = field(default_factory=list)
    ready: dict[int, _Result] = field(default_factory=dict)
    last: int = 0  # the cycle of the last instruction
    flags: int = -99  # the cycle of the last one that set flags

    def advance(self, cycle: int) -> None:
        """Start filling `cycle`, if it is later than the one being filled."""
        if cycle > self.cycle:
            self.cycle, self.slots = max(cycle, self.held), 0
            self.busy.clear()
            self.loads.clear()

    @property
    def end(self) -> int:
        """The first cycle in which nothing was issued."""
        return max(self.cycle + (self.slots > 0), self.held)


class CortexM7:
    """Prices blocks with a table such as timing/m7-v1.yaml."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.table = table
        self._classes: dict[tuple[str, bool], _Class] = {}
        for group in table["groups"]:
            facts = {key: value for key, value in group.items() if key not in ("names", "double")}
            made, double = _class(facts), group.get("double", False)
            self._classes.update(dict.fromkeys(((n, double) for n in group["names"]), made))
        self._default = _class(table["default"])
        self._shifted = _class(table["shifted_operand"])
        load, store = dict(table["load"]), table["store"]
        narrow, self._banks = load.pop("latency_narrow"), load.pop("banks", False)
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
            penalty = self._loop_exit(pipe) if self._backward(prev) else 0
        if taken or penalty:
            pipe.advance(pipe.end + penalty)

    def _loop_exit(self, pipe: _Pipe) -> int:
        """A branch predicted wrongly; less when its flags were there early."""
        branch = self.table["branch"]
        early = branch.get("flags_early")
        if early is not None and pipe.last - pipe.flags >= early["distance"]:
            return int(early["loop_exit"])
        return int(branch["loop_exit"])

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
            return _Class((), latency, "address", alone=True, cycles=cycles)
        if instr.role == "load" or (instr.role in ("indirect", "fp_memory") and instr.address):
            return self._memory(instr)
        if instr.role == "store":
            return self._store
        if instr.jumps:
            return _Class(("branch",), 1)
        return self._plain(instr)

    def _memory(self, instr: Instr) -> _Class:
        if instr.words == 2 and "fp_double" in self.table:
            return _class(self.table["fp_double"])
        if instr.name == "vstr":
            return self._store
        return self._load_narrow if instr.name in _NARROW else self._load

    def _plain(self, instr: Instr) -> _Class:
        name = instr.name
        if name == "vmov" and any(r in NUMBERS for r in instr.writes):
            name = "vmov_to_core"
        double = instr.double and (name, True) in self._classes
        known = self._classes.get((name, double)) or self._classes.get((instr.name, double))
        if known and not (known.early_alu and instr.shifted):
            return known
        return self._shifted if instr.shifted else self._default

    def _issue(self, pipe: _Pipe, instr: Instr) -> None:
        kind = self._class_of(instr)
        pipe.advance(self._operands_ready(pipe, instr, kind))
        while not self._fits(pipe, instr, kind):
            pipe.advance(pipe.cycle + 1)
        if instr.name == "it":
            return
        self._write(pipe, instr, kind)
        for unit in kind.units:
            pipe.busy[unit] = pipe.busy.get(unit, 0) + 1
        if instr.role == "load":
            pipe.loads.append(instr)
        pipe.slots += 1
        pipe.last = pipe.cycle
        if kind.alone:
            pipe.advance(pipe.cycle + kind.cycles - 1)
            pipe.slots = self.table["width"]
        if kind.holds:
            pipe.held = pipe.cycle + kind.holds

    def _write(self, pipe: _Pipe, instr: Instr, kind: _Class) -> None:
        """When the results of an instruction that is being issued can be used."""
        cycle, early = pipe.cycle, self._in_early_alu(pipe, instr, kind)
        pipe.flags = cycle if instr.sets_flags else pipe.flags
        for register in instr.writes:
            at_once = register == instr.updated or early
            ready = cycle + (0 if at_once else kind.latency)
            chain = cycle + kind.chain if kind.chain else ready
            pipe.ready[register] = _Result(ready, ready + 1, ready + kind.multiplicand, chain)

    def _in_early_alu(self, pipe: _Pipe, instr: Instr, kind: _Class) -> bool:
        """Whether it is done a stage before the other one's: seen in the same cycle by those."""
        if not kind.early_alu or (kind.early_alu == "older" and pipe.slots):
            return False
        known = (pipe.ready[r] for r in instr.reads if r in pipe.ready)
        return not pipe.busy.get("shift") and all(r.early <= pipe.cycle for r in known)

    def _fits(self, pipe: _Pipe, instr: Instr, kind: _Class) -> bool:
        if pipe.slots >= self.table["width"] or (pipe.slots and (kind.alone or kind.older_slot)):
            return False
        units = self.table["units"]
        if any(pipe.busy.get(unit, 0) >= units[unit] for unit in kind.units):
            return False
        return not (self._banks and any(_same_bank(instr, other) for other in pipe.loads))

    def _operands_ready(self, pipe: _Pipe, instr: Instr, kind: _Class) -> int:
        """The first cycle in which every operand is there when its stage needs it."""
        cycle = pipe.cycle
        for register in instr.reads:
            result = pipe.ready.get(register)
            if result is not None:
                cycle = max(cycle, _wanted(instr, kind, register, result))
        return cycle


def _class(facts: Mapping[str, Any]) -> _Class:
    return _Class(**{**facts, "units": tuple(facts["units"])})


def _wanted(instr: Instr, kind: _Class, register: int, result: _Result) -> int:
    """The first cycle in which the instruction may issue, as far as this operand goes."""
    if kind.early == "all" or register in instr.shifted or register in instr.address:
        return result.early
    if register in instr.accumulators:
        if kind.late == "accumulator":
            return result.ready - 1
        if kind.late == "chain":
            return result.accumulator
    if kind.late == "data":
        return result.ready - kind.late_by
    return result.multiplicand if kind.late == "accumulator" else result.ready


def _same_bank(one: Instr, other: Instr) -> bool:
    """Whether two loads are known to want the same half of a doubleword at a time."""
    known = one.role == "load" and one.base == other.base in NUMBERS
    return known and not (one.offset ^ other.offset) & 4
