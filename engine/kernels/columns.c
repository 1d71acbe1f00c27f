/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of pixels to words of pairs for kernels of 5x5 and 7x7, two columns side by side: assembly
 * for cores with the DSP extension, and the same in C for all others. See sweep.h.
 */
#include "sweep.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* Bytes of two columns, with that many slots. */
#define GROUP_8 "256"
#define GROUP_9 "288"

/* r0: from, r1: columns left, r2: to; r3: down, or zeros for a row outside; r4: right, lr: mask
 * r5, r9: four channels of the upper and of the lower row; r6, r10: of the next column
 * r5 to r12, at last: the words of four channels, of each the two columns side by side */
#define LEFT_BOTH "ldr r5, [r0] \n ldr r9, [r0, r3] \n add r0, r0, r4 \n"
#define LEFT_UPPER "ldr r5, [r0] \n mov r9, r3 \n add r0, r0, r4 \n"
#define LEFT_LOWER "mov r5, r3 \n ldr r9, [r0] \n add r0, r0, r4 \n"
#define RIGHT_BOTH "ldr r6, [r0] \n ldr r10, [r0, r3] \n add r0, r0, r4 \n"
#define RIGHT_UPPER "ldr r6, [r0] \n mov r10, r3 \n add r0, r0, r4 \n"
#define RIGHT_LOWER "mov r6, r3 \n ldr r10, [r0] \n add r0, r0, r4 \n"
#define PAIR_LEFT "pkhbt r7, r5, r9, lsl #16 \n pkhtb r11, r9, r5, asr #16 \n"
#define PAIR_RIGHT "pkhbt r8, r6, r10, lsl #16 \n pkhtb r12, r10, r6, asr #16 \n"
#define WIDEN_256(a, b) "and " a ", lr, " b ", lsl #8 \n and " b ", lr, " b " \n"
#define WIDEN_1(a, b) "sxtb16 " a ", " b " \n sxtb16 " b ", " b ", ror #8 \n"

#define ONE(rows, widen)                                                                          \
    LEFT_##rows PAIR_LEFT widen("r5", "r7") widen("r9", "r11")                                    \
    "str r5, [r2] \n str r7, [r2, #8] \n str r9, [r2, #16] \n str r11, [r2, #24] \n"
#define TWO(rows, slots, widen)                                                                   \
    LEFT_##rows PAIR_LEFT RIGHT_##rows PAIR_RIGHT                                                 \
    widen("r5", "r7") widen("r6", "r8") widen("r9", "r11") widen("r10", "r12")                    \
    "stm r2, {r5-r12} \n add r2, r2, #" GROUP_##slots " \n"

/* From r1 columns on: pairs of them, until r1 is -2, or -1 where one is left. */
#define LOOP(two) "subs r1, r1, #2 \n blt 8f \n 6: \n" two "subs r1, r1, #2 \n bge.w 6b \n 8: \n"
#if defined(__OPTIMIZE_SIZE__)
#define LOOPS(two) LOOP(two)
#else
#define LOOPS(two)                                                                                \
    "subs r1, r1, #4 \n blt 7f \n .p2align 2 \n 6: \n" two two "subs r1, r1, #4 \n bge.w 6b \n"   \
    "7: adds r1, r1, #2 \n blt 8f \n" two "sub r1, r1, #2 \n 8: \n"
#endif

/* A column before the first whole two, those, and a column behind. */
#define ROWS(rows, slots, widen, loops)                                                           \
    "mov r1, r5 \n cmp r7, #0 \n beq 5f \n" ONE(rows, widen)                                      \
    "add r2, r2, #(" GROUP_##slots " - 4) \n sub r1, r1, #1 \n"                                   \
    "5: \n" loops(TWO(rows, slots, widen))                                                        \
    "adds r1, r1, #1 \n bne 9f \n" ONE(rows, widen) "9: \n"

/* sp: from, to, pixels, zeros, odd, pairs left, where both rows are inside. */
#define TAKE(name, slots, widen)                                                                  \
    __attribute__((naked, noinline, aligned(4))) void name(                                       \
        __attribute__((unused)) const int8_t *from, __attribute__((unused)) int32_t inside,       \
        __attribute__((unused)) tr_word *to, __attribute__((unused)) const tr_row *row)           \
    {                                                                                             \
        __asm__ volatile(".syntax unified \n push {r4-r11, lr} \n cmp r1, #1 \n"                  \
                         "ldr r12, [r3, #20] \n ldm r3, {r3-r7} \n mov lr, #0xFF00FF00 \n"        \
                         "beq.w 3f \n bhi.w 4f \n push {r0, r2, r5, r6, r7, r12} \n"              \
                         "2: \n" ROWS(BOTH, slots, widen, LOOPS)                                  \
                         "ldm sp, {r0, r2, r5, r6, r7, r12} \n"                                   \
                         "add r0, r0, r3, lsl #1 \n add r2, r2, #32 \n subs r12, r12, #1 \n"      \
                         "strd r0, r2, [sp] \n str r12, [sp, #20] \n bgt.w 2b \n"                 \
                         "add sp, sp, #24 \n pop {r4-r11, pc} \n"                                 \
                         "3: \n mov r3, r6 \n" ROWS(UPPER, slots, widen, LOOP)                    \
                         "pop {r4-r11, pc} \n"                                                    \
                         "4: \n mov r3, r6 \n" ROWS(LOWER, slots, widen, LOOP)                    \
                         "pop {r4-r11, pc} \n");                                                  \
    }

TAKE(tr_take_8_256, 8, WIDEN_256)
TAKE(tr_take_9_256, 9, WIDEN_256)
TAKE(tr_take_8_1, 8, WIDEN_1)
TAKE(tr_take_9_1, 9, WIDEN_1)

#else

TR_INLINE int32_t tr_pair_of(int32_t low, int32_t high, int32_t unit)
{
    return (int32_t)((uint32_t)(low * unit & 0xFFFF) | (uint32_t)(high * unit) << 16);
}

TR_INLINE void tr_take(const int8_t *from, int32_t inside, tr_word *to, const tr_row *row,
                       int32_t slots, int32_t unit)
{
    const int8_t *zeros = (const int8_t *)&row->zeros;
    int32_t odd = row->odd;
    for (int32_t left = row->count; left > 0; left--, from += row->right, odd ^= 1) {
        const int8_t *upper = inside == TR_LOWER ? zeros : from;
        const int8_t *below = inside == TR_LOWER ? from : from + row->down;
        const int8_t *lower = inside == TR_UPPER ? zeros : below;
        for (int32_t c = 0; c < 4; c++)
            to[2 * c] = tr_pair_of(upper[c], lower[c], unit);
        to += odd ? 8 * slots - 1 : 1;
    }
}

#define TAKE(name, slots, unit)                                                                   \
    void name(const int8_t *from, int32_t inside, tr_word *to, const tr_row *row)                 \
    {                                                                                             \
        for (int32_t pair = 0; pair < row->pairs; pair++, from += 2 * row->down)                  \
            tr_take(from, inside, to + 8 * pair, row, slots, unit);                               \
    }

TAKE(tr_take_8_256, 8, 256)
TAKE(tr_take_9_256, 9, 256)
TAKE(tr_take_8_1, 8, 1)
TAKE(tr_take_9_1, 9, 1)

#endif
