"""The machine as its daemon drives it: console, cycles, debugger, reset and power."""

from __future__ import annotations

import pytest

from farm.virtual.machine import BusFault, Machine
from farm.virtual.parts import load_part

BOTH = pytest.mark.parametrize("part", ["stm32f412zg", "stm32f767zi"])
DHCSR, DCRSR, DCRDR, DEMCR, AIRCR = 0xE000EDF0, 0xE000EDF4, 0xE000EDF8, 0xE000EDFC, 0xE000ED0C
HALT, RUN, STEP = 0xA05F0003, 0xA05F0001, 0xA05F000D
S_HALT, S_RESET = 1 << 17, 1 << 25

WORK = """
i8 a[1024], b[1024];
NOINLINE u32 work(u32 rounds) {
    u32 sum = 0;
    for (u32 r = 0; r < rounds; r++)
        for (u32 i = 0; i < 1024; i++) {
            sum += a[i] * b[i];
            if (i & r) sum ^= i; else sum *= 3;
        }
    return sum;
}
NOINLINE void timed(void) {
    u32 before = CYCCNT;
    u32 sum = work(20);
    put32(CYCCNT - before);
    put32(sum);
}
void run(void) {
    console();
    count_cycles();
    for (u32 i = 0; i < 1024; i++) { a[i] = i * 7; b[i] = i * 13; }
    timed();
    for (;;) {
        while (!(STATUS & 0x20)) ;
        if (RDR == 't') timed(); else put('?');
    }
}
"""


def core_register(machine: Machine, number: int, value: int | None = None) -> int:
    if value is not None:
        machine.write(DCRDR, 4, value)
    machine.write(DCRSR, 4, number | (0 if value is None else 1 << 16))
    return machine.read(DCRDR, 4)


@BOTH
def test_cycles_do_not_depend_on_slicing_host_seed_or_history(build, part) -> None:
    first = build(WORK, part).run()
    reference = bytes(first.output)
    assert len(reference) == 8
    for seed, (native, budget) in enumerate([(True, 40), (True, 5000), (False, 1_000_000)]):
        rig = build(WORK, part, native=native, seed=seed).run(budget, slices=200_000)
        assert bytes(rig.output) == reference
        assert rig.machine.native is native
    first.machine.uart_in(b"xxtxt")
    first.run()
    assert bytes(first.output) == reference + b"??" + reference + b"?" + reference


@BOTH
def test_cycle_counter_stands_still_without_trace_or_key(build, part) -> None:
    source = """
u32 locked, off, on;
void run(void) {
    R(0xE000EDFC) = 1 << 24;
    R(0xE0001000) |= 1; locked = CYCCNT; locked = CYCCNT - locked;
    R(0xE0001FB0) = 0xC5ACCE55; R(0xE0001000) |= 1;
    on = CYCCNT; on = CYCCNT - on;
    R(0xE000EDFC) = 0;
    off = CYCCNT; off = CYCCNT - off;
}
"""
    rig = build(source, part).run()
    assert rig.word("off") == 0
    assert rig.word("on") > 0
    assert (rig.word("locked") == 0) == load_part(part).dwt_lock


def test_cycle_counter_is_exact_inside_a_block(build) -> None:
    source = """
u32 out[4];
void run(void) {
    count_cycles();
    __asm volatile("ldr r0, =0xE0001004\\n ldr r1, =out\\n b 1f\\n .balign 4\\n 1:\\n"
                   "ldr r2, [r0]\\n nop\\n nop\\n nop\\n ldr r3, [r0]\\n"
                   "nop\\n ldr r4, [r0]\\n subs r4, r4, r3\\n subs r3, r3, r2\\n"
                   "str r3, [r1]\\n str r4, [r1, #4]" ::: "r0", "r1", "r2", "r3", "r4");
}
"""
    rig = build(source).run()
    out = rig.symbols["out"]
    assert rig.machine.read(out, 4) == 2 + 3  # the load itself and three NOP
    assert rig.machine.read(out + 4, 4) == 2 + 1


@pytest.mark.parametrize("native", [True, False])
def test_console_polling_is_idle_and_input_wakes_it(build, native) -> None:
    rig = build(WORK, native=native).run()
    assert rig.machine.idle
    rig.output.clear()
    assert rig.machine.uart_in(b"x" * 3000) == 3000
    assert not rig.machine.idle
    rig.run()
    assert bytes(rig.output) == b"?" * 3000


def test_sender_waits_while_the_receiver_is_full(build) -> None:
    rig = build("void run(void) { console(); }").run()
    data = bytes(i % 251 for i in range(10_000))
    taken = rig.machine.uart_in(data)
    assert 0 < taken <= 4096
    assert rig.machine.uart_in(data[taken:]) == 0
    assert bytes(rig.machine.read(0x40004804, 1) for _ in range(9)) == data[:9]
    assert rig.machine.uart_in(data[taken:]) == 9


