"""The memory protection unit as firmware meets it."""

from __future__ import annotations

import pytest

BOTH = pytest.mark.parametrize("part", ["stm32f412zg", "stm32f767zi"])

HANDLER = """
#define REGION(n, base, attributes) \\
    (R(0xE000ED98) = (n), R(0xE000ED9C) = (base), R(0xE000EDA0) = (attributes))
#define ON(bits) (R(0xE000ED94) = (bits)); __asm volatile("dsb\\nisb" ::: "memory")
#define BYTES(log2) (((log2) - 1) << 1 | 1)
#define AP(n) ((n) << 24)
#define XN (1 << 28)
u32 cfsr, hfsr, mmfar, frame_pc; volatile u32 after, before, value;
__attribute__((aligned(4096))) volatile u32 area[2048];
__attribute__((naked)) void on_hard_fault(void) {
    __asm volatile("ldr r0, [sp, #24]\\n ldr r1, =frame_pc\\n str r0, [r1]\\n b on_hard_fault_c");
}
void on_hard_fault_c(void) {
    cfsr = R(0xE000ED28); hfsr = R(0xE000ED2C); mmfar = R(0xE000ED34);
    for (;;) __asm volatile("wfi");
}
"""


@BOTH
def test_read_only_region_keeps_its_bytes_and_names_the_address(build, part) -> None:
    source = """
void run(void) {
    after = before = 0; area[5] = 77; area[4] = 1;
    REGION(0, (u32)area, BYTES(5) | AP(6));
    ON(5);
    before = area[5];
    area[8] = 9;                       /* behind the region */
    __asm volatile(".global bad\\n bad: str %0, [%1, #20]" : : "r"(5), "r"(area) : "memory");
    after = 1;
}
"""
    rig = build(HANDLER + source, part).run()
    area = rig.symbols["area"]
    assert rig.word("cfsr") == 0x82
    assert rig.word("mmfar") == area + 20
    assert rig.word("hfsr") == 1 << 30
    assert rig.word("frame_pc") == rig.symbols["bad"] & ~1
    assert (rig.word("before"), rig.word("after")) == (77, 0)
    assert rig.machine.read(area + 20, 4) == 77
    assert rig.machine.read(area + 32, 4) == 9


def test_guard_of_32_bytes_stops_a_stack_and_spares_its_neighbours(build) -> None:
    source = """
void run(void) {
    after = 0; area[7] = 1;
    REGION(0, (u32)&area[8], BYTES(5) | AP(0) | XN);
    ON(5);
    area[7] = area[7] + 2; area[24] = area[7];
    after = 1;
    __asm volatile("mov sp, %0\\n b deep" : : "r"(&area[20]));
}
__attribute__((naked)) void deep(void) { __asm volatile("push {r0-r3}\\n push {r0-r3}"); }
"""
    rig = build(HANDLER + source).run()
    area = rig.symbols["area"]
    assert rig.word("cfsr") == 0x92  # DACCVIOL, MSTKERR, MMARVALID: its frame is lost as well
    assert [rig.machine.read(area + 4 * i, 4) for i in (7, 24)] == [3, 3]
    assert rig.word("after") == 1


@BOTH
def test_unprivileged_code_is_kept_out_and_its_supervisor_is_not(build, part) -> None:
    source = """
void on_svc(void) { area[3] += 1; }
void run(void) {
    area[3] = 5; after = 0;
    REGION(0, 0x08000000, BYTES(20) | AP(6));
    REGION(1, 0x20000000, BYTES(17) | AP(3) | XN);
    REGION(2, (u32)area, BYTES(8) | AP(1) | XN | 0xFE << 8);   /* its first eighth alone */
    ON(5);
    __asm volatile("movs r0, #1\\n msr control, r0\\n isb" ::: "r0");
    area[8] = 7;
    __asm volatile("svc 0" ::: "memory");
    after = 1;
    before = area[3];
    after = 2;
}
"""
    rig = build(HANDLER + source, part).run()
    assert (rig.word("after"), rig.word("cfsr")) == (1, 0x82)
    assert rig.word("mmfar") == rig.symbols["area"] + 12
    assert rig.machine.read(rig.symbols["area"] + 12, 4) == 6


def test_data_that_must_not_run_does_not(build) -> None:
    source = """
void run(void) {
    area[0] = 0xBF004770;                     /* bx lr */
    REGION(0, 0x20000000, BYTES(17) | AP(3) | XN);
    ON(5);
    ((void (*)(void))((u32)area | 1))();
}
"""
    rig = build(HANDLER + source).run()
    assert rig.word("cfsr") == 1
    assert rig.word("frame_pc") == rig.symbols["area"]


def test_conditional_loads_from_a_fenced_page_leave_no_condition_behind(build) -> None:
    source = """
u32 sum;
void run(void) {
    REGION(0, (u32)&area[8], BYTES(5) | AP(0) | XN);
    ON(5);
    area[0] = 3;
    __asm volatile(
        "movs r1, #0\\n movs r2, #0\\n"
        "1: cmp r1, #0\\n it eq\\n ldreq r3, [%0]\\n b 2f\\n 2: adds r1, #1\\n adds r2, r2, r3\\n"
        "cmp r1, #5\\n blo 1b\\n str r2, [%1]"
        : : "r"(area), "r"(&sum) : "r1", "r2", "r3", "cc", "memory");
}
"""
    assert build(HANDLER + source).run().word("sum") == 15
