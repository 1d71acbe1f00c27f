"""Stops inside IT blocks: breakpoints, single steps, divisions by zero."""

from __future__ import annotations

import pytest

DHCSR, DFSR, FPB = 0xE000EDF0, 0xE000ED30, 0xE0002000
KEY, DEBUG, HALT, STEP, BKPT = 0xA05F0000, 1, 2, 4, 2
BOTH = pytest.mark.parametrize("native", [True, False])
# r2 counts what ran; the block's last instruction jumps.
LOOP = """
__attribute__((naked)) void run(void) {
    __asm volatile("movs r2, #0\\n movs r3, #2\\n .global top\\n top: cmp r3, #0\\n "
        ".global block\\n block: itet ne\\n .global i0\\n i0: addne r2, #1\\n "
        ".global i1\\n i1: addeq.w r2, r2, #16\\n .global i2\\n i2: subne r3, #1\\n "
        ".global i3\\n i3: adds r2, #64\\n cmp r2, #0\\n it eq\\n .global i4\\n "
        "i4: bxeq lr\\n cmp r2, #128\\n it ls\\n .global i5\\n i5: bls.n top\\n "
        "bx lr");
}
"""


def comparator(machine, address: int) -> int:
    if machine.part.breakpoint_revision == 2:
        return address | 1
    return (address & 0x1FFFFFFC) | (0x80000000 if address & 2 else 0x40000000) | 1


def break_at(machine, addresses: list[int]) -> None:
    machine.write(DHCSR, 4, KEY | DEBUG)
    for n, address in enumerate(addresses):
        machine.write(FPB + 8 + 4 * n, 4, comparator(machine, address))
    machine.write(FPB, 4, 3)


def resumed(rig) -> tuple[str, int, int]:
    rig.machine.write(DHCSR, 4, KEY | DEBUG)
    rig.run()
    return rig.machine.state, rig.machine._core.pc, rig.machine._core.general(2)


@pytest.mark.parametrize(
    ("part", "native"), [("stm32f412zg", True), ("stm32f412zg", False), ("stm32f767zi", True)]
)
@pytest.mark.parametrize("known", [False, True])
def test_breakpoint_halts_before_its_instruction_each_time(build, part, native, known) -> None:
    rig = build(LOOP, part, native=native)
    machine = rig.machine
    if known:  # the code has been translated and priced without it
        rig.run()
        machine.system_reset()
    names = ("i0", "i1", "i2", "i3", "i4", "i5")
    places = [rig.symbols[name] & ~1 for name in names]
    break_at(machine, places)
    found = [resumed(rig) for _ in range(13)]
    assert [pc for _, pc, _ in found[:12]] == places * 2
    # The second is skipped, but the breakpoint is taken, as a BKPT is.
    assert [r2 for _, _, r2 in found[:12]] == [0, 1, 1, 1, 65, 65, 65, 66, 66, 66, 130, 130]
    assert found[12][0] == "running"
    assert machine.read(DFSR, 4) == BKPT


@BOTH
def test_breakpoint_that_is_gone_is_not_taken_and_the_program_is_the_same(build, native) -> None:
    rig = build(LOOP, native=native)
    break_at(rig.machine, [rig.symbols["i2"] & ~1])
    assert resumed(rig)[1] == rig.symbols["i2"] & ~1
    rig.machine.write(FPB + 8, 4, 0)
    assert resumed(rig)[0] == "running"
    assert rig.machine._core.general(2) == 130


@BOTH
def test_each_instruction_of_an_it_block_is_a_step(build, native) -> None:
    rig = build(LOOP, native=native)
    machine = rig.machine
    break_at(machine, [rig.symbols["block"] & ~1])
    resumed(rig)
    seen = []
    for _ in range(10):
        before = machine.instructions
        machine.write(DHCSR, 4, KEY | DEBUG | STEP)
        assert machine.instructions == before + 1
        seen.append((machine._core.pc, machine._core.general(2)))
    at = {name: rig.symbols[name] & ~1 for name in ("i0", "i1", "i2", "i3", "i4", "i5", "top")}
    assert seen == [
        (at["i0"], 0),
        (at["i1"], 1),
        (at["i2"], 1),
        (at["i3"], 1),
        (at["i3"] + 2, 65),
        (at["i4"] - 2, 65),
        (at["i4"], 65),
        (at["i4"] + 2, 65),
        (at["i5"] - 2, 65),
        (at["i5"], 65),
    ]
    machine.write(DHCSR, 4, KEY | DEBUG | STEP)
    assert machine._core.pc == at["top"]


