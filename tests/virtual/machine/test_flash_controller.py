"""The flash controller under pyOCD's own flash algorithms, executed by the emulated core."""

from __future__ import annotations

import random
import struct

import pytest
from pyocd.target.builtin import target_STM32F412xx, target_STM32F767xx

from farm.virtual.machine import Machine
from farm.virtual.parts import load_part

ALGORITHMS = {
    "stm32f412zg": target_STM32F412xx.FLASH_ALGO,
    "stm32f767zi": target_STM32F767xx.FLASH_ALGO,
}
DHCSR, DCRSR, DCRDR = 0xE000EDF0, 0xE000EDF4, 0xE000EDF8
KEYR, SR, CR = 0x40023C04, 0x40023C0C, 0x40023C10
BOTH = pytest.mark.parametrize("part", list(ALGORITHMS))
LOCK = 1 << 31


@BOTH
@pytest.mark.parametrize("native", [True, False])
def test_algorithm_erases_and_programs_exactly_what_it_is_told(
    part, native, load_algorithm
) -> None:
    algorithm = load_algorithm(part, ALGORITHMS[part], native)
    assert algorithm.call("pc_init", algorithm.base, 0, 1) == 0
    for number in (1, 4, 11):
        sector = algorithm.sectors[number]
        before = bytes(algorithm.flash)
        assert algorithm.call("pc_erase_sector", algorithm.base + sector.offset) == 0
        page = random.Random(number).randbytes(0x400)
        assert algorithm.program(algorithm.base + sector.offset, page) == 0
        end = sector.offset + sector.bytes
        expected = before[: sector.offset] + page.ljust(sector.bytes, b"\xff") + before[end:]
        assert bytes(algorithm.flash) == expected
    algorithm.call("pc_unInit", 2)
    assert algorithm.machine.read(CR, 4) & LOCK


@BOTH
def test_algorithm_erases_the_whole_chip(part, load_algorithm) -> None:
    algorithm = load_algorithm(part, ALGORITHMS[part])
    algorithm.call("pc_init", algorithm.base, 0, 1)
    assert algorithm.call("pc_eraseAll") == 0
    assert algorithm.flash.count(0xFF) == len(algorithm.flash)


@pytest.mark.parametrize("native", [True, False])
def test_programming_only_clears_bits(native, load_algorithm) -> None:
    algorithm = load_algorithm("stm32f412zg", ALGORITHMS["stm32f412zg"], native)
    algorithm.call("pc_init", algorithm.base, 0, 1)
    assert algorithm.program(algorithm.base, b"\xf0" * 0x400) == 0
    assert algorithm.flash[:0x401] == b"\x50" * 0x400 + b"\x5a"


def test_locked_flash_refuses_stores_and_a_wrong_key_locks_it_until_reset() -> None:
    flash = bytearray(b"\xff" * 0x100000)
    machine = Machine(load_part("stm32f412zg"), flash, lambda _: None)
    machine.write(0x08000000, 4, 0)
    assert machine.read(SR, 4) & 0xF0
    machine.write(CR, 4, 0x201)
    assert machine.read(CR, 4) == LOCK
    machine.write(KEYR, 4, 0x11111111)
    for key in (0x45670123, 0xCDEF89AB):
        machine.write(KEYR, 4, key)
    assert machine.read(CR, 4) & LOCK
    machine.system_reset()
    for key in (0x45670123, 0xCDEF89AB):
        machine.write(KEYR, 4, key)
    assert not machine.read(CR, 4) & LOCK
    machine.write(CR, 4, 0x201)
    machine.write(0x08000000, 2, 0)  # narrower than PSIZE
    assert machine.read(SR, 4) & 0x40
    machine.write(SR, 4, 0xF0)
    machine.write(0x08000000, 4, 0x12345678)
    assert flash[:4] == b"\x78\x56\x34\x12"


def test_code_that_is_flashed_again_is_priced_and_run_anew(load_algorithm) -> None:
    def code(value: int, loops: int) -> bytes:
        body = [0x2000 | value, 0x2100 | loops, 0x3901, 0xD1FD, 0xBE00]  # movs, loop, bkpt
        return struct.pack("<5H", *body)

    algorithm = load_algorithm("stm32f412zg", ALGORITHMS["stm32f412zg"])
    results = []
    for value, loops in ((1, 3), (2, 9)):
        algorithm.call("pc_init", algorithm.base, 0, 1)
        algorithm.call("pc_erase_sector", algorithm.base)
        image = struct.pack("<2I", 0x20008000, 0x08000009) + code(value, loops)
        assert algorithm.program(algorithm.base, image.ljust(0x400, b"\xff")) == 0
        algorithm.machine.system_reset()
        algorithm.machine.write(DHCSR, 4, 0xA05F0003)
        algorithm.machine.write(0xE000EDFC, 4, 1)
        algorithm.machine.write(0xE000ED0C, 4, 0x05FA0004)
        before = algorithm.machine.cycles
        algorithm.machine.write(DHCSR, 4, 0xA05F0001)
        algorithm.machine.run(1000)
        algorithm.machine.write(DCRSR, 4, 0)
        results.append((algorithm.machine.read(DCRDR, 4), algorithm.machine.cycles - before))
    assert [value for value, _ in results] == [1, 2]
    assert results[1][1] - results[0][1] == 6 * 3  # SUBS 1, BNE taken 2, six times more
