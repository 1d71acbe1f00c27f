"""Values of registers within a straight run of code, as sums over the registers at its start.

Encodings after the Armv7-M Architecture Reference Manual (DDI 0403E), chapters A5 and A7. Only
what moves pointers is followed: additions, subtractions of constants, moves and left shifts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

PC, SP, LR = 15, 13, 14
_WORD = 0xFFFFFFFF
_MOST_TERMS = 2  # base and index


@dataclass(frozen=True)
class Affine:
    """The sum of `register << shift` for each term, and `offset`, modulo 2**32."""

    terms: tuple[tuple[int, int], ...] = ()
    offset: int = 0

    def at(self, registers: tuple[int, ...] | list[int]) -> int:
        """The value for these registers at the start."""
        return sum((registers[r] << s for r, s in self.terms), self.offset) & _WORD

    def plus(self, constant: int) -> Affine:
        """This and a constant."""
        return replace(self, offset=self.offset + constant & _WORD)

    def shifted(self, amount: int) -> Affine:
        """This, shifted left."""
        terms = tuple((r, s + amount) for r, s in self.terms if s + amount < 32)
        return Affine(terms, self.offset << amount & _WORD)


Values = list[Affine | None]


def at_entry() -> Values:
    """Each register is itself."""
    return [Affine(((number, 0),)) for number in range(PC)]


def total(left: Affine | None, right: Affine | None) -> Affine | None:
    """The sum; None: not known, or of too many terms."""
    if left is None or right is None or len(left.terms) + len(right.terms) > _MOST_TERMS:
        return None
    return Affine(left.terms + right.terms, left.offset + right.offset & _WORD)


def moved(first: int, second: int, pc: int, known: Values) -> tuple[int, Affine | None] | None:
    """(register, value) of an instruction that moves a pointer; None: it is no such one.

    `second` is the other halfword of a wide one, `pc` the address of the instruction and 4.
    """
    return _narrow(first, pc, known) if first >> 11 < 0b11101 else _wide(first, second, pc, known)


def value(register: int, pc: int, known: Values) -> Affine | None:
    """What a register holds; the program counter reads as a multiple of 4 here."""
    return Affine((), pc & ~3) if register == PC else known[register]


def _plus(register: Affine | None, constant: int) -> Affine | None:
    return register.plus(constant) if register else None


def _narrow(code: int, pc: int, known: Values) -> tuple[int, Affine | None] | None:
    op, high, imm8 = code >> 11, code >> 8 & 7, code & 0xFF
    if op in (0b00000, 0b00011):
        return _three(code, known)
    if op == 0b00100:  # MOV
        return high, Affine((), imm8)
    if op in (0b00110, 0b00111):  # ADD, SUB
        return high, _plus(known[high], imm8 if op == 0b00110 else -imm8)
    if op in (0b10100, 0b10101):  # ADR, ADD of SP
        return high, _plus(value(PC if op == 0b10100 else SP, pc, known), 4 * imm8)
    if code >> 8 == 0b10110000:
        return SP, _plus(known[SP], 4 * (code & 127) * (-1 if code & 128 else 1))
    return _high(code, known)


def _three(code: int, known: Values) -> tuple[int, Affine | None]:
    """LSL and MOV; ADD and SUB of three operands."""
    target, source, third = code & 7, known[code >> 3 & 7], code >> 6 & 7
    kind = code >> 9 & 3
    if code >> 11 == 0:
        return target, source.shifted(code >> 6 & 31) if source else None
    if kind > 1:
        return target, _plus(source, third if kind & 1 == 0 else -third)
    return target, total(source, known[third]) if kind == 0 else None


def _high(code: int, known: Values) -> tuple[int, Affine | None] | None:
    """ADD and MOV of any two registers."""
    target, source = code & 7 | code >> 4 & 8, code >> 3 & 15
    if code >> 8 not in (0b01000100, 0b01000110) or PC in (target, source):
        return None
    if code >> 8 == 0b01000110:
        return target, known[source]
    return target, total(known[target], known[source])


def _wide(first: int, second: int, pc: int, known: Values) -> tuple[int, Affine | None] | None:
    target, source = second >> 8 & 15, first & 15
    if target == PC or (first >> 11 == 0b11110 and second & 1 << 15):
        return None
    if first >> 11 == 0b11110:
        return _constant(first, second, target, source, pc, known)
    amount, by = second >> 10 & 28 | second >> 6 & 3, second & 15
    if second >> 4 & 3 or by == PC:  # no left shift
        return None
    moving = known[by]
    shifted = moving.shifted(amount) if moving else None
    if first & 0xFFEF == 0xEA4F:  # MOV, LSL
        return target, shifted
    if first & 0xFFE0 == 0xEB00 and source != PC:  # ADD
        return target, total(known[source], shifted)
    return None


def _constant(
    first: int, second: int, target: int, source: int, pc: int, known: Values
) -> tuple[int, Affine | None] | None:
    imm12 = (first >> 10 & 1) << 11 | second >> 4 & 0x700 | second & 0xFF
    imm16 = source << 12 | imm12
    kind, spread = first & 0xFBE0, expanded(imm12)
    if kind in (0xF200, 0xF2A0):  # ADDW, SUBW, ADR
        return target, _plus(value(source, pc, known), imm12 if kind == 0xF200 else -imm12)
    if kind in (0xF100, 0xF1A0) and source != PC:  # ADD, SUB
        return target, _plus(known[source], spread if kind == 0xF100 else -spread)
    constants = {0xF240: imm16}  # MOVW
    if source == PC:  # MOV, MVN
        constants |= {0xF040: spread, 0xF060: ~spread & _WORD}
    before = known[target]
    if kind == 0xF2C0 and before and not before.terms:  # MOVT
        constants[kind] = imm16 << 16 | before.offset & 0xFFFF
    return (target, Affine((), constants[kind])) if kind in constants else None


def expanded(imm12: int) -> int:
    """ThumbExpandImm() of the architecture."""
    low = imm12 & 0xFF
    if imm12 >> 10:
        turned, rotation = 0x80 | imm12 & 0x7F, imm12 >> 7
        return (turned >> rotation | turned << 32 - rotation) & _WORD
    return (low, low << 16 | low, low << 24 | low << 8, low * 0x01010101)[imm12 >> 8]
