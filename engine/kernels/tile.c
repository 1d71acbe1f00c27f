/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles of four pixels by two channels: assembly for cores with the DSP extension, since compilers
 * spill the accumulators, and the same algorithm in C for all others.
 *
 * One source has two schedules. Cortex-M4 wants loads together, in as few instructions as can be;
 * Cortex-M7 issues a load beside each product and wants them apart.
 */
#include "tile.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* A double-precision FPU is what compilers tell of a Cortex-M7. */
#ifndef TR_CORTEX_M7
#if defined(__ARM_FP) && (__ARM_FP & 8)
#define TR_CORTEX_M7 1
#else
#define TR_CORTEX_M7 0
#endif
#endif

/* r0: x; r1: pairs; r2, r3: pairs of inputs; r4: a weight word, r5: its low bytes
 * r6 to r9: sums of c0 of the four pixels; r10, r11, r12, lr: those of 256 * c1 + c0
 * sp + 0: out, 4: stride, 8: last, 12: x, 16: its end, 20: where the loop over groups is entered */

#if TR_CORTEX_M7

/* What a step needs first was loaded by the one before it: r4 the weights, r2 the first pixel. */
#define FIRST_LOADS "ldr r4, [r1], #4 \n ldr r2, [r0] \n"
#define STEP(at, next)                                                                            \
    "sxtb16 r5, r4              \n ldr r3, [r0, #" at " + 4]   \n"                                 \
    "smlad r10, r2, r4, r10     \n"                                                               \
    "smlad r6, r2, r5, r6       \n ldr r2, [r0, #" at " + 8]   \n"                                 \
    "smlad r11, r3, r4, r11     \n"                                                               \
    "smlad r7, r3, r5, r7       \n ldr r3, [r0, #" at " + 12]  \n"                                 \
    "smlad r12, r2, r4, r12     \n"                                                               \
    "smlad r8, r2, r5, r8       \n ldr r2, [r0, #" at " + 16]" next "\n"                           \
    "smlad lr, r3, r4, lr       \n ldr r4, [r1], #4            \n"                                 \
    "smlad r9, r3, r5, r9       \n"
/* The first step of all: no sums yet, the bias of c1 in lr. */
#define FIRST_STEP                                                                                \
    "sxtb16 r5, r4              \n ldr r3, [r0, #4]            \n"                                 \
    "smlad r10, r2, r4, lr      \n"                                                               \
    "smuad r6, r2, r5           \n ldr r2, [r0, #8]            \n"                                 \
    "smlad r11, r3, r4, lr      \n"                                                               \
    "smuad r7, r3, r5           \n ldr r3, [r0, #12]           \n"                                 \
    "smlad r12, r2, r4, lr      \n"                                                               \
    "smuad r8, r2, r5           \n ldr r2, [r0, #16]           \n"                                 \
    "smlad lr, r3, r4, lr       \n ldr r4, [r1], #4            \n"                                 \
    "smuad r9, r3, r5           \n"
#define FIRST_GROUP FIRST_STEP STEP("16", "!")
#define GROUP STEP("0", "") STEP("16", "!")
/* The word behind the weights is in r4 already; the two behind it come to r2 and r3. */
#define END_LOADS "ldrd r2, r3, [r1], #8 \n"
#define END_0 "r4"
#define END_1 "r2"
#define END_2 "r3"
#define END_MORE "ldm r1!, {r2, r3, r4} \n"
#define MORE_0 "r2"
#define MORE_1 "r3"
#define MORE_2 "r4"

#else

#define FIRST_LOADS ""
#define STEP                                                                                      \
    "ldr r4, [r1], #4       \n ldrd r2, r3, [r0], #8 \n sxtb16 r5, r4          \n"                 \
    "smlad r10, r2, r4, r10 \n smlad r11, r3, r4, r11 \n"                                         \
    "smlad r6, r2, r5, r6   \n smlad r7, r3, r5, r7   \n"                                         \
    "ldrd r2, r3, [r0], #8  \n"                                                                   \
    "smlad r12, r2, r4, r12 \n smlad lr, r3, r4, lr   \n"                                         \
    "smlad r8, r2, r5, r8   \n smlad r9, r3, r5, r9   \n"
