"""Addresses foreseen at the start of a block, against those that an emulated core accesses."""

from __future__ import annotations

import struct
from typing import Any

import pytest
import unicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from unicorn import arm_const as reg

from farm.virtual.accesses import accesses
from farm.virtual.affine import expanded
from farm.virtual.decode import decode_block

CODE, DATA, PAGE = 0x08000000, 0x20000000, 0x1000
REGISTERS = [*range(reg.UC_ARM_REG_R0, reg.UC_ARM_REG_R0 + 13), reg.UC_ARM_REG_SP]
REGISTERS.append(reg.UC_ARM_REG_LR)

low, word8, bit = st.integers(0, 7), st.integers(0, 255), st.integers(0, 1)
any12 = st.integers(0, 12)


def narrow(top: int, bits: int) -> st.SearchStrategy[tuple[int, ...]]:
    """A 16-bit instruction with `bits` free bits under `top`."""
    return st.integers(0, (1 << bits) - 1).map(lambda low_bits: (top << bits | low_bits,))


def wide(first: int, second: st.SearchStrategy[int]) -> st.SearchStrategy[tuple[int, ...]]:
    """A 32-bit instruction with a base register R0 to R12."""
    return st.tuples(any12.map(lambda base: first | base), second)


@st.composite
def single(draw: Any) -> tuple[int, int]:
    """A load or store of one element, in any of its forms."""
    target, base = draw(st.permutations(range(13)))[:2]
    first = 0xF800 | draw(st.sampled_from((0, 0x20, 0x40))) | draw(bit) << 4 | base
    form = draw(st.integers(0, 2))
    if form == 0:
        return first | 0x80, target << 12 | draw(st.integers(0, 0xFFF))
    if form == 1:
        return first, target << 12 | draw(st.integers(0, 3)) << 4 | draw(any12)
    mode = draw(st.sampled_from((0x900, 0xB00, 0xC00, 0xD00, 0xF00)))
    return first, target << 12 | 0x800 | mode | draw(word8)


@st.composite
def multiple(draw: Any) -> tuple[int, int]:
    """LDM, LDMDB, STM, STMDB, with a base that is not in the list."""
    base, *data = draw(st.permutations(range(13)))
    some = draw(st.integers(2, 6))
    kind = draw(st.sampled_from((0xE880, 0xE900)))
    first = kind | draw(bit) << 5 | draw(bit) << 4 | base
    return first, sum(1 << number for number in data[:some])


@st.composite
def double(draw: Any) -> tuple[int, int]:
    """LDRD, STRD."""
    base, one, other = draw(st.permutations(range(13)))[:3]
    mode = draw(st.sampled_from((0x100, 0x180, 0x120, 0x1A0, 0x20, 0xA0)))
    return 0xE840 | mode | draw(bit) << 4 | base, one << 12 | other << 8 | draw(word8)


@st.composite
def floating(draw: Any) -> tuple[int, int]:
    """VLDR, VSTR, VLDM, VSTM."""
    second = draw(st.integers(0, 15)) << 12 | 0xA00
    if draw(bit):
        return 0xED00 | draw(bit) << 7 | draw(bit) << 4 | draw(any12), second | draw(word8)
    mode = draw(st.sampled_from((0xC80, 0xCA0, 0xD20)))
    count = draw(st.integers(1, 8))
    return 0xE000 | mode | draw(bit) << 4 | draw(any12), second & 0x7FFF | count


