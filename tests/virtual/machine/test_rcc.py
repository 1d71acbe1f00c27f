"""Clock set-up as firmware does it, and the parts' data."""

from __future__ import annotations

import pytest

from farm.mcus import Step, load_mcu
from farm.virtual.machine import Machine
from farm.virtual.parts import Part, load_part, part_names

RCC, PWR, FLASH_ACR, GPIOD = 0x40023800, 0x40007000, 0x40023C00, 0x40020C00


def machine_of(part: Part) -> Machine:
    return Machine(part, bytearray(b"\xff" * part.flash_bytes), lambda _: None)


F4_FAMILY = pytest.mark.parametrize("name", ["stm32f412zg", "stm32f767zi"])


@F4_FAMILY
def test_recipe_to_full_speed_reports_every_step_ready(name) -> None:
    part = load_part(name)
    m = machine_of(part)
    m.write(RCC + 0x40, 4, 1 << 28)
    m.write(PWR, 4, 0xC000)
    m.write(RCC, 4, m.read(RCC, 4) | 1 << 18 | 1 << 16)
    assert m.read(RCC, 4) & 1 << 17
    m.write(RCC + 4, 4, 0x25401904)
    m.write(RCC + 8, 4, 2)
    assert m.read(RCC + 8, 4) >> 2 & 3 == 0  # the PLL does not run yet
    assert not m.read(PWR + 4, 4) & 1 << 14
    m.write(RCC, 4, m.read(RCC, 4) | 1 << 24)
    assert m.read(RCC, 4) & 1 << 25
    assert m.read(PWR + 4, 4) & 1 << 14
    m.write(RCC + 4, 4, 0)
    assert m.read(RCC + 4, 4) == 0x25401904  # fixed while the PLL runs
    m.write(PWR, 4, 0x3C000)
    assert bool(m.read(PWR + 4, 4) & 3 << 16) is (name == "stm32f767zi")
    m.write(FLASH_ACR, 4, 0x703)
    assert m.read(FLASH_ACR, 4) == 0x703
    m.write(RCC + 8, 4, 0x1002)
    assert m.read(RCC + 8, 4) == 0x100A
    m.system_reset()
    assert m.read(RCC + 8, 4) == 0
    assert m.read(RCC, 4) == part.clock.rcc_reset[0]


@F4_FAMILY
def test_peripheral_without_its_clock_reads_zero_and_forgets(name) -> None:
    m = machine_of(load_part(name))
    m.write(GPIOD, 4, 0xA0000)
    assert m.read(GPIOD, 4) == 0
    m.write(RCC + 0x30, 4, 1 << 3)
    m.write(GPIOD, 4, 0xA0000)
    assert m.read(GPIOD, 4) == 0xA0000
    m.write(GPIOD + 1, 1, 0x55)
    assert m.read(GPIOD, 4) == 0xA5500
    assert m.read(GPIOD + 2, 2) == 0xA


def walk(m: Machine, steps: tuple[Step, ...]) -> bool:
    """What steps_run() of the harness does; polls do not wait here."""
    for step in steps:
        found = m.read(step.address, 4)
        if step.do == "poll" and found & step.mask != step.value:
            return False
        if step.do != "poll":
            kept = found & ~step.mask if step.do == "modify" else 0
            m.write(step.address, 4, kept | step.value)
    return True


@pytest.mark.parametrize("source", ["external", "internal"])
@pytest.mark.parametrize("name", part_names())
def test_recipe_of_the_harness_gives_its_clock_and_its_baud_rate(name, source) -> None:
    mcu, m = load_mcu(name), machine_of(load_part(name))
    assert m.clocks.clocks().system == mcu.reset_clock_hz
    if source == "internal":
        m.clocks.external_hz = 0
    recipe = mcu.clock
    assert walk(m, recipe.prepare)
    assert walk(m, recipe.external) is (source == "external")
    assert walk(m, recipe.pll_external if source == "external" else recipe.pll_internal)
    assert walk(m, recipe.run)
    assert m.clocks.clocks().core == mcu.clock_hz
    assert walk(m, mcu.cold)
    assert m.clocks.overrun == ""
    assert walk(m, mcu.uart.setup)
    m.write(mcu.uart.divisor, 4, mcu.uart.divisor_at_clock)
    assert m.baud == pytest.approx(mcu.uart.baud, rel=1e-6)


