/* What a core refuses: unaligned accesses, the FPU while it is off, trapped divisions; in IT blocks
 * too. */
#include "program.h"

static volatile u32 faults;

/* Steps over the instruction that faulted. */
NAKED static void on_fault(void)
{
    __asm volatile("mov r0, sp\n"
                   "b fault_body\n");
}

__attribute__((used)) void fault_body(u32 *frame)
{
    u32 status = R(0xE000ED28);
    R(0xE000ED28) = status;
    faults = mixed(faults, status);
    u16 first = *(const u16 *)frame[6];
    frame[6] += first >> 11 >= 0x1D ? 4 : 2;
}

NAKED static u32 unaligned(u32 *at)
{
    __asm volatile("movs r3, #0\n"
                   "ldr r1, [r0, #1]\n" /* allowed */
                   "ldrh r2, [r0, #3]\n"
                   "adds r3, r1, r2\n"
                   "str r3, [r0, #6]\n"
                   "adds r0, #2\n"
                   "ldrd r1, r2, [r0]\n"
                   "adds r3, #1\n"
                   "ldmia r0, {r1, r2}\n"
                   "adds r3, #2\n"
                   "strd r1, r2, [r0, #4]\n"
                   "stmdb r0!, {r1, r2}\n"
                   "adds r3, #4\n"
                   "ldrex r1, [r0]\n"
                   "cmp r3, #0\n"
                   "ittt ne\n"
                   "addne r3, #8\n"
                   "ldmne r0, {r1, r2}\n"
                   "addne r3, #16\n"
                   "mov r0, r3\n"
                   "bx lr\n");
}

NAKED static u32 floating(u32 value)
{
    __asm volatile("movs r1, #3\n"
                   "vmov s0, r0\n"
                   "adds r1, #5\n"
                   "vadd.f32 s0, s0, s0\n"
                   "vmov r0, s0\n"
                   "adds r0, r0, r1\n"
                   "lsls r2, r0, #31\n"
                   "itete ne\n"
                   "vmovne s1, r0\n"
                   "addeq r0, #3\n"
                   "addne r0, #9\n"
                   "vmoveq s2, r0\n"
                   "bx lr\n");
}

NAKED static u32 divided(u32 a, u32 b)
{
    __asm volatile("movs r3, #1\n"
                   "cmp r0, #5\n"
                   "ittet hi\n"
                   "addhi r3, #1\n"
                   "udivhi r2, r0, r1\n"
                   "udivls r2, r1, r0\n"
                   "addhi r3, #4\n"
                   "adds r0, r2, r3\n"
                   "bx lr\n");
}

u32 work(void)
{
    static u32 words[8];
    u32 sum = 0;
    table[3] = on_fault;
    table[6] = on_fault;
    R(0xE000ED24) = 1 << 18; /* usage faults have a handler of their own */
    R(0xE000ED14) |= 1 << 4; /* CCR.DIV_0_TRP */
    __asm volatile("dsb\n\tisb" ::: "memory");
    faults = 0;
    for (u32 i = 0; i < 8; i++)
        words[i] = mixed(i, i);
    for (u32 i = 0; i < 20; i++) {
        sum = mixed(sum, unaligned(words + (i & 3)));
        R(0xE000ED88) = i & 1 ? 0xF << 20 : 0;
        __asm volatile("dsb\n\tisb" ::: "memory");
        sum = mixed(sum, floating(i));
        sum = mixed(sum, divided(i, i % 3));
    }
    return mixed(sum, faults);
}
