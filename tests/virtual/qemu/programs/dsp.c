/* The DSP extension: two and four numbers to a register, saturation, long products. */
#include "program.h"

NAKED static u32 pairs(const u32 *x, const u32 *y, u32 count)
{
    __asm volatile("push {r4-r11, lr}\n"
                   "movs r3, #0\n"
                   "mov r12, r3\n"
                   "1: ldr r4, [r0], #4\n"
                   "ldr r5, [r1], #4\n"
                   "sxtb16 r6, r4\n"
                   "sxtb16 r7, r4, ror #8\n"
                   "sxtab16 r8, r6, r5\n"
                   "uxtb16 r9, r5, ror #8\n"
                   "smlad r3, r6, r8, r3\n"
                   "smladx r12, r7, r9, r12\n"
                   "smlsd r3, r7, r8, r3\n"
                   "smuad r10, r6, r9\n"
                   "smlald r3, r12, r8, r9\n"
                   "pkhbt r11, r6, r7, lsl #16\n"
                   "pkhtb r10, r10, r7, asr #3\n"
                   "ssat r6, #9, r10, asr #4\n"
                   "usat r7, #7, r11\n"
                   "ssat16 r8, #5, r11\n"
                   "usat16 r9, #6, r10\n"
                   "qadd r6, r6, r4\n"
                   "qdadd r7, r7, r5\n"
                   "qsub8 r8, r8, r4\n"
                   "uqadd16 r9, r9, r5\n"
                   "sadd8 r10, r4, r5\n"
                   "sel r11, r4, r5\n"
                   "usub16 r4, r4, r5\n"
                   "sel r5, r10, r8\n"
                   "shadd8 r10, r10, r11\n"
                   "usada8 r3, r4, r5, r3\n"
                   "smmulr r4, r6, r8\n"
                   "smmla r12, r7, r9, r12\n"
                   "smulbb r5, r4, r9\n"
                   "smlabt r3, r5, r6, r3\n"
                   "smlawb r12, r7, r8, r12\n"
                   "umaal r3, r12, r10, r11\n"
                   "smlal r3, r12, r4, r7\n"
                   "umull r4, r5, r6, r8\n"
                   "mls r3, r4, r5, r3\n"
                   "rev16 r12, r12\n"
                   "rbit r4, r4\n"
                   "revsh r5, r5\n"
                   "clz r6, r4\n"
                   "adds r3, r3, r6\n"
                   "adcs r12, r12, r5\n"
                   "subs r2, #1\n"
                   "bne 1b\n"
                   "mrs r4, apsr\n"
                   "and r4, r4, #0x08000000\n" /* Q */
                   "eor r0, r3, r12\n"
                   "orr r0, r0, r4\n"
                   "pop {r4-r11, pc}\n");
}

u32 work(void)
{
    static u32 x[128], y[128];
    u32 sum = 0, state = 11;
    for (u32 round = 0; round < 6; round++) {
        for (u32 i = 0; i < 128; i++) {
            x[i] = next(&state);
            y[i] = next(&state) >> round;
        }
        sum = mixed(sum, pairs(x, y, 128));
    }
    return sum;
}
