"""What silicon refuses and Unicorn would do: unaligned addresses."""

from __future__ import annotations

import struct

import pytest
import unicorn
from capstone import arm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from unicorn import arm_const

from farm.virtual.alignment import align
from farm.virtual.decode import Instr, decode_block
from farm.virtual.hook import GENERAL

UNALIGNED = 1 << 24

# Each case begins with r0 at a multiple of 4 and 2 more, r1 the same and 1 less, r9 at a multiple
# of 4 that holds r0, as does the word on the stack; r7 tells whether what came before was done.
ALWAYS = [
    "ldm r0, {r3, r4}",
    "stm r0!, {r3, r4}",
    "ldmdb r0, {r3, r4}",
    "stmdb r0!, {r3, r4}",
    "ldrd r3, r4, [r0]",
    "ldrd r3, r4, [r0], #8",
    "strd r3, r4, [r0, #-8]!",
    "ldrex r3, [r0]",
    "strex r3, r4, [r0]",
    "ldrexh r3, [r1]",
    "strexh r3, r4, [r1]",
    "vldr s0, [r0, #4]",
    "vstr s0, [r0]",
    "vldm r0!, {s0-s3}",
    "vstmdb r0!, {s0-s3}",
    "add r4, r1, #1\n movs r7, #2\n {at}: ldrd r3, r4, [r4, #4]",
    "movs r4, #3\n add r4, r9, r4, lsl #2\n movs r7, #2\n adds r4, #1\n {at}: ldrd r3, r4, [r4]",
    "ldr r4, [r9]\n movs r7, #2\n {at}: ldrd r3, r4, [r4]",
    "ldr r4, [sp]\n movs r7, #2\n {at}: ldm r4, {r3, r5}",
    "cmp r0, r0\n ittt eq\n moveq r7, #2\n nopeq\n {at}: ldrdeq r3, r4, [r0]",
]
WORDS = [
    "ldr r3, [r0]",
    "ldr r3, [r0, r3]",
    "ldr r3, [r0, #-8]",
    "ldr r3, [r1], #4",
    "str r3, [r0, #4]",
    "str r3, [r0, #8]!",
    "ldrt r3, [r0]",
    "ldrh r3, [r1]",
    "strh r3, [r1, #2]",
    "ldrsh r3, [r9, #1]",
    "ldrh r3, [r1, r3, lsl #1]",
]
# The same with an address that is right, in the bytes of the case, or in none at all.
NEVER = [
    "ldrd r3, r4, [r9]",
    "ldm r9, {r3, r4}",
    "bic r4, r1, #3\n ldrd r3, r5, [r4]",
    "cmp r0, r9\n it eq\n ldrdeq r3, r4, [r0]",
    "ldrexb r3, [r1]",
    "ldrexh r3, [r0]",
    "ldrb r3, [r1]",
    "strb r3, [r0, #1]",
    "push {r3, r4}\n pop {r3, r4}",
]
CASES = """
u32 pcs[32], causes[32], marks[32], count, bytes[32], resume;
__attribute__((naked)) void on_usage_fault(void) {
    __asm volatile("mov r0, sp\\n mov r1, r7\\n b record");
}
void record(u32 *frame, u32 mark) {
    pcs[count] = frame[6]; causes[count] = R(0xE000ED28); marks[count++] = mark;
    R(0xE000ED28) = 0xFFFFFFFF;
    frame[6] = resume;
}
"""


def cases(texts: list[str], control: int) -> str:
    """A program that tries every text, and goes on behind each that faults."""
    body = ""
    for n, text in enumerate(texts):
        found = text.replace("{at}", f"bad{n}") if "{at}" in text else f"bad{n}: {text}"
        found = found.replace("\n", "\\n")
        body += f"""
    __asm volatile("push {{r8}}\\n ldr r0, =resume\\n ldr r1, =1f\\n str r1, [r0]\\n"
        "ldr r9, =bytes + 16\\n"
        "add r0, r9, #2\\n str r0, [r9]\\n sub r1, r0, #1\\n str r0, [sp]\\n movs r3, #8\\n"
        "movs r7, #0\\n b 2f\\n"
        ".ltorg\\n .align 2\\n 2: movs r7, #1\\n .global bad{n}\\n {found}\\n movs r7, #9\\n"
        "1: pop {{r8}}" ::: "r0", "r1", "r3", "r4", "r5", "r7", "r8", "r9", "cc", "memory");"""
    setup = f"count = 0; R(0xE000ED24) = 1 << 18; R(0xE000ED14) |= {control};"
    return CASES + f'void run(void) {{ {setup} __asm volatile("dsb\\n isb"); {body} }}'