def test_console_is_deaf_and_dumb_until_it_is_enabled(build) -> None:
    source = """
void run(void) {
    TDR = 'a';                     /* no clock */
    R(0x40023840) |= 1 << 18;
    TDR = 'b';                     /* not enabled */
    CR1 = UE | 12;
    TDR = 'c';
}
"""
    rig = build(source)
    rig.machine.uart_in(b"lost")
    rig.run()
    assert bytes(rig.output) == b"c"
    assert not rig.machine.read(0x40004800, 4) & 0x20


def test_received_bytes_raise_the_interrupt_until_all_are_read(build) -> None:
    source = """
u8 got[8]; volatile u32 n;
void on_usart(void) { got[n++] = RDR; }
void run(void) {
    n = 0; console(); CR1 |= 1 << 5; R(0xE000E104) = 1 << 7;
}
"""
    rig = build(source).run()
    rig.machine.uart_in(b"hello")
    rig.run()
    assert rig.word("n") == 5
    assert rig.machine.read_block(rig.symbols["got"], 5) == b"hello"


@BOTH
def test_debugger_halts_reads_and_changes_registers(build, part) -> None:
    rig = build(WORK, part).run()
    machine = rig.machine
    machine.write(DHCSR, 4, HALT)
    assert machine.state == "halted"
    assert machine.read(DHCSR, 4) & S_HALT
    for number, value in ((0, 0x12345678), (12, 7), (17, 0x2000F000), (64, 0x3F800000), (95, 5)):
        assert core_register(machine, number, value) == value
        assert core_register(machine, number) == value
    assert core_register(machine, 16) & 1 << 24
    cycles = machine.cycles
    machine.run(1000)
    assert machine.cycles == cycles


@BOTH
def test_breakpoint_stops_before_its_instruction_each_time(build, part) -> None:
    source = """
volatile u32 n;
NOINLINE void tick(void) { n++; }
void run(void) { n = 0; for (int i = 0; i < 3; i++) tick(); }
"""
    rig = build(source, part)
    machine, address = rig.machine, rig.symbols["tick"] & ~1
    reference = build(source, part).run().machine.cycles
    machine.write(DHCSR, 4, RUN)
    half = 2 if address & 2 else 1
    two = load_part(part).breakpoint_revision == 2
    machine.write(0xE0002008, 4, address | 1 if two else (address & ~3) | half << 30 | 1)
    machine.write(0xE0002000, 4, 3)
    for count in range(3):
        rig.run()
        assert machine.state == "halted"
        assert (core_register(machine, 15), rig.word("n")) == (address, count)
        machine.write(DHCSR, 4, RUN)
    assert machine.read(0xE000ED30, 4) & 2
    rig.run()
    assert rig.word("n") == 3
    # What was fetched behind each breakpoint is fetched again.
    assert machine.cycles == pytest.approx(reference, abs=36)


def test_stepping_follows_the_same_path_as_running(build) -> None:
    source = """
u32 out;
void run(void) {
    u32 x = 1;
    for (int i = 0; i < 4; i++) x = x * 5 + i;
    out = x;
}
"""
    rig = build(source)
    machine = rig.machine
    machine.write(DHCSR, 4, HALT)
    machine.write(DEMCR, 4, 1)
    machine.write(AIRCR, 4, 0x05FA0004)
    assert core_register(machine, 15) == rig.symbols["Reset_Handler"] & ~1
    places = []
    while core_register(machine, 15) != rig.symbols["run"] & ~1:
        machine.write(DHCSR, 4, STEP)
        assert machine.state == "halted"
        places.append(core_register(machine, 15))
        assert len(places) < 100
    assert len(set(places)) == len(places)
    machine.write(DHCSR, 4, RUN)
    rig.run()
    expected = 1
    for i in range(4):
        expected = expected * 5 + i
    assert rig.word("out") == expected


def test_firmware_can_reset_the_board(build) -> None:
    source = """
void run(void) {
    console();
    put('r');
    if (R(0x2000FF00) != 0x600D) { R(0x2000FF00) = 0x600D; R(0xE000ED0C) = 0x05FA0004; }
    __asm volatile("dsb\\nisb");
    put('.');
}
"""
    rig = build(source).run()
    assert bytes(rig.output) == b"rr."
    assert rig.machine.read(DHCSR, 4) & S_RESET
    assert not rig.machine.read(DHCSR, 4) & S_RESET


def test_reset_lets_a_halted_core_go(build) -> None:
    machine = build(WORK).machine
    machine.write(DHCSR, 4, HALT)
    assert machine.state == "halted"
    machine.system_reset()
    assert machine.state == "running"


