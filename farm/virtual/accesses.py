"""The loads and stores of a straight run of code, with their addresses where these are known at
its start.

An address is a sum over the registers that the run begins with, as far as `affine.py` follows
them; that of a pointer which is itself loaded within the run is not known. Encodings after the
Armv7-M Architecture Reference Manual (DDI 0403E), chapter A5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from capstone import arm

from farm.virtual.affine import PC, SP, Affine, Values, at_entry, moved, total, value
from farm.virtual.decode import Block, Instr

_NUMBERS = {
    **{arm.ARM_REG_R0 + n: n for n in range(13)},
    arm.ARM_REG_SP: 13,
    arm.ARM_REG_LR: 14,
}


@dataclass(frozen=True)
class Access:
    """What one instruction reads or writes: `bytes` from `address` (None: not known) on.

    `index` is that of the instruction in its block, `at` its address. `unit` is the size of one
    element. `aligned` means that a misaligned address is a fault whatever CCR says (DDI 0403E,
    A3.2.1): all multiple and doubleword, exclusive and floating-point accesses. `conditional`:
    in an IT block, so that it may not take place.
    """

    index: int
    at: int
    address: Affine | None
    bytes: int
    unit: int
    store: bool
    aligned: bool
    conditional: bool

    @property
    def boundary(self) -> int:
        """What the address must be a multiple of; exclusives of less than a word have their own."""
        return min(self.unit, 4) if self.aligned else 1


@dataclass(frozen=True)
class _Shape:
    """A load or store as its encoding has it; `moves` is added to the base at the end."""

    base: int
    offset: int
    bytes: int
    unit: int
    store: bool
    aligned: bool = False
    index: int | None = None
    shift: int = 0
    moves: int = 0
    target: int | None = None  # of a load of one word


def accesses(
    block: Block, code: bytes, literal: Callable[[int], int | None] = lambda _address: None
) -> tuple[Access, ...]:
    """All loads and stores of a block with these bytes, in order.

    `literal(address)` is the word at a constant address; None where it may change.
    """
    known, found = at_entry(), list[Access]()
    at = 0
    for index, instr in enumerate(block.instrs):
        first = int.from_bytes(code[at : at + 2], "little")
        second = int.from_bytes(code[at + 2 : at + 4], "little") if instr.size == 4 else 0
        pc = block.address + at + 4
        shape = _shape(first, second)
        here = _where(shape, pc, known) if shape else None
        if shape:
            found.append(
                Access(
                    index,
                    pc - 4,
                    here,
                    shape.bytes,
                    shape.unit,
                    shape.store,
                    shape.aligned,
                    instr.condition != 14,
                )
            )
        _follow(instr, first, second, pc, known, shape, here, literal)
        at += instr.size
    return tuple(found)


def _where(shape: _Shape, pc: int, known: Values) -> Affine | None:
    if shape.index is None:
        base = value(shape.base, pc, known)
    else:  # a table behind its branch need not be aligned
        base = Affine((), pc) if shape.base == PC else known[shape.base]
        index = known[shape.index] if shape.index < PC else None
        base = total(base, index.shifted(shape.shift) if index else None)
    return base.plus(shape.offset) if base else None


def _follow(
    instr: Instr,
    first: int,
    second: int,
    pc: int,
    known: Values,
    shape: _Shape | None,
    here: Affine | None,
    literal: Callable[[int], int | None],
) -> None:
    """What the registers hold behind the instruction."""
    before = list(known)
    change = None if shape else moved(first, second, pc, known)
    for register in instr.writes:
        number = _NUMBERS.get(register)
        if number is not None:
            known[number] = None
    if instr.name == "unknown":
        known[:] = [None] * len(known)
    if instr.condition != 14:
        return
    if change:
        known[change[0]] = change[1]
    if shape is None:
        return
    if shape.moves and shape.base < PC:  # moving the PC is undefined
        base = before[shape.base]
        known[shape.base] = base.plus(shape.moves) if base else None
    if shape.target is not None and here is not None and not here.terms:
        word = literal(here.offset)
        known[shape.target] = None if word is None else Affine((), word)


def _shape(first: int, second: int) -> _Shape | None:
    """The load or store of an instruction, if it is one."""
    if first >> 11 < 0b11101:
        return _narrow(first)
    if first & 0xFE40 == 0xE800:
        return _multiple(first, second)
    if first & 0xFE40 == 0xE840:
        return _double(first, second)
    if first & 0xFE00 == 0xF800:
        return _single(first, second)
    if first & 0xFE00 == 0xEC00 and second & 0x0E00 == 0x0A00:
        return _floating(first, second)
    return None


# bits 11..9 of 0101: bytes and whether it stores
_REGISTER_OFFSET = (
    (4, True),
    (2, True),
    (1, True),
    (1, False),
    (4, False),
    (2, False),
    (1, False),
    (2, False),
)
_IMMEDIATE = {0b0110: 4, 0b0111: 1, 0b1000: 2}


def _narrow(code: int) -> _Shape | None:
    top, base, imm5, load = code >> 12, code >> 3 & 7, code >> 6 & 31, bool(code & 1 << 11)
    if code >> 11 == 0b01001:
        return _Shape(PC, 4 * (code & 0xFF), 4, 4, False, target=code >> 8 & 7)
    if top == 0b0101:
        size, store = _REGISTER_OFFSET[code >> 9 & 7]
        return _Shape(base, 0, size, size, store, index=code >> 6 & 7)
    if top in _IMMEDIATE:
        size = _IMMEDIATE[top]
        return _Shape(base, imm5 * size, size, size, not load)
    if top == 0b1001:
        return _Shape(SP, 4 * (code & 0xFF), 4, 4, not load)
    return _narrow_multiple(code, load)


def _narrow_multiple(code: int, load: bool) -> _Shape | None:
    if code & 0xF600 == 0xB400:  # PUSH, POP
        return _many(SP, 4 * (code & 0x1FF).bit_count(), load, down=not load, back=True)
    if code >> 12 == 0b1100:
        base, size = code >> 8 & 7, 4 * (code & 0xFF).bit_count()
        return _many(base, size, load, down=False, back=not (load and code >> base & 1))
    return None


def _many(base: int, size: int, load: bool, *, down: bool, back: bool) -> _Shape:
    moves = (-size if down else size) if back else 0
    return _Shape(base, -size if down else 0, size, 4, not load, aligned=True, moves=moves)


def _multiple(first: int, second: int) -> _Shape | None:
    if first >> 7 & 3 not in (1, 2):
        return None
    load, down = bool(first & 1 << 4), first >> 7 & 3 == 2
    size, back = 4 * second.bit_count(), bool(first & 1 << 5)
    return _many(first & 15, size, load, down=down, back=back)


def _double(first: int, second: int) -> _Shape | None:
    """LDRD, STRD; exclusives; table branches."""
    base, load, up = first & 15, bool(first & 1 << 4), bool(first & 1 << 7)
    step = 4 * (second & 0xFF)
    if first & (1 << 8 | 1 << 5):
        step = step if up else -step
        before, back = bool(first & 1 << 8), bool(first & 1 << 5)
        moves = step if back else 0
        return _Shape(base, step if before else 0, 8, 4, not load, aligned=True, moves=moves)
    if not up:
        return _Shape(base, step, 4, 4, not load, aligned=True)
    kind = second >> 4 & 15
    if kind in (0, 1) and load:  # TBB, TBH
        return _Shape(base, 0, 1 + kind, 1 + kind, False, index=second & 15, shift=kind)
    if kind in (4, 5):
        return _Shape(base, 0, kind - 3, kind - 3, not load, aligned=True)
    return None


def _single(first: int, second: int) -> _Shape | None:
    size, load = 1 << (first >> 5 & 3), bool(first & 1 << 4)
    base, target = first & 15, second >> 12
    if size == 8 or (load and target == PC and size < 4):  # undefined, or a hint
        return None
    imm8 = (second & 0xFF) * (1 if second & 1 << 9 else -1)
    if base == PC:
        imm12 = (second & 0xFFF) * (1 if first & 1 << 7 else -1)
        literal = target if size == 4 and target != PC else None
        return _Shape(PC, imm12, size, size, not load, target=literal)
    if first & 1 << 7:
        return _Shape(base, second & 0xFFF, size, size, not load)
    if second & 1 << 11:
        before, back = bool(second & 1 << 10), bool(second & 1 << 8)
        return _Shape(base, imm8 if before else 0, size, size, not load, moves=imm8 * back)
    return _Shape(base, 0, size, size, not load, index=second & 15, shift=second >> 4 & 3)


def _floating(first: int, second: int) -> _Shape | None:
    """VLDR, VSTR; VLDM, VSTM with VPUSH and VPOP; not the moves that share their encoding."""
    if first & 0xFFE0 == 0xEC40 or not first & (1 << 8 | 1 << 7):
        return None
    base, load, up = first & 15, bool(first & 1 << 4), bool(first & 1 << 7)
    step = 4 * (second & 0xFF)
    if first & 1 << 8 and not first & 1 << 5:
        size = 8 if second & 1 << 8 else 4
        return _Shape(base, step if up else -step, size, 4, not load, aligned=True)
    return _many(base, step, load, down=not up, back=bool(first & 1 << 5))
