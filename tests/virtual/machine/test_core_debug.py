"""Watchpoints, vector catch, the debug monitor, and traps that CCR and SCR switch on."""

from __future__ import annotations

import pytest

DHCSR, DEMCR, DFSR, CFSR, DWT = 0xE000EDF0, 0xE000EDFC, 0xE000ED30, 0xE000ED28, 0xE0001020
KEY, DEBUG, HALT = 0xA05F0000, 1, 2
TRCENA = 1 << 24
LOOP = """
volatile u32 a[600], seen;
void run(void) {
    for (u32 i = 0; i < 4; i++) { seen = a[300]; a[301] = i; a[302] = i; }
}
"""


def watch(machine, address: int, function: int) -> None:
    machine.write(DHCSR, 4, KEY | DEBUG)
    machine.write(DEMCR, 4, TRCENA)
    for offset, value in ((0, address), (4, 0), (8, function)):
        machine.write(DWT + offset, 4, value)


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(("function", "index"), [(5, 300), (6, 301), (7, 301)])
def test_watchpoint_halts_behind_each_matching_access(build, function, index, native) -> None:
    rig = build(LOOP, native=native)
    machine, address = rig.machine, rig.symbols["a"] + 4 * index
    watch(machine, address, function)
    stores = []
    for _ in range(4):
        rig.run()
        assert machine.state == "halted"
        assert machine.read(DFSR, 4) == 4
        assert machine.read(DWT + 8, 4) == 1 << 24 | function
        assert machine.read(DWT + 8, 4) == function
        stores.append(machine.read(address, 4))
        machine.write(DFSR, 4, 4)
        machine.write(DHCSR, 4, KEY | DEBUG)
    rig.run()
    assert machine.state == "running"
    assert function == 5 or stores == [0, 1, 2, 3]


@pytest.mark.parametrize("native", [True, False])
def test_watchpoint_in_a_handler_halts_behind_the_access_and_the_handler_returns(
    build, native
) -> None:
    source = """
volatile u32 calls, back;
__attribute__((naked)) void on_svc(void) {
    __asm volatile("push {r7, lr}\\n ldr r0, =calls\\n ldr r1, [r0]\\n adds r1, #1\\n"
                   "str r1, [r0]\\n .global behind\\n behind: pop {r7, pc}\\n .ltorg");
}
void run(void) { for (back = 0; back < 3; back++) __asm volatile("svc 0"); }
"""
    rig = build(source, native=native)
    machine, before = rig.machine, rig.word("calls")
    watch(machine, rig.symbols["calls"], 6)
    for call in range(1, 4):
        rig.run()
        assert (machine.state, machine._core.pc) == ("halted", rig.symbols["behind"] & ~1)
        assert (rig.word("calls") - before, rig.word("back")) == (call, call - 1)
        machine.write(DHCSR, 4, KEY | DEBUG)
    rig.run()
    assert (machine.state, rig.word("back")) == ("running", 3)


def test_comparator_on_an_instruction_halts_behind_it(build) -> None:
    source = (
        '__attribute__((naked)) void run(void) { __asm volatile("nop\\n here: nop\\n bx lr"); }'
    )
    rig = build(source)
    here = rig.symbols["here"] & ~1
    watch(rig.machine, here, 4)
    rig.run()
    assert (rig.machine.state, rig.machine._core.pc) == ("halted", here + 2)


def test_monitor_handles_a_watchpoint_when_no_debugger_does(build) -> None:
    source = """
volatile u32 a[4], n, dfsr, after;
void on_monitor(void) { n++; dfsr = R(0xE000ED30); R(0xE0001028) = 0; }
void run(void) {
    n = after = 0;
    R(0xE000EDFC) = 1 << 24 | 1 << 16;
    R(0xE0001020) = (u32)&a[2]; R(0xE0001024) = 0; R(0xE0001028) = 6;
    __asm volatile("dsb\\nisb");
    a[2] = 5; a[2] = 6;
    after = 1;
}
__attribute__((naked)) void on_svc(void) { __asm volatile("b on_monitor"); }
"""
    rig = build(source)
    vector = rig.machine.read(0x08000000 + 4 * 11, 4).to_bytes(4, "little")
    rig.flash[4 * 12 : 4 * 13] = vector
    rig.run()
    assert [rig.word(n) for n in ("n", "dfsr", "after")] == [1, 4, 1]


@pytest.mark.parametrize(
    ("code", "enable", "catch"),
    [
        ("R(0x60000000) = 1;", 0, 1 << 10),
        ("R(0x60000000) = 1;", 1 << 17, 1 << 8),
        ('__asm volatile("udf #1");', 1 << 18, 1 << 7),
    ],
)
def test_vector_catch_halts_at_the_handler(build, code, enable, catch) -> None:
    rig = build(f"void run(void) {{ R(0xE000ED24) = {enable}; {code} }}")
    rig.machine.write(DHCSR, 4, KEY | DEBUG)
    rig.machine.write(DEMCR, 4, catch)
    rig.run()
    assert rig.machine.state == "halted"
    assert rig.machine.read(DFSR, 4) == 8
    handler = {0: "on_hard_fault", 1 << 17: "on_bus_fault", 1 << 18: "on_usage_fault"}[enable]
    assert rig.machine._core.pc == rig.symbols[handler] & ~1


def test_division_by_zero_is_a_fault_only_when_asked_for(build) -> None:
    source = """
volatile u32 zero, first, second, cfsr;
void on_usage_fault(void) { cfsr = R(0xE000ED28); for (;;) __asm volatile("wfi"); }
void run(void) {
    zero = second = cfsr = 0;
    R(0xE000ED24) = 1 << 18;
    first = 9 / zero + 1;
    R(0xE000ED14) |= 1 << 4;
    __asm volatile("dsb\\nisb");
    second = 8 / (zero + 2);
    __asm volatile("cmp %0, #1\\n it eq\\n udiveq r0, r0, %0" : : "r"(zero) : "r0", "cc");
    first += 100 / zero;
    second = 99;
}
"""
    rig = build(source).run()
    assert [rig.word(n) for n in ("first", "second", "cfsr")] == [1, 4, 1 << 25]


def test_wait_for_event_sleeps_until_one_comes(build) -> None:
    source = """
volatile u32 stage, ticks;
void on_tick(void) { ticks++; R(0xE000E010) = 0; }
void run(void) {
    stage = ticks = 0;
    __asm volatile("sev\\n wfe"); stage = 1;
    R(0xE000E014) = 50000; R(0xE000E018) = 0; R(0xE000E010) = 7;
    __asm volatile("wfe"); stage = 2 + ticks;
    __asm volatile("wfe\\n wfe"); stage = 9;
}
"""
    rig = build(source).run()
    assert rig.word("stage") == 3
    assert rig.machine.idle


def test_stack_below_memory_still_reaches_the_fault_handler(build) -> None:
    source = """
u32 cfsr;
__attribute__((naked)) void on_hard_fault(void) {
    __asm volatile("ldr r0, =0x20008000\\n mov sp, r0\\n b on_hard_fault_c");
}
void on_hard_fault_c(void) { cfsr = R(0xE000ED28); for (;;) __asm volatile("wfi"); }
__attribute__((naked)) void run(void) {
    __asm volatile("ldr r0, =0x20000008\\n mov sp, r0\\n push {r0-r3}\\n bx lr");
}
"""
    assert build(source).run().word("cfsr") & 0x1200 == 0x1200  # PRECISERR and STKERR