@pytest.mark.parametrize("name", part_names())
def test_console_at_the_clock_of_reset_has_its_baud_rate(name) -> None:
    mcu, m = load_mcu(name), machine_of(load_part(name))
    assert walk(m, mcu.clock.prepare)
    assert walk(m, mcu.uart.setup)
    m.write(mcu.uart.divisor, 4, mcu.uart.divisor_at_reset_clock)
    assert m.baud == pytest.approx(mcu.uart.baud, rel=1e-6)


@pytest.mark.parametrize("powered", [True, False])
def test_console_of_the_l4r5_is_dead_without_the_supply_of_its_pins(powered) -> None:
    mcu, part = load_mcu("stm32l4r5zi"), load_part("stm32l4r5zi")
    sent = bytearray()
    m = Machine(part, bytearray(b"\xff" * part.flash_bytes), sent.extend)
    assert walk(m, mcu.clock.prepare)
    steps = [step for step in mcu.uart.setup if powered or step.register != "PWR_CR2"]
    assert walk(m, (*steps, *mcu.uart.enable))
    m.write(mcu.uart.transmit, 4, ord("!"))
    m.uart_in(b"?")
    m.system_reset()
    assert sent == (b"!" if powered else b"")


@pytest.mark.parametrize("name", part_names())
def test_every_gated_peripheral_reads_zero_until_its_clock_is_on(name) -> None:
    part = load_part(name)
    m = machine_of(part)
    gated = [each for each in part.registers if each.clock]
    assert len(gated) >= 8
    for each in gated:
        m.write(each.base + 4, 4, 0x1234)
        assert m.read(each.base + 4, 4) == 0
        enable = m.clocks.rcc.base + each.clock.offset
        m.write(enable, 4, m.read(enable, 4) | 1 << each.clock.bit)
        assert m.read(each.base + 4, 4) == 0  # what was written without a clock is lost
        m.write(each.base + 4, 4, 0x1234)
        assert m.read(each.base + 4, 4) == 0x1234
        m.write(enable, 4, 0)
        assert m.read(each.base + 4, 4) == 0


@pytest.mark.parametrize("name", part_names())
def test_data_of_a_part_agree_with_those_of_the_harness(name) -> None:
    part, mcu = load_part(name), load_mcu(name)
    assert (part.core, part.flash_base, part.usart.irq) == (mcu.core, mcu.flash.base, mcu.uart.irq)
    emulated = {(ram.base, ram.bytes) for ram in part.rams}
    assert {(ram.base, ram.bytes) for ram in mcu.rams} <= emulated
    size = part.system_memory["flash_size"]
    assert machine_of(part).read(size, 2) * 1024 == part.flash_bytes
    assert part.system_memory["uid"] == mcu.unique_id_address
    assert {ram.bus for ram in part.rams} <= {"tcm", "ahb", "axi"}
    assert part.flash_row_bytes in (8, 16, 32)
    for state, limits in part.clock.limits.items():
        assert list(limits.flash_hz) == sorted(set(limits.flash_hz)), state
    assert max(limits.core_hz for limits in part.clock.limits.values()) == mcu.clock_hz


@pytest.mark.parametrize("name", part_names())
def test_sectors_cover_flash_without_gap(name) -> None:
    part = load_part(name)
    sizes = {"stm32f412zg": 1 << 20, "stm32f746ng": 1 << 20}
    end = 0
    for sector in part.sectors:
        assert sector.offset == end
        end += sector.bytes
    assert end == part.flash_bytes == sizes.get(name, 2 << 20)
    assert end == load_mcu(name).flash.bytes


def test_unknown_part_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"stm32f412zg, .*stm32f767zi"):
        load_part("z80")


def test_flash_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(ValueError, match="1048576 bytes of flash, not 5"):
        Machine(load_part("stm32f412zg"), bytearray(5), lambda _: None)
