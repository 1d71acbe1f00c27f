"""The memory protection unit as firmware meets it."""

from __future__ import annotations

import pytest

from farm.virtual.parts import part_names

BOTH = pytest.mark.parametrize("part", ["stm32f412zg", "stm32f767zi"])
EVERY = pytest.mark.parametrize("part", part_names())

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


UNPRIVILEGED = """
u32 cfsr, pc, bfar, count, seen[4], mask; volatile u32 after;
__attribute__((naked)) void on_bus_fault(void) { __asm volatile("mov r0, sp\\n b record"); }
void record(u32 *frame) {
    count++; cfsr = R(0xE000ED28); bfar = R(0xE000ED38); pc = frame[6];
    R(0xE000ED28) = 0xFFFFFFFF; frame[6] += 2;
}
void on_usart(void) { after++; }
void on_svc(void) { seen[3] = R(0xE000ED00) != 0; }
"""


@BOTH
@pytest.mark.parametrize("native", [True, False])
def test_code_without_privilege_has_no_private_bus_and_no_masks(build, part, native) -> None:
    source = """
void run(void) {
    count = after = mask = seen[3] = 0;
    R(0xE000ED24) = 1 << 17; R(0xE000E104) = 1 << 7;
    __asm volatile("msr basepri, %0\\n movs r0, #1\\n msr control, r0\\n isb" :: "r"(0x40) : "r0");
    __asm volatile("msr basepri, %2\\n cpsid i\\n mrs %0, basepri\\n mrs %1, primask"
                   : "=&r"(seen[0]), "=&r"(seen[1]) : "r"(0));
    __asm volatile("mrs %0, control" : "=r"(seen[2]));
    u32 *trigger = (u32 *)0xE000EF00;
    __asm volatile("ldr r0, =0xE000E010\\n .global load\\n load: .short 0x6801\\n"
                   ".global store\\n store: .short 0x6001" ::: "r0", "r1", "memory");
    __asm volatile("mov r0, %0\\n movs r1, #39\\n .short 0x6001\\n isb" :: "r"(trigger)
                   : "r0", "r1", "memory");
    __asm volatile("svc 0" ::: "memory");
    for (;;) __asm volatile("wfi");
}
"""
    for allowed in (0, 2):
        setup = f"void run(void) {{ R(0xE000ED14) |= {allowed};"
        rig = build(UNPRIVILEGED + source.replace("void run(void) {", setup), part, native=native)
        rig.run(slices=50)
        assert [rig.machine.read(rig.symbols["seen"] + 4 * i, 4) for i in range(4)] == [0, 0, 1, 1]
        assert rig.word("count") == (2 if allowed else 3)
        assert rig.word("cfsr") == 0x8200
        expected = 0xE000E010 if allowed else 0xE000EF00
        assert rig.word("bfar") == expected
        assert allowed == 0 or rig.word("pc") == rig.symbols["store"] & ~1
        assert rig.word("after") == (1 if allowed else 0)


SMASHED = """
u32 cfsr, hfsr, low; __attribute__((aligned(32))) u32 data[64];
__attribute__((naked)) void on_hard_fault(void) {
    __asm volatile("ldr r0, =0x%x\\n mov sp, r0\\n b found");
}
void found(void) {
    cfsr = R(0xE000ED28); hfsr = R(0xE000ED2C);
    for (;;) __asm volatile("wfi");
}
"""


@EVERY
def test_stack_that_runs_out_of_its_memory_is_a_bus_fault(build, part) -> None:
    """Pushed below RAM, and stacked there by an exception; both are told."""
    source = """
__attribute__((naked)) void run(void) {
    __asm volatile("ldr r0, =0x20000008\\n mov sp, r0\\n push {r0-r3}\\n bx lr");
}
"""
    rig = build(SMASHED % 0x20008000 + source, part).run(slices=50)
    assert rig.word("cfsr") & 0x1200 == 0x1200  # PRECISERR, STKERR
    assert rig.word("hfsr") == 1 << 30


@EVERY
def test_stack_that_runs_into_data_meets_its_guard(build, part) -> None:
    source = """
#define GUARD 0x20000400
void run(void) {
    R(0xE000ED98) = 0; R(0xE000ED9C) = GUARD; R(0xE000EDA0) = 4 << 1 | 1 | 1 << 28;
    R(0xE000ED94) = 5;
    R(GUARD - 4) = 77;
    __asm volatile("dsb\\n isb\\n mov sp, %0\\n b deeper" :: "r"(GUARD + 256));
}
__attribute__((naked)) void deeper(void) { __asm volatile("push {r0-r7, lr}\\n bl deeper"); }
"""
    rig = build(SMASHED % 0x20008000 + source, part).run(slices=50)
    assert rig.word("cfsr") & 0x12 == 0x12  # DACCVIOL, MSTKERR
    assert rig.machine.read(0x200003FC, 4) == 77


@pytest.mark.parametrize(("part", "base"), [("stm32l4r5zi", 0x10000000), ("stm32f767zi", 0)])
def test_guard_in_memory_below_the_others_spares_its_neighbours(build, part, base) -> None:
    source = f"""
#define LOW {base}
void run(void) {{
    after = 0;
    REGION(0, LOW + 64, BYTES(5) | AP(6));
    ON(5);
    R(LOW + 32) = 5; R(LOW + 96) = 6; after = R(LOW + 32) + R(LOW + 96);
    R(LOW + 64) = 7;
    after = 1;
}}
"""
    rig = build(HANDLER + source, part).run(slices=50)
    assert (rig.word("after"), rig.word("cfsr"), rig.word("mmfar")) == (11, 0x82, base + 64)


def test_forbidden_store_into_a_peripheral_does_not_happen(build) -> None:
    source = """
void run(void) {
    R(0x40023830) |= 1; after = 0;
    R(0x40020014) = 3;                                   /* GPIOA.ODR */
    REGION(0, 0x40020000, BYTES(10) | AP(6) | XN);
    ON(5);
    after = R(0x40020014);
    R(0x40020014) = 9;
}
"""
    rig = build(HANDLER + source).run(slices=50)
    assert (rig.word("after"), rig.word("cfsr"), rig.machine.read(0x40020014, 4)) == (3, 0x82, 3)
