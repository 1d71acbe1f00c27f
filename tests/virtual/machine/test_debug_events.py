"""Debug events: DFSR, DHCSR, vector catch, the debug monitor, lock-up, data values, steps."""

from __future__ import annotations

import pytest

DHCSR, DEMCR, DFSR, ICSR = 0xE000EDF0, 0xE000EDFC, 0xE000ED30, 0xE000ED04
FPB, DWT, CPACR = 0xE0002000, 0xE0001020, 0xE000ED88
KEY, DEBUG, HALT, STEP, MASKINTS = 0xA05F0000, 1, 2, 4, 8
TRCENA, MON_EN, MON_PEND, MON_STEP = 1 << 24, 1 << 16, 1 << 17, 1 << 18
S_HALT, S_SLEEP, S_LOCKUP = 1 << 17, 1 << 18, 1 << 19
HALTED, BKPT, WATCHED, CAUGHT = 1, 2, 4, 8
NMI_SET, PEND_SV_SET = 1 << 31, 1 << 28
LOCKUP_PC = 0xFFFFFFFE
BOTH = pytest.mark.parametrize("native", [True, False])


def kept(name: str) -> str:
    """Keeps the linker from leaving a handler out that no vector names yet."""
    return f"""
void {name}(void);
__attribute__((section(".vectors"), used)) const handler kept_{name} = {name};
"""


def handler_at(rig, number: int, name: str) -> None:
    """Put a function into the vector table."""
    rig.flash[4 * number : 4 * number + 4] = (rig.symbols[name] | 1).to_bytes(4, "little")


def control(machine, bits: int) -> None:
    machine.write(DHCSR, 4, KEY | DEBUG | bits)


def step(rig, bits: int = 0) -> int:
    control(rig.machine, STEP | bits)
    assert rig.machine.state == "halted"
    return rig.machine._core.pc


def break_at(rig, name: str) -> int:
    address = rig.symbols[name] & ~1
    rig.machine.write(FPB + 8, 4, address | (0x80000000 if address & 2 else 0x40000000) | 1)
    rig.machine.write(FPB, 4, 3)
    return address


def reach(rig, name: str) -> int:
    """Halted by a breakpoint, which is gone again."""
    control(rig.machine, 0)
    address = break_at(rig, name)
    rig.run()
    assert (rig.machine.state, rig.machine._core.pc) == ("halted", address)
    rig.machine.write(FPB + 8, 4, 0)
    return address


# -- vector catch --------------------------------------------------------------------------

CATCHES = {4: 4, 5: 6, 6: 6, 7: 6, 8: 5, 9: 5, 10: 3}  # bit of DEMCR: exception
CAUSES = """
volatile u32 which;
void on_memory(void) { for (;;) ; }
void run(void) {
    R(0xE000ED24) = which == 10 ? 0 : 7 << 16;
    switch (which) {
    case 4: /* a region that nobody may read */
        R(0xE000ED9C) = 0x60000000; R(0xE000EDA0) = 0x1B; R(0xE000ED94) = 5;
        __asm volatile("dsb\\n isb"); R(0x60000000); break;
    case 5: R(0xE000ED88) = 0; __asm volatile("dsb\\n isb\\n vmov s0, r0"); break;
    case 6: R(0xE000ED14) |= 8; __asm volatile("dsb\\n isb"); R(0x20000001); break;
    case 7: __asm volatile("udf #0"); break;
    case 9: /* no room for the frame */
        R(0xE000ED1C) = 0x80 << 24;
        __asm volatile("ldr r0, =0x20000008\\n msr msp, r0\\n svc 0"); break;
    default: R(0x60000000);
    }
}
"""


def test_each_bit_of_vector_catch_halts_at_its_handler_and_no_other_does(build) -> None:
    rig = build(kept("on_memory") + CAUSES)
    handler_at(rig, 4, "on_memory")
    names = {3: "on_hard_fault", 4: "on_memory", 5: "on_bus_fault", 6: "on_usage_fault"}
    machine = rig.machine
    for bit, number in CATCHES.items():
        control(machine, 0)
        machine.system_reset()
        machine.write(rig.symbols["which"], 4, bit)
        machine.write(DEMCR, 4, 0x7F0 & ~(1 << bit) & ~(1 << 8 if bit == 9 else 0))
        machine.run(100_000)
        assert (bit, machine.state) == (bit, "running")
        machine.system_reset()
        machine.write(DEMCR, 4, 1 << bit)
        machine.run(100_000)
        assert (bit, machine.state) == (bit, "halted")
        assert machine._core.pc == rig.symbols[names[number]] & ~1
        assert machine._core.ipsr == number
        assert machine.read(DFSR, 4) == CAUGHT
        machine.write(DFSR, 4, CAUGHT)
        assert machine.read(DFSR, 4) == 0


