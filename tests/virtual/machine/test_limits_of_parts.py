"""Peripherals without their clock, and frames at the limit of RAM, on every part."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.virtual.machine import Machine
from farm.virtual.pages import READ_PLAIN, WRITE_PLAIN, Page
from farm.virtual.parts import load_part, part_names

DHCSR, DCRSR, DCRDR = 0xE000EDF0, 0xE000EDF4, 0xE000EDF8
EVERY = pytest.mark.parametrize("name", part_names())
# ldr r2, [r0]; str r1, [r0]; ldr r3, [r0]; bkpt
TOUCH = struct.pack("<4H", 0x6802, 0x6001, 0x6803, 0xBE00)


def machine_of(name: str, native: bool = True) -> Machine:
    part = load_part(name)
    flash = bytearray(b"\xff" * part.flash_bytes)
    return Machine(part, flash, lambda _: None, native_hook=native)


def clocked(machine: Machine) -> list[Page]:
    """The pages that have a clock of their own."""
    found = [page for page in machine.clocks._gated if page.clock]
    assert found
    return found


def switch(machine: Machine, page: Page, on: bool) -> None:
    """By the enable register, as firmware does."""
    register = machine.clocks.rcc.base + page.clock.offset
    bit = 1 << page.clock.bit
    kept = machine.read(register, 4) & ~bit
    machine.write(register, 4, kept | (bit if on else 0))


def plain(page: Page) -> list[int]:
    """Offsets of registers that only remember."""
    reads, writes = page.state.read_mode, page.state.write_mode
    return [4 * i for i in range(256) if (reads[i], writes[i]) == (READ_PLAIN, WRITE_PLAIN)]


def by_core(machine: Machine, address: int, value: int) -> list[int]:
    """What the core reads there before and after it stores."""
    base = next(r.base for r in machine.part.rams if r.base >= 0x20000000)
    machine.write(DHCSR, 4, 0xA05F0003)
    machine.write_block(base, TOUCH)
    for number, content in ((0, address), (1, value), (15, base)):
        machine.write(DCRDR, 4, content)
        machine.write(DCRSR, 4, number | 1 << 16)
    machine.write(DHCSR, 4, 0xA05F0001)
    machine.run(1000)
    assert machine.state == "halted"
    return [machine._core.general(n) for n in (2, 3)]


@EVERY
@settings(max_examples=5, deadline=None, derandomize=True)
@given(data=st.data())
def test_register_answers_only_while_its_clock_runs(name, data) -> None:
    machine = machine_of(name)
    for page in clocked(machine):
        offset = data.draw(st.sampled_from(plain(page)))
        first, second = data.draw(st.tuples(*[st.integers(1, 2**32 - 1)] * 2))
        switch(machine, page, on=False)
        machine.write(page.base + offset, 4, first)
        assert machine.read(page.base + offset, 4) == 0
        switch(machine, page, on=True)
        before = machine.read(page.base + offset, 4)
        machine.write(page.base + offset, 4, first)
        assert machine.read(page.base + offset, 4) == first
        switch(machine, page, on=False)
        machine.write(page.base + offset, 4, second)
        assert [machine.read(page.base + at, 4) for at in range(0, 0x400, 0x40)] == [0] * 16
        switch(machine, page, on=True)
        assert machine.read(page.base + offset, 4) == first
        machine.write(page.base + offset, 4, before)


@pytest.mark.parametrize("native", [True, False])
@EVERY
def test_core_reads_zero_and_stores_nothing_where_no_clock_runs(name, native) -> None:
    machine = machine_of(name, native)
    for page in clocked(machine):
        address = page.base + plain(page)[-1]
        switch(machine, page, on=False)
        assert by_core(machine, address, 0x12345678) == [0, 0]
        switch(machine, page, on=True)
        assert by_core(machine, address, 0x9ABCDEF0) == [0, 0x9ABCDEF0]


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(("room", "fits"), [(0x20, True), (0x18, False), (0, False)])
def test_interrupt_needs_room_for_its_frame(build, native, room, fits) -> None:
    source = f"""
#define SEEN(n) R(0x20001000 + 4 * n) /* the frame may lie over all that begins with RAM */
__attribute__((naked)) void on_pend(void) {{
    __asm volatile("ldr r0, =0x20001000\\n ldr r1, [r0]\\n adds r1, #1\\n str r1, [r0]\\n bx lr");
}}
void on_bus_fault(void) {{ SEEN(1)++; SEEN(2) = R(0xE000ED28); for (;;) __asm volatile("wfi"); }}
void run(void) {{
    SEEN(0) = SEEN(1) = SEEN(2) = SEEN(3) = 0;
    R(0xE000ED24) = 7 << 16; R(0xE000ED20) = 0x80 << 16;
    __asm volatile("msr psp, %0\\n movs r0, #2\\n msr control, r0\\n isb\\n"
        "ldr r0, =0xE000ED04\\n ldr r1, =0x10000000\\n str r1, [r0]\\n dsb\\n isb\\n"
        "movs r0, #0\\n msr control, r0\\n isb" :: "r"(0x20000000 + {room}) : "r0", "r1", "memory");
    SEEN(3) = 1;
}}
"""
    rig = build(source, native=native).run(slices=50)
    pends, faults, cfsr, behind = (rig.machine.read(0x20001000 + 4 * n, 4) for n in range(4))
    stkerr = 1 << 12
    assert (pends, faults, cfsr, behind) == ((1, 0, 0, 1) if fits else (0, 1, stkerr, 0))


def test_frame_that_ends_with_ram_is_unstacked(build) -> None:
    source = """
volatile u32 calls;
void on_svc(void) { calls++; }
void run(void) {
    calls = 0;
    __asm volatile("msr psp, %0\\n movs r0, #2\\n msr control, r0\\n isb\\n svc 0\\n movs r0, #0\\n"
        "msr control, r0\\n isb" :: "r"(0x20040000) : "r0", "memory");
    calls += 10;
}
"""
    rig = build(source).run(slices=50)
    assert rig.word("calls") == 11
