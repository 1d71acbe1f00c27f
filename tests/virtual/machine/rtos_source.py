"""A small real-time system: two floating-point tasks, a timer that switches them, and more.

Each task keeps a pattern of its own in r4-r11 and s0-s31 and compares all of it in every round. The
timer pends PendSV, which switches the tasks on their process stacks; every fourth tick it triggers
an interrupt more urgent than itself, which spoils s0-s15. The tasks share a counter behind a mutex
of LDREX and STREX, call the supervisor, and give the processor up when the mutex is taken.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

_ALL = ",".join(map(str, range(32)))
_FILL = f"""
"mov r12, r0\\n mov r1, r0\\n"
".irp n,{_ALL}\\n vmov s\\\\n, r1\\n adds r1, #1\\n .endr\\n"
".irp n,4,5,6,7,8,9,10,11\\n mov r\\\\n, r1\\n adds r1, #1\\n .endr\\n"
"""
_CHECK = f"""
"mov r1, r12\\n"
".irp n,{_ALL}\\n vmov r2, s\\\\n\\n cmp r2, r1\\n bne.w 9f\\n adds r1, #1\\n .endr\\n"
".irp n,4,5,6,7,8,9,10,11\\n cmp r\\\\n, r1\\n bne.w 9f\\n adds r1, #1\\n .endr\\n"
"""

RTOS = """
#define PENDSV() (R(0xE000ED04) = 1 << 28)
u32 stack_[2][256], *top[2], current;
volatile u32 rounds[2], mutex, shared[2], calls, yields, ticks, nested, late, failed, finished;
void failure(void) {
    failed = 1;
    R(0xE000E010) = 0;
    __asm volatile("cpsid i");
    for (;;) __asm volatile("wfi");
}
/* r0: the first value of the pattern, of which bit 24 is the task's number */
__attribute__((naked, noreturn)) void task(u32 pattern) {
    __asm volatile(
        FILL
        "1:\\n"
        CHECK
        "ldr r0, =rounds\\n ubfx r3, r12, #24, #1\\n ldr r1, [r0, r3, lsl #2]\\n adds r1, #1\\n"
        "str r1, [r0, r3, lsl #2]\\n"
        "lsls r2, r1, #29\\n it eq\\n svceq #0\\n"
        "ldr r0, =mutex\\n"
        "2: ldrex r1, [r0]\\n cbz r1, 3f\\n svc #1\\n b 2b\\n"
        "3: movs r1, #1\\n strex r2, r1, [r0]\\n cmp r2, #0\\n bne 2b\\n dmb\\n"
        "ldr r3, =shared\\n ldr r1, [r3]\\n ldr r2, [r3, #4]\\n cmp r1, r2\\n bne 9f\\n"
        "adds r1, #1\\n str r1, [r3]\\n nop\\n nop\\n str r1, [r3, #4]\\n"
        "dmb\\n movs r1, #0\\n str r1, [r0]\\n b 1b\\n"
        "9: b failure");
}
__attribute__((naked)) void on_svc(void) {
    __asm volatile(
        "mrs r0, psp\\n ldr r1, [r0, #24]\\n ldrb r1, [r1, #-2]\\n"
        "cbz r1, 1f\\n"
        "ldr r2, =yields\\n ldr r3, [r2]\\n adds r3, #1\\n str r3, [r2]\\n"
        "ldr r2, =0xE000ED04\\n mov r3, #0x10000000\\n str r3, [r2]\\n dsb\\n bx lr\\n"
        "1: ldr r2, =calls\\n ldr r3, [r2]\\n adds r3, #1\\n str r3, [r2]\\n bx lr");
}
__attribute__((naked)) void on_pend(void) {
    __asm volatile(
        "mrs r0, psp\\n tst lr, #16\\n it eq\\n vstmdbeq r0!, {s16-s31}\\n"
        "stmdb r0!, {r4-r11, lr}\\n mov r3, #0x40\\n msr basepri, r3\\n isb\\n"
        "ldr r1, =current\\n ldr r2, [r1]\\n ldr r3, =top\\n"
        "str r0, [r3, r2, lsl #2]\\n eor r2, r2, #1\\n str r2, [r1]\\n"
        "ldr r0, [r3, r2, lsl #2]\\n movs r3, #0\\n msr basepri, r3\\n"
        "ldmia r0!, {r4-r11, lr}\\n tst lr, #16\\n it eq\\n"
        "vldmiaeq r0!, {s16-s31}\\n msr psp, r0\\n bx lr");
}
void on_usart(void) {
    nested++;
    __asm volatile(
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\\n vmov s\\\\n, %0\\n .endr" : : "r"(nested)
        : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13",
          "s14", "s15");
}
void on_tick(void) {
    u32 n = ++ticks;
    if (n % 4 == 0) {
        R(0xE000EF00) = 39;
        __asm volatile("dsb\\nisb");
        late += nested != n / 4;
    }
    PENDSV();
    if (n == TICKS) {
        R(0xE000E010) = 0;
        finished = 1;
        for (;;) __asm volatile("wfi");
    }
}
void run(void) {
    current = mutex = shared[0] = shared[1] = calls = yields = ticks = nested = late = 0;
    failed = finished = 0;
    R(0xE000ED1C) = 0x80u << 24;                    /* SVC */
    R(0xE000ED20) = 0x40u << 24 | 0xF0u << 16;      /* SysTick, PendSV */
    ((volatile u8 *)0xE000E400)[39] = 0x20;
    R(0xE000E104) = 1 << 7;
    for (u32 t = 0; t < 2; t++) {
        u32 *sp = stack_[t] + 256;
        rounds[t] = 0;
        *--sp = 1 << 24; *--sp = (u32)task; *--sp = 0;
        for (int i = 0; i < 4; i++) *--sp = 0;
        *--sp = 0x30000000 + (t << 24);
        *--sp = 0xFFFFFFFD;
        for (int i = 0; i < 8; i++) *--sp = 0;
        top[t] = sp;
    }
    R(0xE000E014) = PERIOD - 1; R(0xE000E018) = 0; R(0xE000E010) = 7;
    __asm volatile("msr psp, %0\\n movs r0, #2\\n msr control, r0\\n isb\\n ldr r0, =0x30000000\\n"
                   "bx %1" : : "r"(stack_[0] + 240), "r"(task) : "r0");
}
""".replace("FILL", _FILL).replace("CHECK", _CHECK)

_RAM, _RAM_BYTES = 0x20000000, 0x10000  # what the program uses
_COUNTS = ("ticks", "nested", "calls", "yields", "late", "failed", "finished")


@dataclass(frozen=True)
class Report:
    """How a run ended; `digest` is that of its memory, its cycles and its instructions."""

    cycles: int
    instructions: int
    counts: dict[str, int]
    rounds: tuple[int, int]
    digest: str

    @property
    def intact(self) -> bool:
        """Whether every tick came and no register was lost."""
        c = self.counts
        on_time = c["nested"] == c["ticks"] // 4 and not c["late"]
        return bool(c["finished"]) and not c["failed"] and on_time and min(self.rounds) > 0


def head(ticks: int, period: int) -> str:
    """What comes before the program: how often the timer ticks, and every how many cycles."""
    return f"#define TICKS {ticks}\n#define PERIOD {period}\n"


def report(rig: Any) -> Report:
    """What a finished run has left in its memory."""
    machine = rig.machine
    totals = (machine.cycles, machine.instructions)
    memory = machine.read_block(_RAM, _RAM_BYTES)
    digest = hashlib.sha256(memory + repr(totals).encode()).hexdigest()[:16]
    first = rig.symbols["rounds"]
    rounds = (machine.read(first, 4), machine.read(first + 4, 4))
    return Report(*totals, {name: rig.word(name) for name in _COUNTS}, rounds, digest)