def test_catch_looks_at_the_fault_and_not_at_those_before(build) -> None:
    rig = build("""
__attribute__((naked)) void on_usage_fault(void) {
    __asm volatile("ldr r0, [sp, #24]\\n adds r0, #2\\n str r0, [sp, #24]\\n bx lr");
}
void run(void) { R(0xE000ED24) = 7 << 16; __asm volatile(".short 0xde00\\n nop\\n .short 0xde00"); }
""")
    control(rig.machine, 0)
    rig.machine.write(0xE000ED24, 4, 7 << 16)
    rig.machine.write(DEMCR, 4, 1 << 5 | 1 << 6)  # no coprocessor, checks
    rig.run()
    assert rig.machine.state == "running"


def test_core_halts_at_reset_when_asked_to(build) -> None:
    rig = build("void run(void) {}")
    control(rig.machine, 0)
    rig.machine.write(DEMCR, 4, 1)
    rig.machine.system_reset()
    assert rig.machine.state == "halted"
    assert rig.machine._core.pc == rig.symbols["Reset_Handler"] & ~1
    assert rig.machine.read(DFSR, 4) == CAUGHT


# -- DFSR and DHCSR ------------------------------------------------------------------------


def test_every_reason_to_halt_has_its_bit_until_it_is_cleared(build) -> None:
    source = """
volatile u32 a;
__attribute__((naked)) void run(void) {
    __asm volatile("nop\\n .global here\\n here: nop\\n bkpt 1\\n ldr r0, =a\\n str r0, [r0]\\n"
        "b .\\n .ltorg");
}
"""
    rig = build(source)
    machine = rig.machine
    machine.write(DEMCR, 4, TRCENA)
    for offset, value in ((0, rig.symbols["a"]), (4, 0), (8, 6)):
        machine.write(DWT + offset, 4, value)
    reach(rig, "here")
    assert machine.read(DFSR, 4) == BKPT
    machine.write(DFSR, 4, BKPT)
    rig.machine.write(DHCSR, 4, KEY | DEBUG)
    rig.run()
    assert machine.read(DFSR, 4) == BKPT  # by the instruction
    machine._core.pc += 2
    control(machine, 0)
    rig.run()
    assert machine.read(DFSR, 4) == BKPT | WATCHED
    control(machine, 0)
    machine.run(1000)
    assert machine.state == "running"
    control(machine, HALT)
    assert machine.read(DFSR, 4) == HALTED | BKPT | WATCHED
    machine.write(DFSR, 4, 0xFFFFFFFF & ~WATCHED)
    assert machine.read(DFSR, 4) == WATCHED
    step(rig)
    assert machine.read(DFSR, 4) == HALTED | WATCHED


def test_sleep_and_lockup_are_seen_until_a_halt_ends_them(build) -> None:
    source = 'void run(void) { __asm volatile("wfi\\n .global behind\\n behind: udf #0"); }'
    rig = build(source + ' void on_hard_fault(void) { __asm volatile("udf #1"); }')
    machine = rig.machine
    control(machine, 0)
    rig.run()
    seen = S_HALT | S_SLEEP | S_LOCKUP
    assert machine.read(DHCSR, 4) & seen == S_SLEEP
    control(machine, HALT)
    assert machine.read(DHCSR, 4) & seen == S_HALT
    assert machine._core.pc == rig.symbols["behind"] & ~1
    control(machine, 0)
    rig.run()
    assert machine.read(DHCSR, 4) & seen == S_LOCKUP
    control(machine, HALT)
    assert machine.read(DHCSR, 4) & seen == S_HALT
    assert machine._core.pc == LOCKUP_PC
    control(machine, 0)
    machine.run(1000)
    assert machine.read(DHCSR, 4) & seen == S_LOCKUP


@BOTH
def test_nmi_ends_a_lockup_and_its_return_begins_it_again(build, native) -> None:
    source = """
u32 seen;
void on_nmi(void) { seen = R(0xE000ED04) & 0x1FF; }
void run(void) { seen = 0; __asm volatile("udf #0"); }
void on_hard_fault(void) { __asm volatile("udf #1"); }
"""
    rig = build(kept("on_nmi") + source, native=native)
    handler_at(rig, 2, "on_nmi")
    rig.run()
    assert (rig.machine.state, rig.word("seen")) == ("lockup", 0)
    rig.machine.write(ICSR, 4, NMI_SET)
    rig.run()
    assert (rig.machine.state, rig.word("seen")) == ("lockup", 2)
    assert rig.machine._core.pc == LOCKUP_PC


