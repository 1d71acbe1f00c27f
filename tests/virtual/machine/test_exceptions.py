"""Exceptions as firmware sees them: entry, nesting, masks, faults, floating point context."""

from __future__ import annotations

import pytest

BOTH = pytest.mark.parametrize("part", ["stm32f412zg", "stm32f767zi"])


@BOTH
def test_supervisor_call_passes_arguments_and_comes_back(build, part) -> None:
    source = """
u32 seen, result;
__attribute__((naked)) void on_svc(void) {
    __asm volatile("ldr r0, [sp]\\n ldr r1, =seen\\n str r0, [r1]\\n"
                   "movs r0, #77\\n str r0, [sp]\\n bx lr");
}
void run(void) {
    register u32 r0 __asm("r0") = 42;
    __asm volatile("svc 3" : "+r"(r0) : : "r1", "memory");
    result = r0;
}
"""
    rig = build(source, part).run()
    assert (rig.word("seen"), rig.word("result")) == (42, 77)


@BOTH
def test_timer_interrupts_until_it_is_stopped(build, part) -> None:
    source = """
volatile u32 ticks; u32 spins;
void on_tick(void) { if (++ticks == 5) R(0xE000E010) = 0; }
void run(void) {
    ticks = spins = 0;
    R(0xE000E014) = 999; R(0xE000E018) = 0; R(0xE000E010) = 7;
    while (ticks < 5) spins++;
}
"""
    rigs = [build(source, part).run(budget) for budget in (1_000_000, 300)]
    rigs.append(build(source, part, native=False).run())
    spins = {rig.word("spins") for rig in rigs}
    assert [rig.word("ticks") for rig in rigs] == [5, 5, 5]
    assert len(spins) == 1
    assert 200 < spins.pop() < 2500


def test_more_urgent_interrupt_nests_and_an_equal_one_waits(build) -> None:
    source = """
char log_[16]; u32 n;
static void note(char c) { log_[n++] = c; }
void on_pend(void) {
    note('p');
    R(0xE000ED04) = 1 << 26;           /* SysTick, more urgent: at once */
    __asm volatile("dsb\\nisb");
    note('P');
    R(0xE000E200 + 4) = 1 << 7;        /* IRQ 39, same priority: afterwards */
    __asm volatile("dsb\\nisb");
    note('q');
}
void on_tick(void) { note('t'); }
void on_usart(void) { note('u'); }
void run(void) {
    n = 0;
    R(0xE000ED20) = 0x40 << 24 | 0x80 << 16;
    ((volatile u8 *)0xE000E400)[39] = 0x80;
    R(0xE000E104) = 1 << 7;
    R(0xE000ED04) = 1 << 28;
    __asm volatile("dsb\\nisb");
    note('e');
}
"""
    rig = build(source).run()
    start = rig.symbols["log_"]
    assert rig.machine.read_block(start, rig.word("n")) == b"ptPque"


@pytest.mark.parametrize(
    ("mask", "unmask"),
    [
        ("cpsid i", "cpsie i"),
        ("cpsid f", "cpsie f"),
        ("movs r0, #0x40\\n msr basepri, r0", "movs r0, #0\\n msr basepri, r0"),
    ],
)
def test_masked_interrupt_comes_exactly_when_the_mask_goes(build, mask, unmask) -> None:
    source = f"""
volatile u32 ran, before, after;
void on_pend(void) {{ ran = 1; }}
void run(void) {{
    ran = 0;
    R(0xE000ED20) = 0x80 << 16;
    __asm volatile("{mask}" ::: "r0");
    R(0xE000ED04) = 1 << 28;
    __asm volatile("dsb\\nisb");
    before = ran;
    __asm volatile("{unmask}\\n isb" ::: "r0");
    after = ran;
}}
"""
    for native in (True, False):
        rig = build(source, native=native).run()
        assert (rig.word("before"), rig.word("after")) == (0, 1)


@BOTH
def test_handler_using_floats_keeps_the_float_registers_of_the_thread(build, part) -> None:
    source = """
float out[4]; volatile float noise;
void on_pend(void) {
    for (int i = 0; i < 50; i++) noise = noise * 1.5f + i;
    __asm volatile("vmov s0, r0\\n vmov s15, r0" ::: "s0", "s15");
}
void run(void) {
    __asm volatile("vmov.f32 s0, #1.0\\n vmov.f32 s15, #2.0\\n vmov.f32 s16, #3.0\\n"
                   "str %1, [%2]\\n dsb\\n isb\\n"
                   "vstr s0, [%0]\\n vstr s15, [%0, #4]\\n vstr s16, [%0, #8]"
                   : : "r"(out), "r"(1 << 28), "r"(0xE000ED04)
                   : "s0", "s15", "s16", "memory");
}
"""
    rig = build(source, part).run()
    values = [rig.machine.read(rig.symbols["out"] + 4 * i, 4) for i in range(3)]
    assert values == [0x3F800000, 0x40000000, 0x40400000]


FAULT = """
u32 cfsr, hfsr, bfar, frame_pc;
__attribute__((naked)) void on_hard_fault(void) {
    __asm volatile("ldr r0, [sp, #24]\\n ldr r1, =frame_pc\\n str r0, [r1]\\n b on_hard_fault_c");
}
void on_hard_fault_c(void) {
    cfsr = R(0xE000ED28); hfsr = R(0xE000ED2C); bfar = R(0xE000ED38);
    for (;;) __asm volatile("wfi");
}
"""


