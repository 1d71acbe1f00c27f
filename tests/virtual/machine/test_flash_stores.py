"""Stores into flash by the core: native code and the Python model of a family do the same."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.virtual.machine import Machine
from farm.virtual.parts import load_part

FLASH, RAM, SCRIPT = 0x08000000, 0x20000000, 0x20002000
DHCSR, DCRSR, DCRDR = 0xE000EDF0, 0xE000EDF4, 0xE000EDF8
KEYS = (0x45670123, 0xCDEF89AB)
SEEN = 128  # bytes of each bank that are stored to
# ldr r1, r2, r3 from [r0], by r1 = 1, 2, 4: strb, strh, str r3, [r2]; and again; else bkpt
INTERPRETER = struct.pack(
    "<17H",
    *(0x6801, 0x6842, 0x6883, 0x300C, 0x2901, 0xD004, 0x2902, 0xD004, 0x2904, 0xD004, 0xBE00),
    *(0x7013, 0xE7F2, 0x8013, 0xE7F0, 0x6013, 0xE7EE),
)
Store = tuple[int, int, int]  # size, address, value


@dataclass(frozen=True)
class Family:
    """What a script may write: registers of each bank, and values that do something."""

    part: str
    keyr: tuple[int, ...]
    control: tuple[int, ...]
    status: tuple[int, ...]  # where errors are cleared
    program: int  # PG and, where there is one, the width of a word
    values: tuple[int, ...]  # of the control register: erase, force, lock
    word_bytes: int


F4 = Family(
    *("stm32f412zg", (0x40023C04,), (0x40023C10,), (0x40023C0C,), 0x201),
    (0, 1, 0x101, 0x301, 0x202, 0x10202, 0x10004, 1 << 31),
    4,
)
L4 = Family(
    *("stm32l4r5zi", (0x40022008,), (0x40022014,), (0x40022010,), 1),
    (0, 2, 0x10002, 0x10802, 0x18004, 1 << 20 | 1, 1 << 31, 1 << 31 | 1),
    8,
)
H7 = Family(
    "stm32h743zi",
    *((0x52002004, 0x52002104), (0x5200200C, 0x5200210C), (0x52002014, 0x52002114), 0x22),
    (0x20, 0x62, 0x42, 0xA4, 0xA8, 1, 0x22),
    32,
)


@cache
def board(part: str, native: bool) -> tuple[Machine, bytearray]:
    known = load_part(part)
    flash = bytearray(b"\xff" * known.flash_bytes)
    m = Machine(known, flash, lambda _: None, native_hook=native)
    m.write_block(RAM, INTERPRETER)
    return m, flash


def starts(family: Family) -> list[int]:
    known = load_part(family.part)
    return [0] if family is F4 else [0, known.flash_bytes // 2]


def phrases(family: Family) -> st.SearchStrategy[list[Store]]:
    """What software does in one go, right or wrong."""
    banks = st.sampled_from(list(enumerate(starts(family))))
    word = family.word_bytes
    anything = st.integers(0, 0xFFFFFFFF) | st.sampled_from((0, 0xFFFFFFFF))

    def registers(each: tuple[int, ...], bank: int) -> int:
        return each[bank % len(each)]

    def whole(drawn: tuple[tuple[int, int], int, list[int], int, int, bool]) -> list[Store]:
        (bank, start), at, values, size, stride, careful = drawn
        at = start + at % (SEEN // word // 2) * word
        return clean(bank) * careful + [
            (size, FLASH + at + n * stride, values[n % len(values)] >> 8 * (n % 4))
            for n in range(0, word, size)
        ]

    def single(drawn: tuple[tuple[int, int], int, int, int, int, bool]) -> list[Store]:
        (bank, start), size, at, odd, value, careful = drawn
        return clean(bank) * careful + [(size, FLASH + start + 4 * at + odd, value)]

    def clean(bank: int) -> list[Store]:
        return [
            (4, registers(family.status, bank), 0xFFFFFFFF),
            (4, registers(family.control, bank), family.program),
        ]

    return st.one_of(
        banks.map(lambda b: [(4, registers(family.keyr, b[0]), key) for key in KEYS]),
        banks.map(lambda b: [(4, registers(family.control, b[0]), family.program)]),
        banks.map(lambda b: [(4, registers(family.status, b[0]), 0xFFFFFFFF)]),
        st.tuples(banks, st.sampled_from(family.values)).map(
            lambda d: [(4, registers(family.control, d[0][0]), d[1])]
        ),
        st.tuples(
            *(banks, st.integers(0, 15), st.lists(anything, min_size=1, max_size=8)),
            *(st.sampled_from((4, 4, 4, 2, 1)), st.sampled_from((1, 1, 1, 2))),
            st.sampled_from((True, True, False)),
        ).map(whole),
        st.tuples(
            *(banks, st.sampled_from((1, 2, 4, 4)), st.integers(0, SEEN // 4 - 2)),
            *(st.sampled_from((0, 0, 0, 1, 2)), anything, st.booleans()),
        ).map(single),
    )


def play(m: Machine, stores: list[Store]) -> None:
    """Let the core do the stores."""
    m.write(DHCSR, 4, 0xA05F0003)
    m.write_block(SCRIPT, b"".join(struct.pack("<3I", *s) for s in [*stores, (0, 0, 0)]))
    call(m, RAM, SCRIPT)


def call(m: Machine, pc: int, argument: int) -> int:
    """Run from `pc` to the next breakpoint instruction; what is in R0 then."""
    for number, value in ((0, argument), (15, pc), (16, 1 << 24)):
        m.write(DCRDR, 4, value)
        m.write(DCRSR, 4, number | 1 << 16)
    before = m.cycles
    m.write(DHCSR, 4, 0xA05F0001)
    while m.state == "running":
        m.run(1_000_000)
        assert m.cycles - before < 1_000_000
    assert m.state == "halted"
    m.write(DCRSR, 4, 0)
    return m.read(DCRDR, 4)


@pytest.mark.parametrize("family", [F4, L4, H7], ids=lambda family: family.part)
def test_native_and_python_stores_leave_the_same_cells_and_registers(family: Family) -> None:
    opening = [
        store
        for bank in range(len(family.control))
        for store in (
            *((4, family.keyr[bank], key) for key in KEYS),
            (4, family.control[bank], family.program),
        )
    ]
    programmed = []

    @settings(max_examples=120, derandomize=True, deadline=None, database=None)
    @given(
        st.lists(phrases(family), min_size=4, max_size=12),
        st.booleans(),
        st.sampled_from((b"\xff", b"\xff", b"\x5a")),
    )
    def check(said: list[list[Store]], watched: bool, old: bytes) -> None:
        stores = opening + [store for phrase in said for store in phrase]
        found = []
        for native in (True, False):
            m, flash = board(family.part, native)
            for at in starts(family):
                flash[at : at + SEEN] = old * SEEN
            m.system_reset()
            m.flash.watch_cells(watched and native)
            before = m.cycles
            play(m, stores)
            cells = [bytes(flash[at : at + SEEN]) for at in starts(family)]
            waiting = [bytes(word) for word in m.flash.words]
            found.append((cells, list(m.flash.page.regs), waiting, m.cycles - before))
        assert found[0] == found[1]
        programmed.append(found[0][0] != [old * SEEN for _ in starts(family)])

    check()
    assert sum(programmed) > 10  # the scripts do program


def test_core_runs_what_it_has_stored_over_code_that_has_run() -> None:
    m, flash = board("stm32f412zg", True)
    m.system_reset()
    opening = [(4, F4.keyr[0], key) for key in KEYS] + [(4, F4.control[0], 0x101)]
    play(m, opening)
    flash[0x20:0x24] = struct.pack("<2H", 0x200F, 0xBE00)  # movs r0, #15; bkpt
    assert call(m, FLASH + 0x20, 0) == 15
    play(m, [(2, FLASH + 0x20, 0x2007)])  # movs r0, #7
    assert call(m, FLASH + 0x20, 0) == 7