def test_lockup_of_the_nmi_itself_lasts(build) -> None:
    rig = build(
        kept("on_nmi") + 'void on_nmi(void) { __asm volatile("udf #1"); } void run(void) {}'
    )
    handler_at(rig, 2, "on_nmi")
    rig.machine.write(ICSR, 4, NMI_SET)
    rig.run()
    rig.machine.write(ICSR, 4, NMI_SET)
    rig.machine.run(1000)
    assert rig.machine.state == "lockup"


@BOTH
def test_masked_interrupts_wait_and_others_do_not(build, native) -> None:
    source = """
volatile u32 pends, calls, nmis, go;
void on_pend(void) { pends++; }
void on_svc(void) { calls++; }
void on_nmi(void) { nmis++; }
void run(void) {
    pends = calls = nmis = 0;
    __asm volatile(".global here\\n here: nop");
    for (go = 0; go < 3; go++) { __asm volatile("svc 0"); R(0xE000ED04) = 1 << 28; }
    __asm volatile(".global there\\n there: nop");
}
"""
    rig = build(kept("on_nmi") + source, native=native)
    handler_at(rig, 2, "on_nmi")
    reach(rig, "here")
    break_at(rig, "there")
    control(rig.machine, HALT | MASKINTS)
    rig.machine.write(ICSR, 4, NMI_SET)
    control(rig.machine, MASKINTS)
    rig.run()
    assert [rig.word(n) for n in ("pends", "calls", "nmis")] == [0, 3, 1]
    assert rig.machine.read(ICSR, 4) & PEND_SV_SET
    rig.machine.write(FPB, 4, 2)
    control(rig.machine, HALT)
    control(rig.machine, 0)
    rig.run()
    assert [rig.word(n) for n in ("pends", "calls", "nmis")] == [1, 3, 1]


# -- the debug monitor ---------------------------------------------------------------------

MONITOR = """
volatile u32 entries, pcs[16], reasons[16], left, end;
__attribute__((naked)) void on_monitor(void) { __asm volatile("mov r0, sp\\n b monitor"); }
void monitor(u32 *frame) {
    pcs[entries] = frame[6]; reasons[entries++] = R(0xE000ED30); R(0xE000ED30) = 0xFFFFFFFF;
    R(0xE000EDFC) = left-- ? 5 << 16 : 1 << 16;
}
volatile u32 calls; void on_svc(void) { calls++; }
void run(void) {
    entries = calls = 0; left = 6;
    R(0xE000ED1C) = 0x40 << 24; R(0xE000ED20) = 0x80;
    R(0xE000EDFC) = 3 << 16;
    __asm volatile("dsb\\n isb\\n .global s0\\n s0: nop\\n .global s1\\n s1: movs r0, #1\\n"
        "cmp r0, #1\\n it eq\\n .global s4\\n s4: moveq r1, #2\\n svc 1\\n .global s6\\n s6: nop\\n"
        "nop" ::: "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    end = R(0xE000EDFC);
}
"""


@BOTH
def test_monitor_is_pended_by_its_bit_and_steps_thread_mode(build, native) -> None:
    rig = build(kept("on_monitor") + MONITOR, native=native)
    handler_at(rig, 12, "on_monitor")
    rig.machine.system_reset()
    rig.run()
    first, last = rig.symbols["s0"] & ~1, rig.symbols["s6"] & ~1
    pcs = [rig.machine.read(rig.symbols["pcs"] + 4 * i, 4) for i in range(7)]
    reasons = [rig.machine.read(rig.symbols["reasons"] + 4 * i, 4) for i in range(7)]
    assert pcs == list(range(first, last + 2, 2))  # a more urgent handler is one step with its SVC
    assert reasons == [0] + [HALTED] * 6
    assert (rig.word("entries"), rig.word("calls")) == (7, 1)
    assert rig.word("end") == MON_EN


def test_pending_monitor_reads_back_and_can_be_withdrawn(build) -> None:
    rig = build("void run(void) {}")
    control(rig.machine, HALT)
    rig.machine.write(DEMCR, 4, MON_PEND)
    assert rig.machine.read(DEMCR, 4) == MON_PEND
    rig.machine.write(DEMCR, 4, MON_EN)
    assert rig.machine.read(DEMCR, 4) == MON_EN