def test_cycles_and_instructions_are_those_without_native_code(build) -> None:
    counts = []
    for native in (True, False):
        rig = build(LOOP, native=native)
        break_at(rig.machine, [rig.symbols[name] & ~1 for name in ("i1", "i4", "i5")])
        found = []
        for _ in range(7):
            resumed(rig)
            found.append((rig.machine.cycles, rig.machine.instructions))
        counts.append(found)
    assert counts[0] == counts[1]
    instructions = [instructions for _, instructions in counts[0]]
    rig = build(LOOP).run()
    assert instructions[-1] == rig.machine.instructions


@BOTH
def test_interrupt_between_two_instructions_of_an_it_block_returns_into_it(build, native) -> None:
    rig = build(LOOP + "u32 calls; void on_pend(void) { calls = 0x900D; }", native=native)
    machine = rig.machine
    break_at(machine, [rig.symbols["i1"] & ~1])
    resumed(rig)
    machine.write(0xE000ED04, 4, 1 << 28)
    assert resumed(rig)[1:] == (rig.symbols["i1"] & ~1, 1)  # back from the handler
    machine.write(FPB, 4, 2)
    assert resumed(rig)[0] == "running"
    assert (machine._core.general(2), rig.word("calls")) == (130, 0x900D)


@pytest.mark.parametrize(
    ("part", "native"), [("stm32f412zg", True), ("stm32f412zg", False), ("stm32f767zi", True)]
)
def test_division_by_zero_faults_before_what_follows_it(build, part, native) -> None:
    source = """
extern char after[];
volatile u32 count, pcs[8], marks[8], ends[8];
__attribute__((naked)) void on_usage_fault(void) {
    __asm volatile("mov r0, sp\\n mov r1, r4\\n b record");
}
void record(u32 *frame, u32 mark) {
    pcs[count] = frame[6]; marks[count++] = mark;
    R(0xE000ED28) = 0xFFFFFFFF;
    frame[6] = (u32)after; frame[7] &= ~0x0600FC00;
}
__attribute__((naked)) u32 divide(u32 a, u32 b, u32 really) {
    __asm volatile("push {r4, lr}\\n movs r4, #1\\n cmp r2, #0\\n ittet ne\\n movne r4, #2\\n"
        ".global bad\\n bad: udivne r0, r0, r1\\n udiveq r0, r0, r2\\n addne r4, #4\\n"
        ".global after\\n after: ldr r1, =ends\\n str r4, [r1, r3, lsl #2]\\n pop {r4, pc}\\n"
        ".ltorg");
}
static inline u32 of(u32 n, u32 a, u32 b, u32 really) {
    register u32 r0 __asm("r0") = a; register u32 r1 __asm("r1") = b;
    register u32 r2 __asm("r2") = really; register u32 r3 __asm("r3") = n;
    __asm volatile("bl divide" : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3) :: "lr", "cc", "memory");
    return r0;
}
volatile u32 results[8];
void run(void) {
    count = 0;
    results[0] = of(0, 100, 0, 1); /* not trapped yet */
    R(0xE000ED24) = 1 << 18; R(0xE000ED14) |= 1 << 4;
    __asm volatile("dsb\\n isb");
    results[1] = of(1, 100, 7, 1);
    results[2] = of(2, 100, 0, 1);
    results[3] = of(3, 100, 0, 0);
    results[4] = of(4, 99, 9, 1);
}
"""
    rig = build(source, part, native=native).run()

    def table(name: str, size: int) -> list[int]:
        return [rig.machine.read(rig.symbols[name] + 4 * i, 4) for i in range(size)]

    bad = rig.symbols["bad"] & ~1
    assert table("results", 5) == [0, 14, 100, 100, 11]
    assert table("ends", 5) == [6, 6, 2, 1, 6]
    assert rig.word("count") == 2
    assert table("pcs", 2) == [bad, bad + 4]
    assert table("marks", 2) == [2, 1]
