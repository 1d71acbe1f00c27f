"""Exceptions in detail, each with native code and without: the same memory and the same cycles."""

from __future__ import annotations

import pytest

DHCSR, DEMCR, DFSR = 0xE000EDF0, 0xE000EDFC, 0xE000ED30
HEAD = """
volatile u32 out[16], n;
#define SAY(value) (out[n++] = (value))
#define BARRIER() __asm volatile("dsb\\nisb" ::: "memory")
#define ICSR R(0xE000ED04)
#define SHCSR R(0xE000ED24)
#define SCR R(0xE000ED10)
#define FPCCR R(0xE000EF34)
#define FPCAR R(0xE000EF38)
#define PRIORITY(number) (((volatile u8 *)0xE000E400)[number])
#define SYSTEM(number) (((volatile u8 *)0xE000ED14)[number])
#define TICK(cycles) (R(0xE000E014) = (cycles) - 1, R(0xE000E018) = 0, R(0xE000E010) = 7)
"""
CATCH = """
__attribute__((naked)) void on_hard_fault(void) {
    __asm volatile("ldr r0, =0x20008000\\n mov sp, r0\\n b caught");
}
void caught(void) {
    SAY(R(0xE000ED28)); SAY(R(0xE000ED2C));
    for (;;) __asm volatile("wfi");
}
"""


@pytest.fixture
def said(build):
    """What a program says, by `out`; the same with native code, without, and cut in slices."""

    def ran(source: str, part: str = "stm32f412zg", model: str = "") -> list[int]:
        rigs = [
            build(HEAD + "static void start(void) { n = 0; }\n" + source, part, native, model=model)
            for native in (True, True, False)
        ]
        ends = []
        for rig, budget in zip(rigs, (1_000_000, 61, 1_000_000), strict=True):
            rig.run(budget)
            words = [rig.machine.read(rig.symbols["out"] + 4 * i, 4) for i in range(16)]
            ends.append((words[: rig.word("n")], rig.machine.cycles))
        assert ends[1:] == ends[:1] * 2
        return ends[0][0]

    return ran


def test_interrupt_control_state_tells_pending_active_and_base(said) -> None:
    source = """
void on_tick(void) {
    SAY(ICSR);                                  /* alone: RETTOBASE; nothing waits */
    ICSR = 1 << 28; R(0xE000EF00) = 39;
    SAY(ICSR);                                  /* PendSV comes before IRQ 39 */
    SAY(SHCSR); SAY(R(0xE000E204));
}
void on_pend(void) {
    SAY(SHCSR); SYSTEM(11) = 0x20; __asm volatile("svc 0" ::: "memory");
}
void on_svc(void) { SAY(ICSR & ~(1 << 22)); SAY(SHCSR); }
void on_usart(void) { SAY(R(0xE000E304)); SAY(R(0xE000E204)); }
void run(void) {
    start();
    SYSTEM(15) = 0x40; SYSTEM(14) = 0x80; PRIORITY(39) = 0xC0;
    R(0xE000E104) = 1 << 7;
    ICSR = 1 << 26;
    BARRIER();
    SAY(ICSR);
}
"""
    assert said(source) == [
        *(0x80F, 0x1040E80F, 1 << 11, 1 << 7),  # VECTPENDING is PendSV, IRQ 39 waits as well
        *(1 << 10, 0x3700B, 1 << 10 | 1 << 7),  # the supervisor call lies over PendSV
        *(1 << 7, 0, 0x800),
    ]


def test_pended_supervisor_call_waits_for_the_mask_and_shows_in_shcsr(said) -> None:
    source = """
void on_svc(void) { SAY(SHCSR); }
void run(void) {
    start();
    __asm volatile("cpsid i");
    SHCSR |= 1 << 15; BARRIER();
    SAY(SHCSR);
    __asm volatile("cpsie i\\n isb" ::: "memory");
    SAY(SHCSR);
}
"""
    assert said(source) == [1 << 15, 1 << 7, 0]