def table(rig, name: str, count: int) -> list[int]:
    return [rig.machine.read(rig.symbols[name] + 4 * i, 4) for i in range(count)]


@pytest.mark.parametrize(
    ("part", "native"), [("stm32f412zg", True), ("stm32f767zi", True), ("stm32f767zi", False)]
)
@pytest.mark.parametrize(("texts", "control"), [(ALWAYS, 0), (WORDS + ALWAYS, 8)])
def test_unaligned_access_faults_before_it_happens(build, part, native, texts, control) -> None:
    rig = build(cases(texts, control), part, native=native).run(slices=50)
    found = [rig.symbols[f"bad{n}"] & ~1 for n in range(len(texts))]
    pcs, causes, marks = (table(rig, name, 32) for name in ("pcs", "causes", "marks"))
    assert pcs[: len(texts)] == found
    assert causes[: len(texts)] == [UNALIGNED] * len(texts)
    assert marks[: len(texts)] == [2 if "{at}" in text else 1 for text in texts]
    assert rig.word("count") == len(texts)


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(("texts", "control"), [(NEVER + WORDS, 0), (NEVER, 8)])
def test_what_is_allowed_goes_on(build, native, texts, control) -> None:
    assert build(cases(texts, control), native=native).run(slices=50).word("count") == 0


def encodings() -> st.SearchStrategy[tuple[int, ...]]:
    """Instructions that compute, of 16 and of 32 bits, and moves of the base register by 4s."""
    narrow = st.one_of(st.integers(0, 0x1FFF), st.integers(0x2000, 0x3FFF))
    other = st.sampled_from([0x4240, 0x4340, 0x4400, 0x4600, 0x4000, 0x4380]).flatmap(
        lambda code: st.integers(0, 63).map(lambda low: code | low)
    )
    wide = st.tuples(
        st.sampled_from([0xEA00, 0xEB00, 0xF000, 0xF100, 0xF200, 0xF300, 0xFB00, 0xF400, 0xEA40]),
        st.integers(0, 0xFF),
        st.integers(0, 0x7FFF),
    ).map(lambda found: (found[0] | found[1], found[2]))
    return st.one_of(narrow.map(lambda code: (code,)), other.map(lambda code: (code,)), wide)


def plain(instr: Instr) -> bool:
    """Whether an instruction is defined and leaves the stack pointer and the PC alone."""
    used = instr.reads | instr.writes
    return instr.name != "unknown" and not instr.jumps and not used & {arm.ARM_REG_SP}


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    st.lists(encodings(), min_size=1, max_size=6),
    st.lists(st.integers(0, 2**32 - 1), min_size=13, max_size=13),
)
def test_registers_are_what_their_forms_say(codes, values) -> None:
    halves = [half for code in codes for half in code]
    code = struct.pack(f"<{len(halves)}H", *halves)
    block = decode_block(0x1000, len(code), lambda _address, _size: code)
    assume(sum(i.size for i in block.instrs) == len(code) and all(map(plain, block.instrs)))
    core = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
    core.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
    core.mem_map(0, 0x4000)
    core.mem_write(0x1000, code)
    for register, value in zip(GENERAL, values, strict=False):
        core.reg_write(register, value)
    try:
        core.emu_start(0x1001, 0x1000 + len(code))
    except unicorn.UcError:
        assume(False)
    behind = align(block, code, all_words=False).behind
    for number, form in enumerate(behind[:13]):
        if form is not None:
            terms = (value * (form >> 2 * n & 3) for n, value in enumerate(values))
            assert (form >> 30) + sum(terms) & 3 == core.reg_read(GENERAL[number]) & 3