@BOTH
def test_access_to_nothing_is_a_hard_fault_that_names_the_address(build, part) -> None:
    rig = build(FAULT + "void run(void) { (void)R(0x60000010); }", part).run()
    assert rig.word("cfsr") == 0x8200
    assert rig.word("hfsr") == 1 << 30
    assert rig.word("bfar") == 0x60000010


def test_undefined_instruction_points_the_frame_at_itself(build) -> None:
    source = """
__attribute__((naked)) void run(void) { __asm volatile("nop\\n .global bad\\n bad: udf #1"); }
"""
    rig = build(FAULT + source).run()
    assert rig.word("cfsr") == 1 << 16
    assert rig.word("frame_pc") == rig.symbols["bad"] & ~1


def test_float_instruction_without_enabled_fpu_is_a_usage_fault(build) -> None:
    source = FAULT + 'void run(void) { __asm volatile("vmov s0, r0" ::: "s0"); }'
    rig = build(source, head="#define NO_FPU\n").run()
    assert rig.word("cfsr") == 1 << 19


def test_jump_without_thumb_bit_is_a_usage_fault(build) -> None:
    source = 'void run(void) { __asm volatile("ldr r0, =0x08000100\\n bx r0" ::: "r0"); }'
    assert build(FAULT + source).run().word("cfsr") == 1 << 17


def test_enabled_bus_fault_has_its_own_handler(build) -> None:
    source = """
u32 seen;
__attribute__((naked)) void on_bus_fault(void) {
    __asm volatile("ldr r0, =seen\\n movs r1, #9\\n str r1, [r0]\\n"
                   "ldr r0, [sp, #24]\\n adds r0, #2\\n str r0, [sp, #24]\\n bx lr");
}
u32 after;
void run(void) {
    seen = after = 0;
    R(0xE000ED24) |= 1 << 17;
    __asm volatile("ldr r0, =0x60000000\\n .short 0x6801" ::: "r0", "r1");
    after = 1;
}
"""
    rig = build(source).run()
    assert (rig.word("seen"), rig.word("after")) == (9, 1)


def test_fault_in_the_fault_handler_locks_the_core_up(build) -> None:
    source = """
void on_hard_fault(void) { (void)R(0x60000000); }
void run(void) { (void)R(0x60000000); }
"""
    rig = build(source).run()
    assert rig.machine.state == "lockup"
    assert rig.machine.read(0xE000EDF0, 4) & 1 << 19
    rig.machine.write(0xE000EDF0, 4, 0xA05F0003)
    assert rig.machine.state == "halted"
    assert not rig.machine.read(0xE000EDF0, 4) & 1 << 19


def test_firmware_hints_do_nothing(build) -> None:
    source = """
u32 done;
void run(void) { done = 0; __asm volatile("yield\\n sev\\n wfe\\n nop"); done = 1; }
"""
    assert build(source).run().word("done") == 1


@BOTH
def test_tasks_on_the_process_stack_switch_through_pendsv(build, part) -> None:
    source = """
u32 stack_[2][256]; u32 *top[2]; u32 count[2], current; float sums[2];
void task(u32 me) {
    float x = 1.0f + me;
    for (u32 i = 0; i < 40; i++) {
        x = x * 1.25f - me;
        count[me]++;
        R(0xE000ED04) = 1 << 28;
        __asm volatile("dsb\\nisb" ::: "memory");
    }
    sums[me] = x;
    if (count[0] == 40 && count[1] == 40) R(0x60000000) = 0;   /* the end: a fault */
    for (;;) { R(0xE000ED04) = 1 << 28; __asm volatile("isb"); }
}
void on_hard_fault(void) { for (;;) __asm volatile("wfi"); }
__attribute__((naked)) void on_pend(void) {
    __asm volatile(
        "mrs r0, psp\\n tst lr, #16\\n it eq\\n vstmdbeq r0!, {s16-s31}\\n"
        "stmdb r0!, {r4-r11, lr}\\n ldr r1, =current\\n ldr r2, [r1]\\n ldr r3, =top\\n"
        "str r0, [r3, r2, lsl #2]\\n eor r2, r2, #1\\n str r2, [r1]\\n"
        "ldr r0, [r3, r2, lsl #2]\\n ldmia r0!, {r4-r11, lr}\\n tst lr, #16\\n it eq\\n"
        "vldmiaeq r0!, {s16-s31}\\n msr psp, r0\\n bx lr");
}
void run(void) {
    current = 0;
    for (u32 t = 0; t < 2; t++) {
        u32 *sp = stack_[t] + 256;
        count[t] = 0;
        *--sp = 1 << 24; *--sp = (u32)task; *--sp = 0;
        for (int i = 0; i < 4; i++) *--sp = 0;
        *--sp = t;
        *--sp = 0xFFFFFFFD;
        for (int i = 0; i < 8; i++) *--sp = 0;
        top[t] = sp;
    }
    __asm volatile("msr psp, %0\\n movs r0, #2\\n msr control, r0\\n isb\\n movs r0, #0\\n"
                   "bx %1" : : "r"(stack_[0] + 240), "r"(task) : "r0");
}
"""
    rig = build(source, part).run()
    counts = [rig.machine.read(rig.symbols["count"] + 4 * i, 4) for i in range(2)]
    assert counts == [40, 40]