@pytest.mark.parametrize(("grouping", "order"), [(5, "tTpP"), (3, "tpPT")])
def test_priority_groups_decide_what_preempts(said, grouping, order) -> None:
    source = f"""
void on_tick(void) {{ SAY('t'); ICSR = 1 << 28; BARRIER(); SAY('T'); }}
void on_pend(void) {{ SAY('p'); BARRIER(); SAY('P'); }}
void run(void) {{
    start();
    R(0xE000ED0C) = 0x05FA0000 | {grouping} << 8;
    SYSTEM(15) = 0x50; SYSTEM(14) = 0x40;      /* one group when two bits decide */
    ICSR = 1 << 26; BARRIER();
}}
"""
    assert "".join(map(chr, said(source))) == order


def test_masks_rise_fall_and_let_a_sleeper_wake(said) -> None:
    source = """
static u32 basepri(void) { u32 v; __asm volatile("mrs %0, basepri" : "=r"(v)); return v; }
static u32 faultmask(void) { u32 v; __asm volatile("mrs %0, faultmask" : "=r"(v)); return v; }
#define MAX(value) __asm volatile("msr basepri_max, %0" : : "r"(value))
void on_pend(void) { __asm volatile("cpsid f"); SAY(faultmask()); }
void on_tick(void) { R(0xE000E010) = 0; SAY('t'); }
void run(void) {
    start();
    MAX(0x40); MAX(0x80); SAY(basepri());
    MAX(0x20); MAX(0); SAY(basepri());
    __asm volatile("msr basepri, %0" : : "r"(0));
    ICSR = 1 << 28; BARRIER();
    SAY(faultmask());                           /* the return has cleared it */
    __asm volatile("cpsid i");
    TICK(5000);
    __asm volatile("wfi");
    SAY('w');                                   /* awake, and not served */
    __asm volatile("cpsie i\\n isb" ::: "memory");
    SAY('e');
}
"""
    assert said(source) == [0x40, 0x20, 1, 0, ord("w"), ord("t"), ord("e")]


def test_sleep_on_exit_and_event_on_pend(said) -> None:
    source = """
volatile u32 ticks;
void on_tick(void) { if (++ticks == 3) { R(0xE000E010) = 0; SCR = 0; } }
void run(void) {
    start(); ticks = 0;
    SCR = 2;
    TICK(4000);
    __asm volatile("wfi" ::: "memory");
    SAY(ticks);                                 /* not before SLEEPONEXIT is gone */
    SCR = 1 << 4;
    __asm volatile("sev\\n wfe\\n cpsid i");
    TICK(4000);
    __asm volatile("wfe" ::: "memory");         /* a masked timer pends: an event */
    SAY(R(0xE000ED04) >> 26 & 1);
    SAY(ticks);
    R(0xE000E010) = 0; ICSR = 1 << 25;
}
"""
    assert said(source) == [3, 1, 3]


@pytest.mark.parametrize(
    ("spoil", "cfsr", "hfsr"),
    [
        ("ldr r0, =0x60000000\\n mov sp, r0", 1 << 11, 1 << 30),  # UNSTKERR
        ("ldr r0, [sp, #28]\\n orr r0, #5\\n str r0, [sp, #28]", 1 << 18, 1 << 30),  # INVPC
        ("mvn lr, #0x1a", 1 << 18, 1 << 30),  # no such EXC_RETURN
    ],
)
def test_return_that_cannot_be_is_a_fault(said, spoil, cfsr, hfsr) -> None:
    source = f"""
__attribute__((naked)) void on_pend(void) {{ __asm volatile("{spoil}\\n bx lr"); }}
void run(void) {{ start(); ICSR = 1 << 28; BARRIER(); SAY(1); }}
"""
    assert said(CATCH + source) == [cfsr, hfsr]


def test_vector_that_cannot_be_read_is_a_hard_fault(said) -> None:
    source = """
void run(void) {
    start();
    R(0x2003FF80 + 12) = (u32)on_hard_fault;    /* the last bytes of memory */
    R(0xE000ED08) = 0x2003FF80;
    R(0xE000E104) = 1 << 7; R(0xE000EF00) = 39; BARRIER();
    SAY(1);
}
"""
    assert said(CATCH + source) == [0, 2]


