/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles of four pixels by two channels: assembly for cores with the DSP extension, since compilers
 * spill the accumulators, and the same algorithm in C for all others.
 *
 * One source has two schedules. Cortex-M4 wants loads together, in as few instructions as can be;
 * Cortex-M7 issues a load beside each product and wants them apart.
 */
#include "tile.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* r0: x; r1: pairs; r2, r3: pairs of inputs; r4: a weight word, r5: its low bytes
 * r6 to r9: sums of c0 of the four pixels; r10, r11, r12, lr: those of 256 * c1 + c0
 * sp + 0: out, 4: stride, 8: last, 12: x, 16: its end, 20: groups of a last round,
 * or where they begin */

#if TR_CORTEX_M7

/* A step is eight cycles, a product in each and a load or a widening beside most of them; a load
 * is used two cycles later. What a step needs first was loaded by the one before it: r4 the weights,
 * r2 and r3 two pixels. */
#define FIRST_LOADS "ldr r4, [r1], #4 \n ldr r2, [r0] \n ldr r3, [r0, #4] \n"
#define STEP(at, next, behind)                                                                    \
    "sxtb16 r5, r4         \n smlad r10, r2, r4, r10 \n"                                          \
    "smlad r11, r3, r4, r11 \n"                                                                   \
    "smlad r6, r2, r5, r6   \n ldr r2, [r0, #" at " + 8]  \n"                                      \
    "smlad r7, r3, r5, r7   \n ldr r3, [r0, #" at " + 12] \n"                                      \
    "smlad r12, r2, r4, r12 \n"                                                                   \
    "smlad lr, r3, r4, lr   \n ldr r4, [r1], #4           \n"                                      \
    "smlad r8, r2, r5, r8   \n ldr r2, [r0, #" next "     \n"                                      \
    "smlad r9, r3, r5, r9   \n ldr r3, [r0, #" behind "]  \n"
/* The first step of all: no sums yet, the bias of c1 in lr. */
#define FIRST_STEP                                                                                \
    "sxtb16 r5, r4         \n smlad r10, r2, r4, lr \n"                                           \
    "smlad r11, r3, r4, lr  \n"                                                                   \
    "smuad r6, r2, r5       \n ldr r2, [r0, #8]           \n"                                      \
    "smuad r7, r3, r5       \n ldr r3, [r0, #12]          \n"                                      \
    "smlad r12, r2, r4, lr  \n"                                                                   \
    "smlad lr, r3, r4, lr   \n ldr r4, [r1], #4           \n"                                      \
    "smuad r8, r2, r5       \n ldr r2, [r0, #16]          \n"                                      \
    "smuad r9, r3, r5       \n ldr r3, [r0, #20]          \n"
#define LAST_STEP STEP("16", "32]!", "4")
#define FIRST_GROUP FIRST_STEP LAST_STEP
#define GROUP STEP("0", "16]", "20") LAST_STEP
/* Groups of a last round first, by the bits of their number: a jump that nobody foresees is dear. */
#define PLACE "and r5, r5, #3 \n str r5, [sp, #20] \n"
#define ROUNDS                                                                                    \
    "ldr r5, [sp, #20]      \n lsls r5, r5, #31           \n"                                      \
    "bpl.w 2f               \n" GROUP "2: bcc.w 3f \n" GROUP GROUP                                \
    "3: b.w 5f              \n 4:          \n" GROUP GROUP GROUP GROUP "5: \n"

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

/* A load behind another, which does not make its address, is one cycle, one alone two: three words
 * come in four cycles, by two pointers, and the two pixels behind them in three. */
#define FIRST_LOADS ""
#define LOADS                                                                                     \
    "ldr r4, [r1], #4       \n ldr r3, [r0, #4]       \n ldr r2, [r0], #16       \n"               \
    "sxtb16 r5, r4          \n"
#define STEP                                                                                      \
    LOADS                                                                                         \
    "smlad r10, r2, r4, r10 \n smlad r11, r3, r4, r11 \n"                                         \
    "smlad r6, r2, r5, r6   \n smlad r7, r3, r5, r7   \n"                                         \
    "ldrd r2, r3, [r0, #-8] \n"                                                                   \
    "smlad r12, r2, r4, r12 \n smlad lr, r3, r4, lr   \n"                                         \
    "smlad r8, r2, r5, r8   \n smlad r9, r3, r5, r9   \n"
#define FIRST_STEP                                                                                \
    LOADS                                                                                         \
    "smlad r10, r2, r4, lr  \n smlad r11, r3, r4, lr  \n"                                         \
    "smuad r6, r2, r5       \n smuad r7, r3, r5       \n"                                         \
    "ldrd r2, r3, [r0, #-8] \n"                                                                   \
    "smlad r12, r2, r4, lr  \n smlad lr, r3, r4, lr   \n"                                         \
    "smuad r8, r2, r5       \n smuad r9, r3, r5       \n"
#define FIRST_GROUP FIRST_STEP STEP
#define GROUP STEP STEP
/* Rounds of eight groups, entered so late that they end with the last. */
#define PLACE                                                                                     \
    "and r5, r5, #7    @ groups of a last round \n"                                               \
    "adr.w r6, 5f      \n adr.w r7, 3f      \n subs r7, r6, r7    @ bytes of a group \n"           \
    "mls r6, r5, r7, r6 \n orr r6, r6, #1    \n str r6, [sp, #20]  \n"