# -- data values ---------------------------------------------------------------------------

VALUES = """
volatile u32 a[4], b[4], seen;
volatile u8 c[4];
void run(void) {
    for (u32 i = 0; i < 4; i++) { b[0] = i * 5; __asm volatile(""); a[1] = i * 5; }
    for (u32 i = 0; i < 3; i++) { c[2] = (u8)(0x80 + i); __asm volatile("" ::: "memory"); }
    seen = a[1];
    __asm volatile(".global end\\n end: nop");
}
"""
WORD, BYTE, MATCH, LINKED = 2 << 10, 0, 1 << 8, 1 << 9


def value_match(rig, value: int, function: int, linked: str = "") -> None:
    """Comparator 1 on a value, at a variable that comparator 2 holds, or anywhere."""
    m = rig.machine
    control(m, 0)
    m.write(DEMCR, 4, TRCENA)
    if linked:
        m.write(DWT + 0x20, 4, rig.symbols[linked] + (4 if linked == "a" else 2))
    link = 2 if linked else 1
    m.write(DWT + 0x10, 4, value)
    m.write(DWT + 0x18, 4, function | MATCH | link << 12 | link << 16)


@BOTH
@pytest.mark.parametrize(
    ("value", "function", "linked", "halts"),
    [
        (10, 6 | WORD, "a", [("a", 1, 10)]),
        (10, 6 | WORD, "", [("b", 0, 10), ("a", 1, 10)]),
        (15, 5 | WORD, "a", [("a", 1, 15)]),
        (0x81818181, 7 | BYTE, "c", [("c", 2, 0x81)]),
        (0x10, 6 | WORD, "a", []),
        (15, 5 | BYTE, "a", []),
    ],
)
def test_comparator_1_halts_on_a_value(build, native, value, function, linked, halts) -> None:
    rig = build(VALUES, native=native)
    value_match(rig, value, function, linked)
    for name, index, expected in halts:
        rig.run()
        assert (rig.machine.state, rig.machine.read(DFSR, 4)) == ("halted", WATCHED)
        size = 1 if name == "c" else 4
        assert rig.machine.read(rig.symbols[name] + index * size, size) == expected
        assert rig.machine.read(DWT + 0x18, 4) & 1 << 24
        assert not rig.machine.read(DWT + 0x18, 4) & 1 << 24
        rig.machine.write(DFSR, 4, WATCHED)
        control(rig.machine, 0)
    rig.run()
    assert rig.machine.state == "running"


def test_only_comparator_1_has_the_fields_of_a_value(build) -> None:
    machine = build("void run(void) {}").machine
    for number in range(4):
        machine.write(DWT + 16 * number + 8, 4, 0xFFFFFFF8)
        expected = 0xFFD08 | LINKED if number == 1 else 8
        assert machine.read(DWT + 16 * number + 8, 4) == expected


# -- steps ---------------------------------------------------------------------------------

STEPS = """
volatile u32 calls, pends;
void on_svc(void) { calls++; }
void on_pend(void) { pends++; }
__attribute__((naked)) void run(void) {
    __asm volatile(".global here\\n here: nop\\n .global wait\\n wait: wfi\\n .global call\\n"
        "call: svc 0\\n .global stop\\n stop: bkpt 1\\n .global behind\\n behind: nop\\n bx lr");
}
"""


@BOTH
def test_steps_over_what_stops_the_core(build, native) -> None:
    rig = build(STEPS, native=native)
    at = {n: rig.symbols[n] & ~1 for n in ("wait", "call", "stop", "behind", "on_svc", "on_pend")}
    reach(rig, "here")
    break_at(rig, "here")
    assert step(rig) == at["wait"]  # over the breakpoint that it stands on
    assert step(rig) == at["call"]
    assert step(rig) == at["on_svc"]  # into the handler, and not one instruction more
    assert rig.machine._core.ipsr == 11
    reach(rig, "stop")
    assert step(rig) == at["stop"]  # a breakpoint instruction is not stepped over
    assert rig.machine.read(DFSR, 4) & BKPT


@BOTH
def test_step_with_an_exception_pending_enters_it_unless_masked(build, native) -> None:
    rig = build(STEPS, native=native)
    reach(rig, "here")
    rig.machine.write(ICSR, 4, PEND_SV_SET)
    assert step(rig, MASKINTS) == rig.symbols["wait"] & ~1
    assert step(rig) == rig.symbols["on_pend"] & ~1
    assert rig.machine._core.ipsr == 14