targets = any12.map(lambda target: target << 8)
constants = st.tuples(targets, low, word8).map(lambda t: t[0] | t[1] << 12 | t[2])
shifts = st.tuples(targets, low, st.integers(0, 3), any12)
MOVES = st.one_of(
    narrow(0b00011, 11),  # ADD, SUB of three
    narrow(0b00000, 11),
    narrow(0b00010, 11),  # ASR: not followed
    narrow(0b001, 13),  # MOV, CMP, ADD, SUB
    narrow(0b1010, 12),
    narrow(0b10110000, 8),
    st.tuples(low, any12).map(lambda t: (0x4600 | t[1] << 3 | t[0],)),
    st.tuples(low, any12).map(lambda t: (0x4400 | t[1] << 3 | t[0],)),
    *(wide(first, constants) for first in (0xF100, 0xF1A0, 0xF200, 0xF2A0, 0xF240, 0xF2C0)),
    *(wide(first, constants) for first in (0xF500, 0xF5A0, 0xF600, 0xF6A0, 0xF640, 0xF6C0)),
    *(st.tuples(st.just(first), constants) for first in (0xF04F, 0xF06F, 0xF44F, 0xF46F)),
    wide(0xEB00, shifts.map(lambda t: t[0] | t[1] << 12 | t[2] << 6 | t[3])),
    shifts.map(lambda t: (0xEA4F, t[0] | t[1] << 12 | t[2] << 6 | t[3])),
)
MEMORY = st.one_of(
    *(narrow(top, 12) for top in (0b0101, 0b0110, 0b0111, 0b1000, 0b1001)),
    narrow(0b01001, 11),
    st.tuples(bit, st.integers(1, 255)).map(lambda t: (0xB400 | t[0] << 11 | t[1],)),
    st.tuples(bit, low, st.integers(1, 255)).map(
        lambda t: (0xC000 | t[0] << 11 | t[1] << 8 | t[2] & ~(1 << t[1]) | 1 << (t[1] ^ 1),)
    ),
    single(),
    multiple(),
    double(),
    floating(),
)
PREDICATED = st.tuples(st.just(0xBF08), low.map(lambda n: 0x3004 | n << 8))  # IT EQ; ADDEQ
PROGRAMS = st.lists(st.one_of(MOVES, MEMORY, MEMORY, PREDICATED), min_size=1, max_size=14)


def executed(code: bytes, registers: list[int]) -> dict[int, tuple[int, int, bool]]:
    """By the address of the instruction: where it accessed from, up to, and whether it stored."""
    uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
    uc.ctl_set_cpu_model(reg.UC_CPU_ARM_CORTEX_M7)
    uc.mem_map(CODE, 2 * PAGE)
    uc.mem_write(CODE, code)
    seen: dict[int, tuple[int, int, bool]] = {}
    now = [0]

    def map_it(core: Any, _type: int, address: int, size: int, _value: int, _user: Any) -> bool:
        for page in {address & -PAGE, address + size - 1 & 0xFFFFFFFF & -PAGE}:
            if not any(begin <= page <= end for begin, end, _ in core.mem_regions()):
                core.mem_map(page, PAGE)
        return True

    def note(_core: Any, kind: int, address: int, size: int, _value: int, _user: Any) -> None:
        low_end, high_end, _ = seen.get(now[0], (1 << 32, 0, False))
        stored = kind == unicorn.UC_MEM_WRITE
        seen[now[0]] = (min(low_end, address), max(high_end, address + size), stored)

    uc.hook_add(unicorn.UC_HOOK_MEM_UNMAPPED, map_it)
    uc.hook_add(unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE, note)
    uc.hook_add(unicorn.UC_HOOK_CODE, lambda _uc, at, _size, _user: now.__setitem__(0, at))
    for number, content in zip(REGISTERS, registers, strict=True):
        uc.reg_write(number, content)
    uc.emu_start(CODE | 1, CODE + len(code), count=64)
    return seen


addresses = st.integers(0, 1 << 18).map(lambda offset: DATA + 0x80000 + 4 * offset)
indices = st.integers(-64, 64).map(lambda index: index & 0xFFFFFFFF)