#define ROUNDS                                                                                    \
    "ldr pc, [sp, #20] \n 4: \n" GROUP GROUP GROUP GROUP GROUP GROUP GROUP "3: \n" GROUP "5: \n"
#define END_LOADS "ldm r1!, {r2, r3, r4} \n"
#define END_0 "r2"
#define END_1 "r3"
#define END_2 "r4"
#define END_MORE END_LOADS
#define MORE_0 "r2"
#define MORE_1 "r3"
#define MORE_2 "r4"

#endif

/* Sums: groups of four inputs, the first apart, then rounds of them and what is left of a round. All
 * groups are of one length in bytes. */
#define TILE(end)                                                                                 \
    ".syntax unified                                    \n"                                       \
    "push {r4-r11, lr}                                  \n"                                       \
    "sub sp, sp, #24                                    \n"                                       \
    "ldm r3, {r3, r4, r5}       @ stride, last, groups  \n"                                       \
    "stm sp, {r2, r3, r4}                               \n"                                       \
    "add r6, r0, r5, lsl #5                             \n"                                       \
    "strd r0, r6, [sp, #12]                             \n"                                       \
    "sub r5, r5, #1                                     \n"                                       \
    PLACE                                                                                         \
    "ldr lr, [r1], #4                                   \n"                                       \
    "1:                         @ two channels           \n" FIRST_LOADS FIRST_GROUP ROUNDS       \
    "ldr r5, [sp, #16]                                  \n"                                       \
    "cmp r0, r5                                         \n"                                       \
    "bne.w 4b                                           \n" end                                   \
    "str r0, [sp]                                       \n"                                       \
    "ldr lr, [r1], #4                                   \n"                                       \
    "ldr r0, [sp, #12]                                  \n"                                       \
    "cmp lr, #0x80000000                                \n"                                       \
    "bne.w 1b                                           \n"                                       \
    "add sp, sp, #24                                    \n"                                       \
    "pop {r4-r11, pc}                                   \n"

#include "tile_end.h"

/* Ends with multiplier, addend, shift of c1, bias of c0, the same three of c0: tr_output. */
#define TWICE_C1(c0, c1) "sub " c1 ", " c1 ", " c0 " \n asr " c1 ", " c1 ", #7 \n"
#define TWICE_C0(c0) "add " c0 ", r5, " c0 ", lsl #1 \n"
#define ROUND_TWICE(a, b, m, k, e)                                                                \
    "smmlar r5, " a ", " m ", " k " \n smmlar r0, " b ", " m ", " k " \n"                          \
    "add r5, r5, " a ", asr #31     \n add r0, r0, " b ", asr #31     \n"                          \
    "asr r5, r5, " e "              \n asr r0, r0, " e "              \n"                          \
    "ssat " a ", #8, r5             \n ssat " b ", #8, r0             \n"
#define END_ANY                                                                                   \
    END_LOADS TWICE_C1("r6", "r10") TWICE_C1("r7", "r11")                                         \
    TWICE_C1("r8", "r12") TWICE_C1("r9", "lr")                                                    \
    ROUND_TWICE("r10", "r11", END_0, END_1, END_2) ROUND_TWICE("r12", "lr", END_0, END_1, END_2)  \
    "ldr r5, [r1], #4 \n" END_MORE                                                                \
    TWICE_C0("r6") TWICE_C0("r7") TWICE_C0("r8") TWICE_C0("r9")                                   \
    ROUND_TWICE("r6", "r7", MORE_0, MORE_1, MORE_2) ROUND_TWICE("r8", "r9", MORE_0, MORE_1, MORE_2) \
    "ldm sp, {r0, r2, r3} \n" STORE("r2", "r3")

#define TR_NAKED __attribute__((naked, noinline, aligned(4)))
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

/* r0, r12, lr, r1: where the four pixels are; r2: words left in a row; r3: x
 * r4 to r7: words of the pixels, then their odd bytes; r8 to r11: even bytes
 * sp + 0: words of a row, 40: rows left, 44: skip */
TR_NAKED void tr_widen4(__attribute__((unused)) const int8_t *from,
                        __attribute__((unused)) int32_t step, __attribute__((unused)) int32_t words,
                        __attribute__((unused)) tr_word *x, __attribute__((unused)) int32_t rows,
                        __attribute__((unused)) int32_t skip)
{
    __asm__ volatile(".syntax unified           \n"
                     "push {r4-r11, lr}         \n"
                     "str r2, [sp, #-4]!        \n"
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
                     "ldrd r4, r5, [sp, #40]    \n"
                     "ldr r2, [sp]              \n"
                     "add r0, r0, r5            \n"
                     "add r12, r12, r5          \n"
                     "add lr, lr, r5            \n"
                     "add r1, r1, r5            \n"
                     "subs r4, r4, #1           \n"
                     "str r4, [sp, #40]         \n"
                     "bne 1b                    \n"
                     "add sp, sp, #4            \n"
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

void tr_widen4(const int8_t *from, int32_t step, int32_t words, tr_word *x, int32_t rows,
               int32_t skip)
{
    for (int32_t y = 0; y < rows; y++, from += 4 * words + skip, x += TR_GROUP_WORDS * words)
        for (int32_t p = 0; p < 4; p++)
            tr_widen(from + p * step, words, x + p);
}

#endif
