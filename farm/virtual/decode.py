"""Machine code as the cycle tables see it: instructions with their registers and roles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import capstone
from capstone import arm

_LOADS = frozenset({"ldr", "ldrb", "ldrh", "ldrsb", "ldrsh", "ldrt", "ldrex", "ldrexb", "ldrexh"})
_STORES = frozenset({"str", "strb", "strh", "strt", "strex", "strexb", "strexh"})
_MULTIPLE = frozenset({"ldm", "ldmdb", "stm", "stmdb", "push", "pop", "ldrd", "strd"})
_FP_MULTIPLE = frozenset({"vldmia", "vldmdb", "vstmia", "vstmdb", "vpush", "vpop"})
_ACCUMULATING = (
    *("mla", "mls", "smla", "smlad", "smlsd", "smmla", "smmls"),
    *("umlal", "smlal", "smlsl", "umaal"),
)
_FP_ACCUMULATING = ("vmla", "vmls", "vnmla", "vnmls", "vfma", "vfms", "vfnma", "vfnms")
_STACK = ("push", "pop", "vpush", "vpop")
_AT = 0x100000  # where single instructions are decoded: only offsets are kept
_SEV = b"\x40\xbf"
_CONTROL = (arm.ARM_SYSREG_CONTROL, 20)  # capstone's number, or that of the encoding (SYSm)
NUMBERS = {  # of the general registers, by capstone's
    **{arm.ARM_REG_R0 + n: n for n in range(13)},
    arm.ARM_REG_SP: 13,
    arm.ARM_REG_LR: 14,
}
_SHIFTS = frozenset({"lsl", "lsr", "asr", "ror", "rrx"})


@dataclass(frozen=True)
class Instr:
    """One instruction; registers are capstone's numbers."""

    name: str
    size: int = 2
    role: str = "alu"  # alu, load, store, multiple, fp_memory, branch, indirect, table, fp
    reads: frozenset[int] = frozenset()
    writes: frozenset[int] = frozenset()
    address: frozenset[int] = frozenset()
    shifted: frozenset[int] = frozenset()
    accumulators: frozenset[int] = frozenset()
    updated: int = 0  # the base register that a load or store writes back
    words: int = 0  # moved by a load or store of more than one word
    conditional: bool = False
    register_offset: bool = False
    base: int = 0  # of a load with an immediate offset: which load reads a device register?
    offset: int = 0  # of that load, or of a branch's target from the branch
    last: int = 0  # the last register operand: the divisor of a division
    dividend: int = 0  # the one before it
    special: str = ""  # "sev", or "control": a write of CONTROL
    double: bool = False  # arithmetic in double precision
    sets_flags: bool = False
    condition: int = 14  # in an IT block, by its number; 14: always

    @property
    def jumps(self) -> bool:
        """Whether it may change the program counter."""
        return self.role in ("branch", "indirect", "table")

    @property
    def floating(self) -> bool:
        """Whether it needs the FPU."""
        return self.role in ("fp", "fp_memory") or (self.role == "multiple" and self.name[0] == "v")


@dataclass(frozen=True)
class Block:
    """A straight run of instructions; `address` and `size` in bytes."""

    address: int
    size: int
    instrs: tuple[Instr, ...]

    @property
    def end(self) -> int:
        """The address behind it."""
        return self.address + self.size

    @property
    def first_is_split(self) -> bool:
        """Whether its first instruction is 32 bits wide and crosses a word."""
        return bool(self.instrs) and self.instrs[0].size == 4 and self.address % 4 == 2


def _engine(mode: int) -> Any:
    engine = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | mode)
    engine.detail = True
    return engine


@lru_cache(maxsize=1)
def _engines() -> tuple[Any, ...]:
    """Version 8 is tried second: it knows VSEL and VRINT of the Cortex-M7."""
    return _engine(capstone.CS_MODE_MCLASS), _engine(capstone.CS_MODE_V8)


def _role(name: str, writes_pc: bool) -> str:
    roles = ((_LOADS, "load"), (_STORES, "store"), (_MULTIPLE | _FP_MULTIPLE, "multiple"))
    if name in ("b", "bl", "cbz", "cbnz"):
        return "branch"
    if name in ("tbb", "tbh"):
        return "table"
    if writes_pc and name not in _MULTIPLE and name not in _LOADS:
        return "indirect"
    if name in ("vldr", "vstr"):
        return "fp_memory"
    for names, role in roles:
        if name in names:
            return "indirect" if writes_pc else role
    return "fp" if name.startswith("v") or name == "fmstat" else "alu"


