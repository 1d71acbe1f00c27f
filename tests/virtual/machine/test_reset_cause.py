"""The flags of RCC that tell firmware where its reset came from, on every family."""

from __future__ import annotations

import struct

import pytest

from farm.virtual.faults_begin import BEGIN
from farm.virtual.faults_engine import FaultEngine
from farm.virtual.faults_line import Line
from farm.virtual.faults_link import ProbeState
from farm.virtual.faults_table import fault
from farm.virtual.machine import Machine
from farm.virtual.parts import load_part, part_names

AIRCR, RAM = 0xE000ED0C, 0x2000_0000
F4 = (0x4002_3874, 1 << 24, 0x0E00_0000, 0x0600_0000, 0x0400_0000, 0x1000_0000)
L4 = (0x4002_1094, 1 << 23, 0x0C00_0000, 0x0C00_0000, 0x0400_0000, 0x1000_0000)
H7 = (0x5802_44D0, 1 << 16, 0x00FA_0000, 0x0062_0000, 0x0042_0000, 0x0100_0000)
PARTS = {"stm32l4r5zi": L4, "stm32h743zi": H7}


def firmware(register: int) -> bytes:
    """Stores the register at 0x20000000 and waits."""
    code = [0x4802, 0x6801, 0x2020, 0x0600, 0x6001, 0xE7FE]
    vectors = struct.pack("<2I", 0x2000_1000, 0x0800_0009)
    return vectors + struct.pack("<6HI", *code, register)


@pytest.mark.parametrize("name", part_names())
def test_firmware_can_tell_power_on_brown_out_pin_and_software_resets_apart(name: str) -> None:
    register, remove, power_on, brown_out, pin, software = PARTS.get(name, F4)
    part = load_part(name)
    image = firmware(register)
    m = Machine(part, bytearray(image.ljust(part.flash_bytes, b"\xff")), lambda _: None)
    flags = 0xFFFF_FFFF & ~(remove - 1)

    def seen() -> int:
        m.write(RAM, 4, 0xFFFF_FFFF)
        m.run(100_000)
        assert m.read(RAM, 4) == m.read(register, 4)
        return m.read(RAM, 4) & flags

    assert seen() == power_on
    m.hold_reset(True)
    m.hold_reset(False)
    assert seen() == power_on | pin  # flags gather
    m.write(register, 4, remove)
    assert m.read(register, 4) & flags == 0
    m.write(register, 4, flags & ~remove)
    assert m.read(register, 4) & flags == 0  # firmware cannot set them
    m.hold_reset(True)
    m.hold_reset(False)
    assert seen() == pin
    m.write(AIRCR, 4, 0x05FA_0004)
    assert seen() == pin | software
    faults = FaultEngine(m, Line(), ProbeState(), BEGIN)
    faults.give_power = m.power_cycle
    faults.inject(fault("brown-out"))
    faults.settle()
    assert seen() == brown_out
    m.power_cycle()
    assert seen() == power_on