@given(PROGRAMS, st.lists(st.one_of(addresses, indices), min_size=15, max_size=15))
@settings(max_examples=120, deadline=None, derandomize=True)
def test_known_addresses_are_those_accessed(program, registers) -> None:
    registers[13] = DATA + 0x100000
    code = b"".join(struct.pack(f"<{len(item)}H", *item) for item in program)
    block = decode_block(CODE, len(code), lambda at, size: code[at - CODE :][:size])
    foreseen = {access.at: access for access in accesses(block, code)}
    try:
        seen = executed(code, registers)
    except unicorn.UcError:
        return  # stored over its own code, or left the address space
    unconditional = {at for at, access in foreseen.items() if not access.conditional}
    assert unconditional <= set(seen) <= set(foreseen)
    for at, (first, end, stored) in seen.items():
        access = foreseen[at]
        assert (access.bytes, access.store) == (end - first, stored)
        assert access.address is None or access.address.at(registers) == first


def found(*code: int | tuple[int, ...], words: dict[int, int] | None = None) -> list[Any]:
    items = [item if isinstance(item, tuple) else (item,) for item in code]
    raw = b"".join(struct.pack(f"<{len(item)}H", *item) for item in items)
    block = decode_block(CODE, len(raw), lambda at, size: raw[at - CODE :][:size])
    return list(accesses(block, raw, (words or {}).get))


def test_pointers_are_followed_through_the_block() -> None:
    load_r0, post_r1 = 0x6802, (0xF851, 0x3B04)  # LDR r2,[r0]; LDR r3,[r1],#4
    seen = found(post_r1, load_r0, post_r1, 0x3008, load_r0)
    assert [a.address.terms for a in seen] == [((1, 0),), ((0, 0),), ((1, 0),), ((0, 0),)]
    assert [a.address.offset for a in seen] == [0, 0, 4, 8]


def test_a_pointer_loaded_in_the_block_is_unknown_unless_it_is_a_literal() -> None:
    load_r0, through_r0 = 0x6808, 0x6801  # LDR r0,[r1]; LDR r1,[r0]
    assert [a.address is None for a in found(load_r0, through_r0)] == [False, True]
    literal = 0x4801  # LDR r0,[pc,#4]
    known = found(literal, through_r0, words={CODE + 8: 0x20000100})
    assert [(a.address.terms, a.address.offset) for a in known] == [
        ((), CODE + 8),
        ((), 0x20000100),
    ]
    assert found(literal, through_r0)[1].address is None


def test_a_predicated_move_makes_the_pointer_unknown() -> None:
    assert [a.address for a in found(0xBF08, 0x3004, 0x6801)] == [None]


@pytest.mark.parametrize(
    ("code", "boundary"),
    [
        (0x6801, 1),  # LDR
        (0xC806, 4),  # LDM
        (0xB510, 4),  # PUSH
        ((0xE9D0, 0x1200), 4),  # LDRD
        ((0xE850, 0x1F00), 4),  # LDREX
        ((0xE8D0, 0x1F5F), 2),  # LDREXH
        ((0xE8D0, 0x1F4F), 1),  # LDREXB
        ((0xED90, 0x0A00), 4),  # VLDR
        ((0xECB0, 0x0B04), 4),  # VLDM
    ],
)
def test_accesses_know_what_alignment_they_need(code, boundary) -> None:
    (access,) = found(code)
    assert access.boundary == boundary


def test_table_branches_read_their_table() -> None:
    (access,) = found((0xE8DF, 0xF011))  # TBH [pc, r1, LSL #1]
    assert (access.address.terms, access.address.offset, access.bytes) == (
        ((1, 1),),
        CODE + 4,
        2,
    )


def test_hints_and_moves_are_no_accesses() -> None:
    assert not found((0xF890, 0xF000), (0xEC51, 0x0A10), 0xBF00)  # PLD, VMOV, NOP


def test_modified_constants_expand_as_the_architecture_says() -> None:
    assert [expanded(i) for i in (0xFF, 0x1AB, 0x2AB, 0x3AB, 0x4FF, 0xFFF)] == [
        0xFF,
        0x00AB00AB,
        0xAB00AB00,
        0xABABABAB,
        0x7F800000,
        0x1FE,
    ]
