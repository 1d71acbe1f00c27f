/* Loads and stores of every size, with every address mode, multiple, unaligned and exclusive. */
#include "program.h"

static u32 words[64];
static u8 from[600], to[600];

NAKED static u32 multiple(u32 *at)
{
    __asm volatile("push {r4-r11, lr}\n"
                   "mov r12, r0\n"
                   "ldmia r12!, {r1-r8}\n"
                   "stmdb r12!, {r3, r5, r7, r8}\n"
                   "ldmdb r12, {r4, r6}\n"
                   "ldrd r2, r3, [r12], #8\n"
                   "strd r4, r2, [r12, #-16]!\n"
                   "ldrd r8, r9, [r12, #8]\n"
                   "str r8, [r0, r6, lsl #0]\n"
                   "ldr r10, [r0], #4\n"
                   "strh r10, [r0, #2]!\n"
                   "ldrsb r11, [r0, #1]\n"
                   "ldrsh r4, [r0, #-2]\n"
                   "strb r11, [r0], #3\n"
                   "ldrb r5, [r0, #-1]!\n"
                   "adds r0, r4, r5\n"
                   "adds r0, r0, r9\n"
                   "eor r0, r0, r11\n"
                   "pop {r4-r11, pc}\n");
}

NAKED static u32 exclusive(u32 *at)
{
    __asm volatile("1: ldrex r1, [r0]\n"
                   "adds r1, #3\n"
                   "strex r2, r1, [r0]\n"
                   "cmp r2, #0\n"
                   "bne 1b\n"
                   "clrex\n"
                   "strex r2, r1, [r0]\n" /* refused */
                   "adds r0, r1, r2\n"
                   "bx lr\n");
}

NOINLINE static void copied(u8 *restrict out, const u8 *restrict in, u32 count)
{
    for (; count >= 8; count -= 8, in += 8, out += 8) {
        u32 a, b;
        __builtin_memcpy(&a, in, 4);
        __builtin_memcpy(&b, in + 4, 4);
        __builtin_memcpy(out, &a, 4);
        __builtin_memcpy(out + 4, &b, 4);
    }
    while (count--)
        *out++ = *in++;
}

u32 work(void)
{
    u32 sum = 0, state = 7;
    for (u32 i = 0; i < 600; i++)
        from[i] = (u8)(next(&state) >> 24);
    for (u32 shift = 0; shift < 8; shift++) {
        copied(to + (shift ^ 5), from + shift, 500 + shift);
        for (u32 i = 0; i < 520; i++)
            sum = mixed(sum, to[i]);
    }
    for (u32 i = 0; i < 100; i++) {
        for (u32 j = 0; j < 64; j++)
            words[j] = 4 * i * j & 0x3C; /* one of them is taken for an offset */
        sum = mixed(sum, multiple(words + 8 * (i & 3)) + exclusive(words + 40));
    }
    return sum;
}
