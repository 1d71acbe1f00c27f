"""Divisions: their cycles follow the operands, in a run, in a step and at a breakpoint."""

from __future__ import annotations

import pytest

from tests.virtual.machine.conftest import DCRDR, DCRSR, DHCSR

PROGRAM = r"""
u32 out[16], n;
#define TIMED(type, code) type q = 0; u32 from = CYCCNT; \
    __asm volatile(code : "+r"(q) : "r"(a), "r"(b) : "cc"); \
    out[n++] = CYCCNT - from; return q;
NOINLINE u32 unsigned_(u32 a, u32 b) { TIMED(u32, "udiv %0,%1,%2") }
NOINLINE int signed_(int a, int b) { TIMED(int, "sdiv %0,%1,%2") }
NOINLINE int positive(int a, int b) { TIMED(int, "cmp %1,#0\n it gt\n sdivgt %0,%1,%2") }
NOINLINE u32 nothing(u32 a, u32 b) { TIMED(u32, "nop") }
void run(void) {
    n = 0;
    count_cycles();
    nothing(0, 0);
    unsigned_(0, 5); unsigned_(5, 0); unsigned_(3, 100); unsigned_(7, 7);
    unsigned_(100, 7); unsigned_(0x80000000, 0x8000); unsigned_(0xFFFFFFFF, 1);
    signed_(-100, 7); signed_(0x80000000, 1); signed_(-1, 1);
    positive(100, 7); positive(-100, 7);
}
"""
RULE = [2, 2, 3, 5, 6, 9, 12, 6, 12, 5]  # by the magnitudes' bits: 0 by 5, 5 by 0, 3 by 100, ...
LOOP = r"""
u32 left, result;
__asm(".text\n.thumb\n.global divide\n.thumb_func\ndivide: udiv r0, r0, r1\n bx lr\n");
u32 divide(u32, u32);
void run(void) {
    result = 0;
    for (left = 3; left; left--) result += divide(1000, left);
}
"""


@pytest.mark.parametrize("native", [True, False])
def test_division_takes_what_its_operands_say(build, native) -> None:
    rig = build(PROGRAM, native=native, model="m4-v2").run()
    taken = [rig.machine.read(rig.symbols["out"] + 4 * i, 4) for i in range(rig.word("n"))]
    beside = taken[0] - 1  # reading the counter
    assert [t - beside for t in taken[1:11]] == RULE
    assert taken[11] - taken[12] == 6 - 1  # 100 / 7; one whose condition fails is not done


@pytest.mark.parametrize(("part", "model"), [("stm32f412zg", "m4-v2"), ("stm32f767zi", "m7-v2")])
def test_native_and_python_divisions_give_the_same_cycles(build, part, model) -> None:
    runs = [build(PROGRAM, part, native=n, model=model) for n in (True, False)]
    assert runs[0].run(budget=50).machine.cycles == runs[1].run().machine.cycles


@pytest.mark.parametrize("native", [True, False])
def test_breakpoint_at_a_division_does_not_count_it_twice(build, native) -> None:
    free = build(LOOP, native=native, model="m4-v2").run()
    held = build(LOOP, native=native, model="m4-v2")
    for address, value in ((0xE0002000, 3), (0xE0002008, breakpoint_at(held.symbols["divide"]))):
        held.machine.write(address, 4, value)
    held.machine.write(DHCSR, 4, 0xA05F0001)
    for _ in range(3):
        held.run()
        assert held.machine.state == "halted"
        held.machine.write(DHCSR, 4, 0xA05F0001)
    held.run()
    assert held.word("result") == 1000 + 500 + 333
    assert 0 <= held.machine.cycles - free.machine.cycles <= 3 * 2  # pipeline refills


@pytest.mark.parametrize("native", [True, False])
def test_step_over_a_division_counts_its_operands(build, native) -> None:
    rig = build(LOOP, native=native, model="m4-v2")
    machine = rig.machine
    machine.write(DHCSR, 4, 0xA05F0003)
    steps = []
    for dividend, divisor in ((0, 1), (1000, 1), (1000, 1000)):
        for register, value in ((0, dividend), (1, divisor), (15, rig.symbols["divide"])):
            machine.write(DCRDR, 4, value)
            machine.write(DCRSR, 4, 1 << 16 | register)
        before = machine.cycles
        machine.write(DHCSR, 4, 0xA05F0005)
        steps.append(machine.cycles - before)
    assert steps == [2, 5 + 9 // 4, 5]


def breakpoint_at(symbol: int) -> int:
    """The comparator of the breakpoint unit's first revision for this address."""
    address = symbol & ~1
    return address & 0x1FFFFFFC | 1 | (2 if address & 2 else 1) << 30