def test_reset_line_holds_the_board_and_vector_catch_stops_it_at_the_first_instruction(
    build,
) -> None:
    rig = build(WORK, "stm32f767zi")
    machine = rig.machine
    machine.hold_reset(True)
    machine.run(1_000_000)
    assert not rig.output
    machine.write(DEMCR, 4, 1)
    machine.write(DHCSR, 4, RUN)
    machine.hold_reset(False)
    assert machine.state == "halted"
    assert core_register(machine, 15) == rig.symbols["Reset_Handler"] & ~1
    assert machine.read(0xE000ED30, 4) & 8


def test_power_cycle_loses_ram_but_not_flash(build) -> None:
    rig = build(WORK).run()
    before, flash = rig.machine.read_block(0x20000000, 4096), bytes(rig.flash)
    rig.machine.write(DHCSR, 4, HALT)
    rig.machine.power_cycle()
    assert rig.machine.state == "running"
    assert rig.machine.read(DHCSR, 4) & 1 == 0
    assert rig.machine.read_block(0x20000000, 4096) != before
    assert bytes(rig.flash) == flash


@BOTH
def test_addresses_where_nothing_is_are_bus_faults(build, part) -> None:
    machine = build("void run(void) {}", part).machine
    for address in (0x60000000, 0x40000000, 0x08400000, 0xE0042400):
        with pytest.raises(BusFault) as caught:
            machine.read(address, 4)
        assert caught.value.address == address
        with pytest.raises(BusFault):
            machine.write(address, 4, 0)
    with pytest.raises(BusFault):
        machine.read_block(0x1FFFFFFE, 4)


@BOTH
def test_part_says_who_it_is(build, part) -> None:
    machine = build("void run(void) {}", part).machine
    known = load_part(part)
    where = known.system_memory
    assert machine.read(0xE000ED00, 4) == known.cpuid
    assert machine.read(0xE0042000, 4) & 0xFFF == known.device_id
    assert machine.read(where["flash_size"], 2) == known.flash_bytes // 1024
    assert len(set(machine.read_block(where["uid"], 12))) > 1
    for alias in known.flash_aliases:
        assert machine.read_block(alias, 64) == machine.read_block(known.flash_base, 64)


@BOTH
def test_rom_tables_lead_to_the_debug_components(build, part) -> None:
    machine = build("void run(void) {}", part).machine
    found, tables = set(), [load_part(part).rom_table]
    while tables:
        base = tables.pop()
        for offset in range(0, 0xF00, 4):
            entry = machine.read(base + offset, 4)
            if not entry:
                break
            place = base + (entry & 0xFFFFF000) & 0xFFFFFFFF
            kind = machine.read(place + 0xFF4, 4) >> 4
            (tables.append if kind == 1 else found.add)(place)
    assert found == {0xE0000000, 0xE0001000, 0xE0002000, 0xE000E000}


def test_code_in_ram_that_the_debugger_replaces_runs_anew(build) -> None:
    machine = build("void run(void) {}").machine
    machine.write(DHCSR, 4, HALT)
    for value in (0x11, 0x22):
        machine.write_block(0x20000000, bytes([value, 0x20, 0x00, 0xBE]))  # movs r0, #value; bkpt
        core_register(machine, 15, 0x20000000)
        machine.write(DHCSR, 4, RUN)
        machine.run(1000)
        assert machine.state == "halted"
        assert core_register(machine, 0) == value


def test_it_block_across_a_page_survives_a_slice_end(build) -> None:
    source = """
u32 out[2];
__attribute__((naked, aligned(1024))) void run(void) {
    __asm volatile(
        "push {r4, lr}\\n ldr r1, =out\\n movs r4, #0\\n movs r0, #0\\n cmp r0, r4\\n"
        "b 2f\\n .balign 1024\\n .skip 1018\\n 2: cmp r0, #0\\n ittee eq\\n"
        "addeq r4, #1\\n"                 /* the page ends here */
        "addeq r4, #2\\n addne r4, #4\\n addne r4, #8\\n str r4, [r1]\\n pop {r4, pc}\\n .ltorg");
}
"""
    for budget in (1, 2, 3, 1_000_000):
        rig = build(source).run(budget)
        assert rig.word("out") == 3


def test_edge_table_that_overflows_changes_no_cycle(build) -> None:
    full, small = build(WORK).run(), build(WORK)
    small.machine._hook.counters.slot_mask = 7
    small.run()
    assert small.output == full.output
    assert small.machine.cycles == full.machine.cycles


def test_program_that_waits_for_an_interrupt_sleeps_and_is_idle(build) -> None:
    rig = build("void run(void) {}").run()
    assert rig.machine.idle
    cycles = rig.machine.cycles
    rig.machine.run(1_000_000)
    assert rig.machine.idle
    assert rig.machine.cycles == cycles
    assert rig.machine.read(DHCSR, 4) & 1 << 18