#define FIRST_STEP                                                                                \
    "ldr r4, [r1], #4       \n ldrd r2, r3, [r0], #8 \n sxtb16 r5, r4          \n"                 \
    "smlad r10, r2, r4, lr  \n smlad r11, r3, r4, lr  \n"                                         \
    "smuad r6, r2, r5       \n smuad r7, r3, r5       \n"                                         \
    "ldrd r2, r3, [r0], #8  \n"                                                                   \
    "smlad r12, r2, r4, lr  \n smlad lr, r3, r4, lr   \n"                                         \
    "smuad r8, r2, r5       \n smuad r9, r3, r5       \n"
#define FIRST_GROUP FIRST_STEP STEP
#define GROUP STEP STEP
#define END_LOADS "ldm r1!, {r2, r3, r4} \n"
#define END_0 "r2"
#define END_1 "r3"
#define END_2 "r4"
#define END_MORE END_LOADS
#define MORE_0 "r2"
#define MORE_1 "r3"
#define MORE_2 "r4"

#endif

/* Sums: groups of four inputs, the first apart, then rounds of four that are entered so late that
 * they end with the last. All groups are of one length in bytes. */
#define TILE(end)                                                                                 \
    ".syntax unified                                    \n"                                       \
    "push {r4-r11, lr}                                  \n"                                       \
    "sub sp, sp, #24                                    \n"                                       \
    "ldm r3, {r3, r4, r5}       @ stride, last, groups  \n"                                       \
    "stm sp, {r2, r3, r4}                               \n"                                       \
    "add r6, r0, r5, lsl #5                             \n"                                       \
    "strd r0, r6, [sp, #12]                             \n"                                       \
    "sub r5, r5, #1                                     \n"                                       \
    "and r5, r5, #3             @ groups of a last round \n"                                      \
    "adr.w r6, 4f                                       \n"                                       \
    "adr.w r7, 3f                                       \n"                                       \
    "subs r7, r6, r7            @ bytes of a group       \n"                                      \
    "mls r6, r5, r7, r6                                 \n"                                       \
    "orr r6, r6, #1                                     \n"                                       \
    "str r6, [sp, #20]                                  \n"                                       \
    "ldr lr, [r1], #4                                   \n"                                       \
    "1:                         @ two channels           \n" FIRST_LOADS FIRST_GROUP              \
    "ldr pc, [sp, #20]                                  \n"                                       \
    "2:                                                 \n" GROUP GROUP GROUP                     \
    "3:                                                 \n" GROUP                                 \
    "4:                                                 \n"                                       \
    "ldr r5, [sp, #16]                                  \n"                                       \
    "cmp r0, r5                                         \n"                                       \
    "bne.w 2b                                           \n" end                                   \
    "str r0, [sp]                                       \n"                                       \
    "ldr lr, [r1], #4                                   \n"                                       \
    "ldr r0, [sp, #12]                                  \n"                                       \
    "cmp lr, #0x80000000                                \n"                                       \
    "bne.w 1b                                           \n"                                       \
    "add sp, sp, #24                                    \n"                                       \
    "pop {r4-r11, pc}                                   \n"

/* 256 * c1 alone. */
#define PART_C1                                                                                   \
    "sub r10, r10, r6 \n sub r11, r11, r7 \n sub r12, r12, r8 \n sub lr, lr, r9 \n"

/* Bytes of c0 and c1, side by side, to the four pixels; r0: out, s: stride, l: last. */
#define STORE(s, l)                                                                               \
    "bfi r7, r11, #8, #8 \n strh r7, [r0, " s "]         \n"                                       \
    "bfi r8, r12, #8, #8 \n strh r8, [r0, " s ", lsl #1] \n"                                       \
    "bfi r9, lr, #8, #8  \n strh r9, [r0, " l "]         \n"                                       \
    "bfi r6, r10, #8, #8 \n strh r6, [r0], #2            \n"

/* Ends with bias of c0, factor of c0, factor of c1: see engine/requantise.py. */
#define ROUND_ONE(a, b, shift)                                                                    \
    "smmul " a ", " a ", " END_1 " \n smmul " b ", " b ", " END_2 "          \n"                   \
    "ssat " a ", #8, " a ", asr #" shift " \n ssat " b ", #8, " b ", asr #" shift "\n"