def test_vector_catch_of_a_fault_in_an_entry(build) -> None:
    source = """
__attribute__((naked)) void run(void) {
    __asm volatile("ldr r0, =0x20000008\\n mov sp, r0\\n svc 0");
}
"""
    for native in (True, False):
        machine = build(source, native=native).machine
        machine.write(DHCSR, 4, 0xA05F0001)
        machine.write(DEMCR, 4, 1 << 9)
        machine.run(1_000_000)
        assert (machine.state, machine.read(DFSR, 4)) == ("halted", 8)


LAZY = """
volatile float noise; u32 frame;
__attribute__((naked)) void on_pend(void) {
    __asm volatile("ldr r0, =frame\\n str sp, [r0]\\n mov r0, lr\\n push {r0, lr}\\n bl look\\n"
                   "pop {r0, pc}");
}
void look(u32 link) {
    volatile u32 *fp = (volatile u32 *)(frame + 0x20);
    SAY(link & 0x10); SAY(FPCCR & 1); SAY(fp[1] == 0x3F800000);
    if (!(link & 0x10)) SAY(MODE >> 30 & 1 ? FPCAR - frame : 0);
    BARRIER();
    __asm volatile("vmov s1, %0" : : "r"(7) : "s1");
    BARRIER();
    SAY(FPCCR & 1); SAY(fp[1] == 0x3F800000);
}
void run(void) {
    u32 s1;
    start();
    FPCCR = MODE;
    for (u32 a = 0x20007000; a < 0x2000FF00; a += 4) R(a) = 0;
    __asm volatile("vmov s1, %0" : : "r"(0x3F800000) : "s1");
    ICSR = 1 << 28; BARRIER();
    __asm volatile("vmov %0, s1" : "=r"(s1));
    SAY(s1);
}
"""


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (3, [0, 1, 0, 0x20, 0, 1, 0x3F800000]),  # lazy: stored by the handler's own use
        (2, [0, 0, 1, 0, 0, 1, 0x3F800000]),  # at entry
        (0, [16, 0, 0, 0, 0, 7]),  # neither room nor saving
    ],
)
@pytest.mark.parametrize("model", ["m4-v1", "m4-v2"])
def test_float_registers_are_stored_when_fpccr_says(said, mode, words, model) -> None:
    assert said(f"#define MODE ({mode}u << 30)\n" + LAZY, model=model) == words


CHAIN = """
#define TAKE_TIME(name) \\
    "ldr r0, =0xE0001004\\n ldr r1, [r0]\\n ldr r2, =" name "\\n str r1, [r2]\\n bx lr"
u32 begun, ended;
__attribute__((naked)) void on_tick(void) {
    __asm volatile(TAKE_TIME("ended"));
}
void on_usart(void) { SAY('u'); }
__attribute__((naked)) void on_pend(void) {
    __asm volatile(TAKE_TIME("begun"));
}
void run(void) {
    start();
    count_cycles();
    SYSTEM(14) = 0x40; SYSTEM(15) = 0x80; PRIORITY(39) = 0xC0;
    R(0xE000E104) = 1 << 7;
    __asm volatile("cpsid i");
    ICSR = 1 << 28 | 1 << 26; R(0xE000EF00) = 39;
    __asm volatile("cpsie i\\n isb" ::: "memory");
    SAY(ended - begun);
}
"""


def test_tail_chaining_saves_the_frame_in_between(said) -> None:
    slow, fast = (said(CHAIN, model=model) for model in ("m4-v1", "m4-v2"))
    assert slow[0] == fast[0] == ord("u")
    assert slow[1] - fast[1] == 10 + 12 - 6


def test_counter_wraps_and_tells_so_once(said) -> None:
    source = """
void run(void) {
    start();
    R(0xE000E014) = 999; R(0xE000E018) = 0; R(0xE000E010) = 5;
    SAY(R(0xE000E010) >> 16);
    for (u32 i = 0; i < 700; i++) __asm volatile("nop");
    SAY(R(0xE000E010) >> 16); SAY(R(0xE000E010) >> 16);
    u32 v = R(0xE000E018); SAY(v > 0 && v < 1000); SAY(R(0xE000E014));
}
"""
    assert said(source) == [0, 1, 0, 1, 999]
