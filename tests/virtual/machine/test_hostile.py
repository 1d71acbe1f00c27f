"""Firmware that does what none should: the same with native code and without, and no traceback."""

from __future__ import annotations

import pytest

from farm.virtual.accesses import accesses
from farm.virtual.decode import decode_block

NATIVE = pytest.mark.parametrize("native", [True, False])
HEAD = """
volatile u32 got[8];
__attribute__((naked)) void on_hard_fault(void) {
    __asm volatile("ldr r1, =got\\n ldr r0, [sp, #24]\\n str r0, [r1]\\n 1: wfi\\n b 1b");
}
"""


def words(rig, count: int) -> list[int]:
    return [rig.machine.read(rig.symbols["got"] + 4 * i, 4) for i in range(count)]


@NATIVE
@pytest.mark.parametrize("psize", [2, 3])
def test_a_double_register_is_stored_into_flash_whole_or_not_at_all(build, native, psize):
    rig = build(
        f"#define CONTROL {psize << 8 | 1}"
        + HEAD
        + """
void run(void) {
    R(0x40023C04) = 0x45670123; R(0x40023C04) = 0xCDEF89AB;
    R(0x40023C10) = CONTROL;
    __asm volatile("vmov d0, %0, %1\\n vstr d0, [%2]"
                   :: "r"(0x11223344), "r"(0x55667788), "r"(0x08010000) : "memory");
    got[0] = R(0x40023C0C); got[1] = R(0x08010000); got[2] = R(0x08010004);
}
""",
        native=native,
    ).run()
    stored = [0, 0x11223344, 0x55667788] if psize == 3 else [0x40, 0xFFFFFFFF, 0xFFFFFFFF]
    assert words(rig, 3) == stored


@NATIVE
def test_there_is_nothing_behind_the_last_set_of_interrupts(build, native):
    rig = build(
        HEAD
        + """
void run(void) {
    console();
    got[0] = 0;
    __asm volatile("cpsid i");
    R(0xE000E104) = 1 << 7;
    CR1 |= 1 << 7; /* the line is high: nothing is being sent */
    for (u32 at = 0xE000E140; at < 0xE000E300; at += 4)
        if (at & 0x40)
            got[0] |= R(at);
    got[1] = R(0xE000E104);
    R(0xE000E184) = 1 << 7; /* or WFI never sleeps */
}
""",
        native=native,
    ).run()
    assert words(rig, 2) == [0, 1 << 7]


def test_the_program_counter_as_a_base_that_moves_is_an_instruction_like_another():
    code = bytes.fromhex("ffe80201")  # ldrd r0, r1, [pc], #8: undefined
    block = decode_block(0x08000000, len(code), lambda _address, _size: code)
    assert len(accesses(block, code, lambda _address: None)) == 1


@NATIVE
@pytest.mark.parametrize("between", ["", "b 2f\n 2:"])
def test_a_fault_is_where_it_is_behind_a_supervisor_call_too(build, native, between):
    rig = build(
        HEAD
        + """
__attribute__((naked)) void run(void) {
    __asm volatile("svc 0\\n "
                   BETWEEN
                   "\\n movs r0, #1\\n movs r1, #2\\n ldr r2, =0xB0000000\\n movs r0, #4\\n"
                   "wrong: str r0, [r2]\\n bx lr\\n");
}
""",
        head=f"#define BETWEEN {between!r}\n".replace("'", '"'),
        native=native,
    ).run()
    assert rig.word("got") == rig.symbols["wrong"] & ~1


@NATIVE
def test_a_fault_is_where_it_is_in_the_handler_of_a_supervisor_call(build, native):
    rig = build(
        HEAD
        + """
__attribute__((naked)) void on_svc(void) {
    __asm volatile("movs r0, #1\\n ldr r2, =0xB0000000\\n wrong: str r0, [r2]\\n bx lr");
}
void run(void) { __asm volatile("svc 0"); }
""",
        native=native,
    ).run()
    assert rig.word("got") == rig.symbols["wrong"] & ~1


@NATIVE
@pytest.mark.parametrize("stack", ["0xFFFFFFF8", "0xB0000000"])
def test_a_word_behind_the_stack_that_is_to_be_aligned_may_wrap_around_or_not_exist(
    build, native, stack
):
    rig = build(
        HEAD
        + """
void run(void) {
    got[0] = got[1] = 0;
    __asm volatile("mov r4, sp\\n ldr r0, =STACK\\n mov sp, r0\\n b 1f\\n 1: ldr r1, [sp, #16]\\n"
                   "ldrd r2, r3, [r1]\\n mov sp, r4" ::: "r0", "r1", "r2", "r3", "r4", "memory");
    got[1] = 1;
}
""".replace("STACK", stack),
        native=native,
    )
    rig.machine.run(5000)
    assert words(rig, 2)[1] == (1 if stack.startswith("0xF") else 0)


def test_a_store_across_the_end_of_flash_takes_what_is_inside(build):
    machine = build(HEAD + "void run(void) {}", part="stm32h743zi").machine
    end = machine.part.flash_bytes
    for size in (2, 4, 8):
        machine.flash.store(end - 1, size, 0)
    assert machine.read(0x52002110, 4) & 1 << 18  # PGSERR: locked


@NATIVE
@pytest.mark.parametrize("budget", [1, 3, 1_000_000])
def test_a_jump_without_the_thumb_bit_faults_where_a_slice_ends_too(build, native, budget):
    rig = build(
        HEAD
        + """
void run(void) { __asm volatile("ldr r0, =0x08000400\\n bx r0\\n b ."); }
""",
        native=native,
    ).run(budget)
    assert rig.word("got") == 0x08000400
