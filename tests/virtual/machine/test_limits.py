"""What happens to a core that runs faster than its voltage or its flash allow."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from farm.mcus import Step, load_mcu
from farm.virtual.machine import Machine
from farm.virtual.parts import load_part, part_names

CFSR, DHCSR, DCRSR, DCRDR = 0xE000ED28, 0xE000EDF0, 0xE000EDF4, 0xE000EDF8
IBUSERR = 1 << 8
EVERY = pytest.mark.parametrize("name", part_names())
LOOP = 0xE7FE  # b .
BOOSTS = {
    "stm32f746ng": ("PWR_CR1", 0x30000),  # over-drive
    "stm32f767zi": ("PWR_CR1", 0x30000),
    "stm32h743zi": ("SYSCFG_PWRCR", 0x1),  # ODEN
    "stm32l4r5zi": ("PWR_CR5", 0x100),  # R1MODE
    "stm32f412zg": ("PWR_CR", 0xC000),  # scale 1
}


def looping(name: str) -> Machine:
    """The part with an endless loop in flash, behind every vector."""
    part = load_part(name)
    flash = bytearray(b"\xff" * part.flash_bytes)
    base = part.boot_vector if part.boot_vector else part.flash_base
    flash[:64] = struct.pack("<16I", part.rams[0].base + 0x400, *[base + 0x41] * 15)
    flash[64:66] = LOOP.to_bytes(2, "little")
    return Machine(part, flash, lambda _: None)


def speed_up(m: Machine, name: str, wanted: Callable[[Step], bool]) -> None:
    """The recipe of the harness on its external source, but for the steps not wanted."""
    recipe = load_mcu(name).clock
    for step in (*recipe.prepare, *recipe.external, *recipe.pll_external, *recipe.run):
        if step.do != "poll" and wanted(step):
            kept = m.read(step.address, 4) & ~step.mask if step.do == "modify" else 0
            m.write(step.address, 4, kept | step.value)


@EVERY
def test_core_on_the_whole_recipe_runs_on(name) -> None:
    m = looping(name)
    speed_up(m, name, lambda _: True)
    m.run(1000)
    assert (m.clocks.overrun, m.state) == ("", "running")


@EVERY
def test_core_that_outruns_its_flash_faults_on_the_next_fetch_and_locks_up(name) -> None:
    m = looping(name)
    m.run(1000)
    speed_up(m, name, lambda step: step.register != "FLASH_ACR")
    # An H743 comes out of reset with 7 wait states, which are enough.
    if name == "stm32h743zi":
        m.write(0x52002000, 4, 3)
    assert m.clocks.overrun == "flash"
    m.run(1000)
    assert m.state == "lockup"
    assert m.read(CFSR, 4) & IBUSERR
    m.system_reset()
    m.run(1000)
    assert (m.clocks.overrun, m.state) == ("", "running")


@EVERY
def test_core_beyond_what_its_voltage_allows_locks_up_until_reset(name) -> None:
    m = looping(name)
    register, bits = BOOSTS[name]
    speed_up(m, name, lambda step: step.register != register or not step.mask & bits)
    assert m.clocks.overrun == "core"
    m.run(1000)
    assert m.state == "lockup"
    m.system_reset()
    m.run(1000)
    assert m.state == "running"


def test_code_in_ram_does_not_need_the_flash_that_is_too_slow() -> None:
    m = looping("stm32f412zg")
    m.write_block(0x20000800, struct.pack("<2H", 0x3001, 0xE7FD))  # adds r0, 1; b to it
    m.write(DHCSR, 4, 0xA05F0003)
    m.write(DCRDR, 4, 0x20000801)
    m.write(DCRSR, 4, 15 | 1 << 16)
    speed_up(m, "stm32f412zg", lambda step: step.register != "FLASH_ACR")
    m.write(DHCSR, 4, 0xA05F0001)
    m.run(10_000)
    assert (m.clocks.overrun, m.state) == ("flash", "running")
    m.write(0x40023C00, 4, 0x703)
    m.write(DHCSR, 4, 0xA05F0003)
    m.write(DCRDR, 4, 0x08000041)
    m.write(DCRSR, 4, 15 | 1 << 16)
    m.write(DHCSR, 4, 0xA05F0001)
    m.run(10_000)
    assert m.state == "running"  # and flash is back once it is fast enough


@EVERY
def test_one_wait_state_less_than_the_recipe_is_too_few_at_full_speed(name) -> None:
    m = looping(name)
    speed_up(m, name, lambda _: True)
    acr = next(s for s in load_mcu(name).clock.run if s.register == "FLASH_ACR")
    m.write(acr.address, 4, acr.value - 1)
    assert m.clocks.overrun == "flash"
    m.write(acr.address, 4, acr.value)
    assert m.clocks.overrun == ""


def test_l4_past_80_mhz_at_once_loses_its_voltage() -> None:
    m = looping("stm32l4r5zi")
    speed_up(m, "stm32l4r5zi", lambda step: step.mask != 0x3FF0)
    assert m.clocks.overrun == "core"


def test_crystal_that_is_bypassed_does_not_start() -> None:
    m = looping("stm32f746ng")
    m.write(0x40023800, 4, 1 << 18 | 1 << 16 | 1)
    assert not m.read(0x40023800, 4) & 1 << 17
    m.write(0x40023800, 4, 1 << 16 | 1)
    assert m.read(0x40023800, 4) & 1 << 17


@pytest.mark.parametrize(
    ("pll", "locks"),
    [
        (0x25001908, True),  # HSI / 8 * 100
        (0x25001905, False),  # 3.2 MHz in
        (0x25001920, False),  # 0.5 MHz in
        (0x25000C08, False),  # 96 MHz out
        (0x25003608, True),  # 432 MHz out
        (0x25003648, False),  # 434 MHz out
    ],
)
def test_pll_out_of_its_range_never_gets_ready(pll, locks) -> None:
    m = looping("stm32f412zg")
    m.write(0x40023804, 4, pll)
    m.write(0x40023800, 4, 1 << 24 | 1)
    assert bool(m.read(0x40023800, 4) & 1 << 25) is locks
    m.write(0x40023808, 4, 2)
    assert (m.read(0x40023808, 4) >> 2 & 3 == 2) is locks


def test_h7_has_no_higher_scale_before_its_supply_is_chosen_and_keeps_that_over_a_reset() -> None:
    m = looping("stm32h743zi")
    d3cr, cr3 = 0x58024818, 0x5802480C
    m.write(d3cr, 4, 0xC000)
    assert m.read(d3cr, 4) == 0x4000
    m.write(cr3, 4, 2)
    m.write(d3cr, 4, 0xC000)
    assert m.read(d3cr, 4) == 0xE000
    m.write(cr3, 4, 1)
    assert m.read(cr3, 4) == 2
    m.system_reset()
    assert (m.read(cr3, 4), m.read(d3cr, 4)) == (2, 0x6000)
    m.power_cycle()
    assert (m.read(cr3, 4), m.read(d3cr, 4)) == (6, 0x4000)