#define BIAS_C0(a) "add " a ", " END_0 ", " a ", lsl #8 \n"
#define END_ONE(shift)                                                                            \
    END_LOADS PART_C1                                                                             \
    BIAS_C0("r6") BIAS_C0("r7") BIAS_C0("r8") BIAS_C0("r9")                                       \
    "ldm sp, {r0, " END_0 ", r5} \n"                                                              \
    ROUND_ONE("r7", "r11", shift) ROUND_ONE("r8", "r12", shift)                                   \
    ROUND_ONE("r9", "lr", shift) ROUND_ONE("r6", "r10", shift) STORE(END_0, "r5")

/* Ends with multiplier, addend, shift of c1, bias of c0, the same three of c0: tr_output. */
#define TWICE_C1(a) "asr " a ", " a ", #7 \n"
#define TWICE_C0(a) "add " a ", r5, " a ", lsl #1 \n"
#define ROUND_TWICE(a, m, k, e)                                                                   \
    "smmlar r5, " a ", " m ", " k " \n add r5, r5, " a ", asr #31 \n"                              \
    "asr r5, r5, " e "              \n ssat " a ", #8, r5         \n"
#define END_ANY                                                                                   \
    END_LOADS PART_C1                                                                             \
    TWICE_C1("r10") TWICE_C1("r11") TWICE_C1("r12") TWICE_C1("lr")                                \
    ROUND_TWICE("r10", END_0, END_1, END_2) ROUND_TWICE("r11", END_0, END_1, END_2)               \
    ROUND_TWICE("r12", END_0, END_1, END_2) ROUND_TWICE("lr", END_0, END_1, END_2)                \
    "ldr r5, [r1], #4 \n"                                                                         \
    TWICE_C0("r6") TWICE_C0("r7") TWICE_C0("r8") TWICE_C0("r9") END_MORE                          \
    ROUND_TWICE("r6", MORE_0, MORE_1, MORE_2) ROUND_TWICE("r7", MORE_0, MORE_1, MORE_2)           \
    ROUND_TWICE("r8", MORE_0, MORE_1, MORE_2) ROUND_TWICE("r9", MORE_0, MORE_1, MORE_2)           \
    "ldm sp, {r0, r2, r3} \n" STORE("r2", "r3")

#define TR_NAKED __attribute__((naked, noinline))
#define TR_ARGUMENTS                                                                              \
    __attribute__((unused)) const tr_word *x, __attribute__((unused)) const int32_t *pairs,        \
        __attribute__((unused)) int8_t *out, __attribute__((unused)) const tr_slots *slots

TR_NAKED void tr_tile_12(TR_ARGUMENTS)
{
    __asm__ volatile(TILE(END_ONE("12")));
}

TR_NAKED void tr_tile_9(TR_ARGUMENTS)
{
    __asm__ volatile(TILE(END_ONE("9")));
}

TR_NAKED void tr_tile_15(TR_ARGUMENTS)
{
    __asm__ volatile(TILE(END_ONE("15")));
}

TR_NAKED void tr_tile_any(TR_ARGUMENTS)
{
    __asm__ volatile(TILE(END_ANY));
}

/* r0 to r3: arguments; r4 to r7: words of the four pixels, then their odd bytes; r8 to r11: even;
 * r12: pixel_bytes behind the first, lr: behind the second pixel, in r1 of the third. */
TR_NAKED void tr_widen4(__attribute__((unused)) const int8_t *from,
                         __attribute__((unused)) int32_t pixel_bytes,
                         __attribute__((unused)) int32_t groups, __attribute__((unused)) tr_word *x)
{
    __asm__ volatile(".syntax unified           \n"
                     "push {r4-r11, lr}         \n"
                     "add r12, r0, r1           \n"
                     "add lr, r12, r1           \n"
                     "add r1, lr, r1            \n"
                     "1:                        \n"
                     "ldr r4, [r0], #4          \n"
                     "ldr r5, [r12], #4         \n"
                     "ldr r6, [lr], #4          \n"
                     "ldr r7, [r1], #4          \n"
                     "sxtb16 r8, r4             \n"
                     "sxtb16 r9, r5             \n"
                     "sxtb16 r10, r6            \n"
                     "sxtb16 r11, r7            \n"
                     "sxtb16 r4, r4, ror #8     \n"
                     "sxtb16 r5, r5, ror #8     \n"
                     "sxtb16 r6, r6, ror #8     \n"
                     "sxtb16 r7, r7, ror #8     \n"
                     "subs r2, r2, #1           \n"
                     "stm r3!, {r8-r11}         \n"
                     "stm r3!, {r4-r7}          \n"
                     "bne 1b                    \n"
                     "pop {r4-r11, pc}          \n");
}

