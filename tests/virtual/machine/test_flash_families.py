"""Each family's flash controller under our own algorithms, and pyOCD's H743 one with its faults."""

from __future__ import annotations

import random

import pytest
from pyocd.target.builtin import target_STM32H743xx

from farm.targets.algorithm import flash_algorithm
from farm.virtual.machine import Machine
from farm.virtual.parts import load_part

OURS = {
    "stm32f746ng": flash_algorithm("stm32f7", "cortex-m7", 0x20000000, 0x1000),
    "stm32f767zi": flash_algorithm("stm32f7", "cortex-m7", 0x20000000, 0x1000),
    "stm32h743zi": flash_algorithm("stm32h7", "cortex-m7", 0x20000000, 0x1000),
    "stm32l4r5zi": flash_algorithm("stm32l4r", "cortex-m4", 0x20000000, 0x1000),
}
STOCK_H743 = target_STM32H743xx.FLASH_ALGO
OLD, SECTOR = 0x5A, 0x20000
EVERY = pytest.mark.parametrize("part", OURS)
CR2, SR1 = 0x5200210C, 0x52002010


@pytest.fixture
def started(load_algorithm):
    """An algorithm that is initialised, by default our own."""

    def made(part, facts=None, native=True):
        algorithm = load_algorithm(part, facts or OURS[part], native)
        assert algorithm.call("pc_init", algorithm.base, 0, 1) == 0
        return algorithm

    return made


@EVERY
@pytest.mark.parametrize("native", [True, False])
def test_our_algorithm_erases_and_programs_exactly_what_it_is_told(started, part, native) -> None:
    algorithm = started(part, native=native)
    for number in {0, 4, len(algorithm.sectors) // 2, len(algorithm.sectors) - 1}:
        sector = algorithm.sectors[number]
        before = bytes(algorithm.flash)
        assert algorithm.call("pc_erase_sector", algorithm.base + sector.offset) == 0
        page = random.Random(number).randbytes(0x400)
        assert algorithm.program(algorithm.base + sector.offset, page) == 0
        end = sector.offset + sector.bytes
        expected = before[: sector.offset] + page.ljust(sector.bytes, b"\xff") + before[end:]
        assert bytes(algorithm.flash) == expected
    assert algorithm.call("pc_unInit", 2) == 0
    assert algorithm.program(algorithm.base, b"\0" * 0x400) != 0  # locked, and says so
    assert algorithm.call("pc_init", algorithm.base, 0, 1) == 0  # as often as one likes
    assert algorithm.call("pc_eraseAll") == 0
    assert algorithm.flash.count(0xFF) == len(algorithm.flash)


@pytest.mark.parametrize("number", [0, 7, 8])
def test_pyocd_h743_algorithm_erases_the_following_sector_too(started, number) -> None:
    algorithm = started("stm32h743zi", STOCK_H743)
    assert algorithm.call("pc_erase_sector", algorithm.base + number * SECTOR) == 0
    erased = [n for n in range(16) if algorithm.flash[n * SECTOR] == 0xFF]
    assert erased == [number, number + 1]


def test_pyocd_h743_algorithm_comes_round_from_the_last_sector(started) -> None:
    algorithm = started("stm32h743zi", STOCK_H743)
    algorithm.call("pc_erase_sector", algorithm.base + 15 * SECTOR)
    assert [n for n in range(16) if algorithm.flash[n * SECTOR] == 0xFF] == [8, 15]


def test_pyocd_h743_algorithm_reports_no_error_where_ours_does(started) -> None:
    page = bytes(0x400)
    for facts, reports in ((STOCK_H743, False), (OURS["stm32h743zi"], True)):
        algorithm = started("stm32h743zi", facts)
        algorithm.call("pc_erase_sector", algorithm.base)
        algorithm.machine.write(SR1 - 4, 4, 1)  # LOCK, behind the algorithm's back
        assert (algorithm.program(algorithm.base, page) != 0) is reports
        assert algorithm.flash[:0x400] == b"\xff" * 0x400


def test_l4_refuses_what_its_doublewords_cannot_take() -> None:
    base, sr, cr = 0x08000000, 0x40022010, 0x40022014
    part = load_part("stm32l4r5zi")
    flash = bytearray(b"\xff" * part.flash_bytes)
    m = Machine(part, flash, lambda _: None)
    for key in (0x45670123, 0xCDEF89AB):
        m.write(0x40022008, 4, key)
    m.write(cr, 4, 1)

    def errors(*stores: tuple[int, int, int]) -> int:
        m.write(sr, 4, 0xC3FA)
        for offset, size, value in stores:
            m.write(base + offset, size, value)
        return m.read(sr, 4)

    assert errors((0, 4, 1), (4, 4, 2)) == 0
    assert flash[:8] == b"\1\0\0\0\2\0\0\0"
    assert errors((0, 4, 1), (4, 4, 2)) == 1 << 3  # PROGERR: not erased
    assert errors((0, 4, 0), (4, 4, 0)) == 0  # but zeros may be
    assert errors((8, 2, 0)) == 1 << 6  # SIZERR
    assert errors((12, 4, 0)) == 1 << 5  # PGAERR
    assert errors((8, 4, 0), (16, 4, 0)) == 1 << 5
    m.write(cr, 4, 0)
    assert errors((8, 4, 0), (12, 4, 0)) & 1 << 7  # PGSERR
    assert flash[8:32] == b"\xff" * 24


def test_h7_words_of_256_bits_are_programmed_whole_or_forced() -> None:
    base, cr, sr, ccr = 0x08000000, 0x5200200C, 0x52002010, 0x52002014
    part = load_part("stm32h743zi")
    flash = bytearray(b"\xff" * part.flash_bytes)
    m = Machine(part, flash, lambda _: None)
    m.write(base, 4, 0)
    assert m.read(sr, 4) == 1 << 18  # PGSERR: locked
    m.write(ccr, 4, 1 << 18)
    for key in (0x45670123, 0xCDEF89AB):
        m.write(0x52002004, 4, key)
    m.write(cr, 4, 2)
    for at in range(0, 28, 4):
        m.write(base + at, 4, at)
    assert m.read(sr, 4) == 2  # WBNE
    assert flash[:32] == b"\xff" * 32
    m.write(base + 28, 4, 28)
    assert m.read(sr, 4) == 0
    assert flash[:32] == b"".join(at.to_bytes(4, "little") for at in range(0, 32, 4))
    m.write(base + 32, 1, 0x55)
    m.write(cr, 4, 2 | 1 << 6)  # FW
    assert flash[32:64] == b"\x55" + b"\xff" * 31
    m.write(base + 64, 4, 0)
    m.write(base + 96, 4, 0)
    assert m.read(sr, 4) & 1 << 21  # INCERR
    m.write(0x52002004, 4, 0x45670123)  # a key for an open bank
    for key in (0x45670123, 0xCDEF89AB):
        m.write(0x52002004, 4, key)
    assert m.read(cr, 4) & 1  # shut until reset
