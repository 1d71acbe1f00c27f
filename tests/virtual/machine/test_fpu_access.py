"""FP instructions while CPACR does not allow them, also in code that has run before."""

from __future__ import annotations

import pytest

NOCP = 1 << 19
# Tries the same code with the FPU on, off, for privileged code alone; in both modes of the core.
SOURCE = """
u32 pcs[40], causes[40], marks[40], frames[40], count, resume;
__attribute__((naked)) void on_usage_fault(void) {
    __asm volatile("mov r0, sp\\n mov r1, r3\\n mov r2, lr\\n b record");
}
void record(u32 *frame, u32 mark, u32 link) {
    pcs[count] = frame[6]; causes[count] = R(0xE000ED28); marks[count] = mark;
    frames[count++] = link;
    R(0xE000ED28) = 0xFFFFFFFF;
    frame[6] = resume;
}
__attribute__((naked)) void plain(void) {
    __asm volatile("ldr r1, =resume\\n adr r2, 1f\\n str r2, [r1]\\n movs r3, #1\\n"
        "adds r3, #1\\n .global bad0\\n bad0: vmov s0, r3\\n adds r3, #40\\n"
        ".align 2\\n 1: bx lr\\n .ltorg");
}
__attribute__((naked)) void chosen(u32 really) {
    __asm volatile("ldr r1, =resume\\n adr r2, 1f\\n str r2, [r1]\\n movs r3, #1\\n"
        "cmp r0, #1\\n ittt eq\\n addeq r3, #2\\n .global bad1\\n bad1: vmoveq s0, r3\\n"
        "addeq r3, #40\\n .align 2\\n 1: bx lr\\n .ltorg");
}
void every(void) { plain(); chosen(0); chosen(1); }
void on_svc(void) { every(); }
void in_user_mode(void) {
    __asm volatile("mrs r0, control\\n orr r0, #1\\n msr control, r0\\n isb" ::: "r0");
    every();
}
void run(void) {
    static const u32 access[] = {0xF << 20, 0, 0x5 << 20, 0, 0xF << 20, 0x1 << 20};
    count = 0;
    R(0xE000ED24) = 1 << 18;
    R(0xE000ED1C) = 0x80 << 24;
    for (u32 i = 0; i < 6; i++) {
        R(0xE000ED88) = access[i];
        __asm volatile("dsb\\n isb");
        every();
        __asm volatile("svc 0");
    }
    R(0xE000ED88) = 0x5 << 20;
    __asm volatile("dsb\\n isb");
    in_user_mode();
}
"""
# Whether what runs in thread mode, in a handler, and in thread mode without privilege is refused.
TIMES = 2 * 3 + 1


@pytest.mark.parametrize(
    ("part", "native"), [("stm32f412zg", True), ("stm32f767zi", True), ("stm32f767zi", False)]
)
def test_instruction_faults_whatever_ran_there_before(build, part, native) -> None:
    rig = build(SOURCE, part, native=native, head="#define NO_FPU\n").run()
    count = rig.word("count")
    assert count == 2 * TIMES

    def table(name: str) -> list[int]:
        return [rig.machine.read(rig.symbols[name] + 4 * i, 4) for i in range(count)]

    assert table("pcs") == [rig.symbols[f"bad{i}"] & ~1 for i in (0, 1)] * TIMES
    assert table("causes") == [NOCP] * count
    assert table("marks") == [2, 3] * TIMES  # what came before in the block was done
    modes = [*[bool(link & 8) for link in table("frames")]]
    assert modes == [True, True, False, False] * 3 + [True, True]