#else

typedef struct {
    int32_t c0[4], c1[4]; /* of four pixels */
} tr_sums;

/* c0 as it is, c1 times 256, with the bias at the front of `pairs`. */
TR_INLINE tr_sums tr_sum_up(const tr_word *x, const int32_t *pairs, int32_t steps)
{
    tr_sums sums;
    for (int32_t p = 0; p < 4; p++) {
        int32_t low = 0, both = pairs[0];
        for (int32_t i = 0; i < steps; i++) {
            both = tr_dot2(x[4 * i + p], pairs[1 + i], both);
            low = tr_dot2(x[4 * i + p], tr_even(pairs[1 + i]), low);
        }
        sums.c0[p] = low;
        sums.c1[p] = (int32_t)((uint32_t)both - (uint32_t)low);
    }
    return sums;
}

TR_INLINE void tr_put(int8_t *out, int32_t c0, int32_t c1)
{
    out[0] = (int8_t)c0;
    out[1] = (int8_t)c1;
}

TR_INLINE void tr_store(const tr_sums *y, const tr_slots *slots, int8_t *out)
{
    tr_put(out + slots->stride, y->c0[1], y->c1[1]);
    tr_put(out + 2 * slots->stride, y->c0[2], y->c1[2]);
    tr_put(out + slots->last, y->c0[3], y->c1[3]);
    tr_put(out, y->c0[0], y->c1[0]);
}

TR_INLINE int32_t tr_high(int32_t value, int32_t factor)
{
    return (int32_t)(((int64_t)value * factor) >> 32);
}

TR_INLINE int32_t tr_round_one(int32_t value, int32_t factor, int32_t shift)
{
    return tr_saturate8(tr_high(value, factor) >> shift);
}

TR_INLINE void tr_tile_one(const tr_word *x, const int32_t *pairs, int8_t *out,
                           const tr_slots *slots, int32_t shift)
{
    int32_t steps = 2 * slots->groups;
    for (; *pairs != TR_END; pairs += 4 + steps, out += 2) {
        const int32_t *end = pairs + 1 + steps;
        tr_sums y = tr_sum_up(x, pairs, steps);
        for (int32_t p = 0; p < 4; p++) {
            int32_t c0 = (int32_t)(((uint32_t)y.c0[p] << 8) + (uint32_t)end[0]);
            y.c0[p] = tr_round_one(c0, end[1], shift);
            y.c1[p] = tr_round_one(y.c1[p], end[2], shift);
        }
        tr_store(&y, slots, out);
    }
}

void tr_tile_12(const tr_word *x, const int32_t *pairs, int8_t *out, const tr_slots *slots)
{
    tr_tile_one(x, pairs, out, slots, 12);
}

void tr_tile_9(const tr_word *x, const int32_t *pairs, int8_t *out, const tr_slots *slots)
{
    tr_tile_one(x, pairs, out, slots, 9);
}

void tr_tile_15(const tr_word *x, const int32_t *pairs, int8_t *out, const tr_slots *slots)
{
    tr_tile_one(x, pairs, out, slots, 15);
}

/* As tr_output in scale.h, of twice the sum. */
TR_INLINE int32_t tr_round_twice(int32_t twice, const int32_t *end)
{
    return tr_saturate8((tr_high_mla(twice, end[0], end[1]) + (twice >> 31)) >> end[2]);
}

void tr_tile_any(const tr_word *x, const int32_t *pairs, int8_t *out, const tr_slots *slots)
{
    int32_t steps = 2 * slots->groups;
    for (; *pairs != TR_END; pairs += 8 + steps, out += 2) {
        const int32_t *end = pairs + 1 + steps;
        tr_sums y = tr_sum_up(x, pairs, steps);
        for (int32_t p = 0; p < 4; p++) {
            int32_t c0 = (int32_t)(((uint32_t)y.c0[p] << 1) + (uint32_t)end[3]);
            y.c0[p] = tr_round_twice(c0, end + 4);
            y.c1[p] = tr_round_twice(y.c1[p] >> 7, end);
        }
        tr_store(&y, slots, out);
    }
}

void tr_widen4(const int8_t *from, int32_t pixel_bytes, int32_t groups, tr_word *x)
{
    for (int32_t p = 0; p < 4; p++)
        tr_widen(from + p * pixel_bytes, groups, x + p);
}

#endif
