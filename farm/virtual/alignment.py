"""Which addresses must be aligned, as sums of registers modulo 4.

A core of Armv7-M refuses an unaligned address in every load and store of more than one word, of a
floating point register, and in the exclusive ones; with CCR.UNALIGN_TRP in all of them (DDI 0403E,
section A3.2.1). A form is the value of a register or an address modulo 4: two bits for the factor
of each of R0 to R14, in bits 31:30 a constant, and above them two bits for each word that the block
loads from the stack. Followed through a block, it tells what an address will be when the block
begins. The stack pointer is always a multiple of 4 (section B1.4.1), and so is the PC as a base.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from capstone import arm

from farm.virtual.decode import Block, Instr

_SP, _PC = 13, 15
_NUMBERS = {
    **{arm.ARM_REG_R0 + n: n for n in range(13)},
    arm.ARM_REG_SP: 13,
    arm.ARM_REG_LR: 14,
}
_EVEN, _LANES = 0x3333333333333333, 0x5555555555555555
_CONSTANT, _WORDS = 30, 32  # their positions in a form
_MOST_WORDS = 16
_STORES = ("st", "push", "vst", "vpush")

Known = list[int | None]
"""A form for each of R0 to R15; None: not known."""


@dataclass(frozen=True)
class Access:
    """A load or store whose address must be a multiple of 4: `now` and `entry` must be 0.

    `now` is a form of the registers just before it, `entry` of those with which the block begins
    (None: not known). Where a multiple of 2 is enough, both are of twice the address. `base` is the
    number of the register that the address is made of, -1 where there are two.
    """

    address: int
    now: int
    entry: int | None
    instr: Instr
    base: int


@dataclass(frozen=True)
class Alignment:
    """What a block needs, and the form of each register behind it, both as it begins."""

    accesses: tuple[Access, ...]
    behind: tuple[int | None, ...]
    words: tuple[int, ...]  # loaded from the stack: their offsets from SP at the block's start

    @cached_property
    def needed(self) -> tuple[int, ...]:
        """The forms that must be 0 when it begins."""
        return tuple(dict.fromkeys(a.entry for a in self.accesses if a.entry))

    def used(self, form: int) -> tuple[int, ...]:
        """The offsets from SP of the words that a form is made of."""
        return tuple(o for n, o in enumerate(self.words) if form >> _WORDS + 2 * n & 3)

    def implied(self, form: int) -> bool:
        """Whether a form of the registers behind the block is 0 if all that it needs are."""
        if form >> _WORDS:
            return False
        total: int | None = _constant(form >> _CONSTANT)
        for number in range(_PC):
            factor = form >> 2 * number & 3
            if factor:
                total = _sum(total, _times(self.behind[number], factor))
        return total == 0 or (
            total is not None and bool({total, _times(total, 3)} & {*self.needed})
        )


def align(block: Block, code: bytes, all_words: bool) -> Alignment:
    """The alignment of a block whose bytes are `code`; `all_words`: CCR.UNALIGN_TRP is set."""
    known: Known = [*(1 << 2 * n for n in range(_PC)), 0]
    known[_SP] = 0
    fresh, stack = list(known), _Stack()
    accesses, at = [], 0
    for instr in block.instrs:
        first = int.from_bytes(code[at : at + 2], "little")
        second = int.from_bytes(code[at + 2 : at + 4], "little") if instr.size == 4 else -1
        now = _address(first, second, fresh, all_words)
        if now:
            entry = _address(first, second, known, all_words)
            base = _base(first, second)
            accesses.append(Access(block.address + at, now, entry, instr, base))
        _follow(first, second, instr, known, stack)
        at += instr.size
    return Alignment(tuple(accesses), tuple(known), tuple(stack.words))


def _follow(first: int, second: int, instr: Instr, known: Known, stack: _Stack) -> None:
    """What the instruction does to the forms."""
    before = list(known)
    for register in instr.writes | {instr.updated}:
        if register in _NUMBERS:
            known[_NUMBERS[register]] = None
    result = _result(first, second, before)
    if result:
        known[result[0]] = result[1]
    _use_stack(first, second, instr, (before, known), stack)
    known[_SP] = known[_PC] = 0
    if instr.conditional:
        for number, form in enumerate(before):
            known[number] = form if known[number] == form else None


def _use_stack(
    first: int, second: int, instr: Instr, forms: tuple[Known, Known], stack: _Stack
) -> None:
    """Words that the instruction loads from the stack or stores there; forms before and behind."""
    before, known = forms
    slots, stores = _slots(first, second), instr.name.startswith(_STORES)
    for register, offset in slots:
        if not stores:
            known[register] = stack.load(offset)
        elif not instr.conditional:
            stack.slots[offset] = before[register]
    elsewhere = stores and (not slots or instr.conditional)
    if elsewhere or arm.ARM_REG_SP in instr.writes | {instr.updated}:
        stack.lose()


class _Stack:
    """What the block finds on the stack, as long as nothing else may have been stored there."""

    def __init__(self) -> None:
        self.words: list[int] = []
        self.slots: dict[int, int | None] = {}  # by the offset from SP
        self._lost = False

    def lose(self) -> None:
        """A store that may have gone anywhere, or SP has moved."""
        self._lost = True

    def load(self, offset: int) -> int | None:
        """The form of a word."""
        if self._lost:
            return None
        if offset not in self.slots:
            if len(self.words) >= _MOST_WORDS:
                return None
            self.slots[offset] = 1 << _WORDS + 2 * len(self.words)
            self.words.append(offset)
        return self.slots[offset]


def _slots(first: int, second: int) -> list[tuple[int, int]]:
    """(register, offset from SP) of each whole word that an instruction loads or stores there."""
    if second < 0:
        return [(first >> 8 & 7, 4 * (first & 0xFF))] if first >> 12 == 0b1001 else []
    if first in (0xF8CD, 0xF8DD):
        return [(second >> 12, second & 0xFFF)]
    if first in (0xE9CD, 0xE9DD):
        offset = 4 * (second & 0xFF)
        return [(second >> 12, offset), (second >> 8 & 15, offset + 4)]
    return []


# -- arithmetic modulo 4 -----------------------------------------------------------------------


def _constant(value: int) -> int:
    return (value & 3) << _CONSTANT


def _sum(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return None
    low = (a & _EVEN) + (b & _EVEN) & _EVEN
    high = (a >> 2 & _EVEN) + (b >> 2 & _EVEN) & _EVEN
    return low | high << 2


def _times(a: int | None, factor: int) -> int | None:
    if factor & 3 == 0:
        return 0
    if a is None:
        return None
    double = (a & _LANES) << 1
    return (a, double, _sum(a, double))[(factor & 3) - 1]


def _product(a: int | None, b: int | None) -> int | None:
    for one, other in ((a, b), (b, a)):
        if one is not None and one == _constant(one >> _CONSTANT):
            return _times(other, one >> _CONSTANT)
    return None


# -- addresses ---------------------------------------------------------------------------------


def _address(first: int, second: int, known: Known, all_words: bool) -> int | None:
    """The form that must be 0; 0: any address is right; None: not known."""
    form = _strict(first, second, known)
    if form != 0 or not all_words:
        return form
    return _plain(first, known) if second < 0 else _plain_wide(first, second, known)


def _base(first: int, second: int) -> int:
    if second < 0:
        by_register = first >> 12 == 0b0101
        return -1 if by_register else first >> 8 & 7 if first >> 12 == 0b1100 else first >> 3 & 7
    by_register = first & 0xFE80 == 0xF800 and not second & 0x800
    return -1 if by_register else first & 15


def _strict(first: int, second: int, known: Known) -> int | None:
    base = known[first & 15]
    if second < 0:
        return known[first >> 8 & 7] if first >> 12 == 0b1100 else 0
    if first & 0xFE00 == 0xEC00:  # VLDR, VSTR, VLDM, VSTM; not VMOV of two registers
        return base if second >> 9 & 7 == 0b101 and first & 0xFFE0 != 0xEC40 else 0
    if first & 0xFFE0 == 0xE8C0:  # LDREXH, STREXH; not those of a byte, not TBB, TBH
        return _times(base, 2) if second >> 4 & 15 == 0b0101 else 0
    return base if first & 0xFE00 == 0xE800 else 0  # LDM, STM, LDRD, STRD, LDREX, STREX


def _plain(first: int, known: Known) -> int | None:
    """LDR, STR, LDRH, STRH and LDRSH of 16 bits."""
    base, kind = known[first >> 3 & 7], first >> 9 & 7
    if first >> 12 == 0b0101 and kind not in (0b010, 0b011, 0b110):  # not of a byte
        address = _sum(base, known[first >> 6 & 7])
        return address if kind in (0b000, 0b100) else _times(address, 2)
    if first >> 12 == 0b0110:
        return base
    return _times(base, 2) if first >> 12 == 0b1000 else 0


def _plain_wide(first: int, second: int, known: Known) -> int | None:
    base, size = known[first & 15], first >> 5 & 3
    if first & 0xFFF0 == 0xE8D0 and second >> 4 & 15 == 1:  # TBH
        return _times(_sum(base, _times(known[second & 15], 2)), 2)
    hint = second >> 12 == _PC and size != 2
    if first & 0xFE00 != 0xF800 or size in (0, 3) or hint:
        return 0
    if first & 0x80 or first & 15 == _PC:
        address = _sum(base, _constant(second))
    elif second & 0x800:
        address = _sum(base, _offset(second) if second & 0x400 else 0)
    else:
        address = _sum(base, _times(known[second & 15], 1 << (second >> 4 & 3)))
    return address if size == 2 else _times(address, 2)


def _offset(second: int) -> int:
    """The immediate offset of 8 bits with its sign."""
    return _constant(second if second & 0x200 else -second)


# -- results -----------------------------------------------------------------------------------


def _result(first: int, second: int, known: Known) -> tuple[int, int | None] | None:
    """The register that the instruction sets and its form; None: see its writes."""
    found = _narrow(first, known) if second < 0 else _wide(first, second, known)
    return found if found and found[0] < _PC else None


def _narrow(first: int, known: Known) -> tuple[int, int | None] | None:
    low, middle, byte = first & 7, known[first >> 3 & 7], _constant(first)
    high, any_ = first & 7 | first >> 4 & 8, known[first >> 3 & 15]
    third = known[first >> 6 & 7] if first >> 10 == 0b000110 else _constant(first >> 6)
    at = first >> 8 & 7
    for bits, pattern, register, form in (
        (11, 0b00000, low, _times(middle, 1 << (first >> 6 & 31) & 3)),  # LSLS
        (11, 0b00100, at, byte),  # MOVS
        (11, 0b00110, at, _sum(known[at], byte)),  # ADDS
        (11, 0b00111, at, _sum(known[at], _times(byte, 3))),  # SUBS
        (11, 0b10100, at, 0),  # ADR
        (11, 0b10101, at, 0),  # ADD with SP
        (9, 0b0001100, low, _sum(middle, third)),
        (9, 0b0001101, low, _sum(middle, _times(third, 3))),
        (9, 0b0001110, low, _sum(middle, third)),
        (9, 0b0001111, low, _sum(middle, _times(third, 3))),
        (8, 0b01000100, high, _sum(known[high], any_)),  # ADD
        (8, 0b01000110, high, any_),  # MOV
        (6, 0b0100001001, low, _times(middle, 3)),  # NEGS
        (6, 0b0100001101, low, _product(middle, known[low])),  # MULS
    ):
        if first >> bits == pattern:
            return register, form
    return None


def _wide(first: int, second: int, known: Known) -> tuple[int, int | None] | None:
    base, target = known[first & 15], second >> 8 & 15
    if first & 0xFE80 == 0xF800 and second & 0x900 == 0x900:  # a load or store that writes back
        return first & 15, _sum(base, _offset(second))
    if first & 0xFE20 in (0xE820, 0xEC20):
        return _moved(first, second, base)
    if first & 0xFFF0 == 0xFB00 and second & 0xE0 == 0:  # MUL, MLA, MLS
        product = _times(_product(base, known[second & 15]), 3 if second & 16 else 1)
        return target, _sum(product, known[second >> 12])
    if first & 0xFE00 == 0xEA00 and not second & 0x30:  # with a register, shifted left if at all
        shift = second >> 10 & 28 | second >> 6 & 3
        operand = _times(known[second & 15], 1 << shift & 3)
        return _computed(first, target, base, operand, None)
    if first & 0xFA00 == 0xF000 and not second & 0x8000:
        value = _expanded(first << 1 & 0x800 | second >> 4 & 0x700 | second & 0xFF)
        return _computed(first, target, base, _constant(value), value & 3)
    plain = first & 0xFA00 == 0xF200 and not second & 0x8000
    return _immediate(first, second, known) if plain else None


def _moved(first: int, second: int, base: int | None) -> tuple[int, int | None] | None:
    """Loads and stores of several words move their base by a multiple of 4, unless they load it."""
    several = first & 0xFE40 == 0xE800
    loaded = several and first & 0x10 and second >> (first & 15) & 1
    return None if loaded else (first & 15, base)


def _computed(
    first: int, target: int, base: int | None, operand: int | None, bits: int | None
) -> tuple[int, int | None] | None:
    """Data processing by its opcode; `bits` are those of an immediate operand."""
    kind, moves = first >> 5 & 15, first & 15 == _PC
    if kind == 2 and moves:
        return target, operand
    sums = {8: _sum(base, operand), 13: _sum(base, _times(operand, 3))}
    sums[14] = _sum(operand, _times(base, 3))
    if kind in sums:
        return target, sums[kind]
    kept = {0: 3, 1: 0, 2: 0, 4: 0}.get(kind)  # AND, BIC, ORR, EOR with such bits change nothing
    cleared = {0: 0, 1: 3}.get(kind)
    if bits is None or bits not in (kept, cleared):
        return None
    return target, base if bits == kept else 0


def _immediate(first: int, second: int, known: Known) -> tuple[int, int | None] | None:
    """ADDW, SUBW, MOVW, MOVT, BFI and BFC."""
    base, target, kind = known[first & 15], second >> 8 & 15, first >> 4 & 31
    if kind in (0b00000, 0b01010):
        return target, _sum(base, _constant(-second if kind else second))
    if kind == 0b00100:
        return target, _constant(second)
    if kind == 0b01100:
        return target, known[target]
    if kind != 0b10110:
        return None
    lowest, highest = second >> 10 & 28 | second >> 6 & 3, second & 31
    if lowest >= 2:
        return target, known[target]
    return (target, 0) if first & 15 == _PC and not lowest and highest else None


def _expanded(code: int) -> int:
    """A modified immediate constant (DDI 0403E, section A5.3.2), as far as bits 1:0 are right."""
    if code >> 10 == 0:
        return 0 if code >> 8 == 2 else code & 0xFF
    value, by = 0x80 | code & 0x7F, code >> 7
    return value << 32 - by | value >> by