def _words(instr: Any, name: str, registers: list[int]) -> int:
    if name in ("ldrd", "strd"):
        return 2
    if name in ("vldr", "vstr"):
        return 2 if instr.reg_name(registers[0]).startswith("d") else 0
    if name not in _MULTIPLE and name not in _FP_MULTIPLE:
        return 0
    data = registers if name in _STACK else registers[1:]
    return sum(2 if instr.reg_name(r).startswith("d") else 1 for r in data)


@lru_cache(maxsize=16384)
def _decode(code: bytes) -> Instr:
    """The instruction in `code` (2 or 4 bytes); context (IT) is added by the caller."""
    for engine in _engines():
        for found in engine.disasm(code, _AT, 1):
            return _describe(engine, found)
    return Instr("unknown", len(code))


def _describe(engine: Any, found: Any) -> Instr:
    name = engine.insn_name(found.id)
    reads, writes = (frozenset(regs) for regs in found.regs_access())
    registers = [op.reg for op in found.operands if op.type == arm.ARM_OP_REG]
    memory = [op.mem for op in found.operands if op.type == arm.ARM_OP_MEM]
    role = _role(name, arm.ARM_REG_PC in writes)
    words = _words(found, name, registers)
    base = _base(name, registers, memory, words)
    pc = frozenset({arm.ARM_REG_PC})
    return Instr(
        name,
        found.size,
        role,
        reads=reads - pc,
        writes=writes - pc,
        address=frozenset({base, memory[0].index if memory else 0}) - pc - {0},
        shifted=_shifted(name, found.operands),
        accumulators=_accumulators(name, registers),
        updated=base if found.writeback or name in _STACK else 0,
        words=words,
        conditional=name in ("cbz", "cbnz") or (name == "b" and found.cc != arm.ARM_CC_AL),
        register_offset=bool(memory and memory[0].index),
        base=base if role == "load" and not memory[0].index else 0,
        offset=_offset(role, found.operands, memory),
        last=registers[-1] if registers else 0,
        dividend=registers[-2] if len(registers) > 1 else 0,
        special=_special(name, found),
        double=role == "fp" and ".f64" in found.mnemonic,
        sets_flags=found.update_flags or arm.ARM_REG_CPSR in writes,
    )


def _special(name: str, found: Any) -> str:
    if bytes(found.bytes) == _SEV:
        return "sev"
    writes = name == "msr" and found.operands[0].reg in _CONTROL
    return "control" if writes else ""


def _base(name: str, registers: list[int], memory: list[Any], words: int) -> int:
    if memory:
        return int(memory[0].base)
    if name in _STACK:
        return int(arm.ARM_REG_SP)
    return registers[0] if words and registers else 0


def _shifted(name: str, operands: list[Any]) -> frozenset[int]:
    if name in _SHIFTS:
        return frozenset()
    return frozenset(op.reg for op in operands if op.type == arm.ARM_OP_REG and op.shift.type)


def _accumulators(name: str, registers: list[int]) -> frozenset[int]:
    if name in _FP_ACCUMULATING:
        return frozenset(registers[:1])
    if len(registers) != 4 or not name.startswith(_ACCUMULATING):
        return frozenset()
    long = "lal" in name or "lsl" in name or name == "umaal"
    return frozenset(registers[:2] if long else registers[3:])


def _offset(role: str, operands: list[Any], memory: list[Any]) -> int:
    if role == "branch":
        return int(operands[-1].imm) - _AT
    return int(memory[0].disp) if role == "load" else 0


def decode_block(
    address: int, size: int, fetch: Callable[[int, int], bytes], state: int = 0
) -> Block:
    """The block of `size` bytes at `address`; bytes come from fetch(address, size).

    `state`: ITSTATE of the architecture, when the block begins inside an IT block.
    """
    code = fetch(address, size)
    instrs: list[Instr] = []
    at, predicated = 0, _predicated(state)
    while at + 2 <= len(code):
        wide = code[at + 1] >> 3 >= 0b11101
        instr = _decode(code[at : at + (4 if wide else 2)])
        if predicated:
            instr = replace(instr, conditional=True, condition=state >> 4)
            predicated -= 1
            state = state & 0xE0 | state << 1 & 0x1F  # ITAdvance() of the architecture
        if instr.name == "it":
            state = code[at]
            predicated = _predicated(state)
        instrs.append(instr)
        at += 4 if wide else 2
    return Block(address, size, tuple(instrs))


def _predicated(state: int) -> int:
    """How many instructions of an IT block are left."""
    mask = state & 15
    return 5 - (mask & -mask).bit_length() if mask else 0


def holds(condition: int, flags: int) -> bool:
    """Whether a condition holds with these flags in bits 31 to 28 (DDI 0403E, table A7-1)."""
    n, z, c, v = (bool(flags >> bit & 1) for bit in (31, 30, 29, 28))
    true = (z, c, n, v, c and not z, n == v, n == v and not z, True)[condition >> 1]
    return true is not bool(condition & 1) or condition >= 14
