/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected, six output channels at a time, then two: assembly for cores with the DSP
 * extension, and the same in C for all others.
 *
 * Each weight is used once, so that they are one stream of words in the order in which they are
 * read, for each six channels and then for each two that are left, c0 and c1 being such a two:
 *     of each two the bias of c1, with eight bits below the last of a sum
 *     for each group of four inputs, of each two the inputs 0 and 2, then 1 and 3: words of two
 *     halves as in tile.h
 *     how they end, in one shift: of each two the bias of c0, then of each the factors of c0 and c1
 *     or in general: of each two multiplier, addend, shift of c1, bias of c0, the same three of c0
 * Groups are of an even number, inputs that there are not have weights of 0.
 */
#include "scale.h"

#define TR_SIX 3 /* twos */
#define TR_GENERAL 0

typedef struct {
    int32_t c0, c1; /* sums; that of c1 with eight bits below its last, bias included */
} tr_two;

TR_INLINE int8_t tr_end_one(int32_t value, int32_t factor, int32_t shift)
{
    return (int8_t)tr_saturate8((int32_t)(((int64_t)value * factor) >> 32) >> shift);
}

/* As tr_output in scale.h, of twice the sum. */
TR_INLINE int8_t tr_end_any(int32_t twice, const int32_t *end)
{
    return (int8_t)tr_saturate8((tr_high_mla(twice, end[0], end[1]) + (twice >> 31)) >> end[2]);
}

/* The two number `which` of `count`; end: the words behind the weights. */
TR_INLINE void tr_end_two(const tr_dense *op, tr_two sums, const int32_t *end, int32_t which,
                          int32_t count, int8_t *out)
{
    uint32_t c0 = (uint32_t)sums.c0;
    if (op->shift == TR_GENERAL) {
        end += 7 * which;
        out[0] = tr_end_any((int32_t)((c0 << 1) + (uint32_t)end[3]), end + 4);
        out[1] = tr_end_any(sums.c1 >> 7, end);
    } else {
        const int32_t *factors = end + count + 2 * which;
        out[0] = tr_end_one((int32_t)((c0 << 8) + (uint32_t)end[which]), factors[0], op->shift);
        out[1] = tr_end_one(sums.c1, factors[1], op->shift);
    }
}

TR_INLINE int32_t tr_end_words(const tr_dense *op)
{
    return op->shift == TR_GENERAL ? 7 : 3;
}

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* r0: x; r1: stream; r2 to r5: weights, those of one two in r2 and r3, or r4 and r5
 * r6, r7: pairs of inputs, on an M4 the odd ones in r6
 * r8 to r10: sums of 256 * c1 + c0 of three twos; r11, r12, lr: of c0
 * sp + 0: x, 4: its end, 8: where groups begin, 12: out, 16: its end */
#if TR_CORTEX_M7

/* 27 cycles, in 24 of which is a product, and beside most of them a load or a widening; a load is
 * used two cycles later. What two groups need first is loaded by those before them: r2 and r3
 * weights, r7 inputs. */
#define LOAD(word) "ldr " word ", [r1], #4 \n"
#define NEXT_X "ldr r7, [r0], #4 \n"
#define TWO(both, low, a, b, first, last)                                                         \
    "smlad " both ", r6, " a ", " both "  \n" first                                               \
    "sxtb16 " a ", " a "                  \n smlad " both ", r7, " b ", " both " \n"              \
    "sxtb16 " b ", " b "                  \n smlad " low ", r6, " a ", " low "   \n"              \
    "smlad " low ", r7, " b ", " low "    \n" last
#define GROUPS_THEN(next)                                                                         \
    "sxtb16 r6, r7           \n" LOAD("r4") "sxtb16 r7, r7, ror #8 \n"                            \
    TWO("r8", "r11", "r2", "r3", "", LOAD("r5"))                                                  \
    TWO("r9", "r12", "r4", "r5", LOAD("r2"), LOAD("r3"))                                          \
    TWO("r10", "lr", "r2", "r3", LOAD("r4"), "ldr r6, [r0], #4 \n")                               \
    "sxtb16 r7, r6, ror #8   \n" LOAD("r5") "sxtb16 r6, r6         \n" LOAD("r2")                 \
    TWO("r8", "r11", "r4", "r5", LOAD("r3"), LOAD("r4"))                                          \
    TWO("r9", "r12", "r2", "r3", LOAD("r5"), LOAD("r2"))                                          \
    TWO("r10", "lr", "r4", "r5", LOAD("r3"), next)
#define GROUPS GROUPS_THEN(NEXT_X)
#define LAST_GROUPS GROUPS_THEN("nop.w \n")
#define FIRST_LOADS NEXT_X LOAD("r2") LOAD("r3")
#define AGAIN NEXT_X
#define ENDS "sub r1, r1, #8 \n"
/* Of inputs widened before: 26 cycles, two of them without a product; r6 and r7 are loaded as soon
 * as the last products with them are done, which is why a load goes below the last inputs. */
#define NEXT_EVEN "ldr r6, [r0, #-4]        \n"
#define NEXT_ODD "ldr r7, [r0, #-8]!       \n"
#define WIDE_GROUPS                                                                               \
    TWO("r8", "r11", "r2", "r3", LOAD("r4"), LOAD("r5"))                                          \
    TWO("r9", "r12", "r4", "r5", LOAD("r2"), LOAD("r3"))                                          \
    TWO("r10", "lr", "r2", "r3", LOAD("r4"), NEXT_EVEN) NEXT_ODD LOAD("r5")                       \
    TWO("r8", "r11", "r4", "r5", LOAD("r2"), LOAD("r3"))                                          \
    TWO("r9", "r12", "r2", "r3", LOAD("r4"), LOAD("r5"))                                          \
    TWO("r10", "lr", "r4", "r5", LOAD("r2"), NEXT_EVEN) NEXT_ODD LOAD("r3")
#define PAIRS_AT "#8" /* where the one that goes below has loaded all, r0 is 8 less */
#define WIDE_ROUND WIDE_GROUPS WIDE_GROUPS WIDE_GROUPS WIDE_GROUPS
#define WIDE_FIRST NEXT_EVEN LOAD("r2") NEXT_ODD LOAD("r3")

#else

#define TWO(both, low, a, b)                                                                      \
    "smlad " both ", r7, " a ", " both " \n smlad " both ", r6, " b ", " both " \n"               \
    "sxtb16 " a ", " a "                 \n sxtb16 " b ", " b "                 \n"               \
    "smlad " low ", r7, " a ", " low "   \n smlad " low ", r6, " b ", " low "   \n"
#define GROUPS                                                                                    \
    "ldr r7, [r0], #4        \n ldm r1!, {r2-r5} \n"                                              \
    "sxtb16 r6, r7, ror #8   \n sxtb16 r7, r7 \n"                                                 \
    TWO("r8", "r11", "r2", "r3") TWO("r9", "r12", "r4", "r5")                                     \
    "ldm r1!, {r2-r5}        \n"                                                                  \
    TWO("r10", "lr", "r2", "r3")                                                                  \
    "ldr r7, [r0], #4        \n"                                                                  \
    "sxtb16 r6, r7, ror #8   \n sxtb16 r7, r7 \n"                                                 \
    TWO("r8", "r11", "r4", "r5")                                                                  \
    "ldm r1!, {r2-r5}        \n"                                                                  \
    TWO("r9", "r12", "r2", "r3") TWO("r10", "lr", "r4", "r5")
#define LAST_GROUPS GROUPS
#define FIRST_LOADS ""
#define AGAIN ""
#define ENDS ""
/* Of inputs widened before: 41 instructions and 57 cycles for 48 products, then 46 and 56. Six
 * loads that are neighbours, none of which makes an address of another, take 7 cycles, and as
 * multiples 8, but then they are four instructions fewer. */
#define PAIRS "ldmdb r0!, {r6, r7}      \n"
#define SHORT_GROUPS                                                                              \
    WIDE_GROUPS_BY(PAIRS "ldm r1!, {r2-r5} \n", PAIRS)
#define QUICK_GROUPS                                                                              \
    WIDE_GROUPS_BY("ldr r7, [r0, #-4]       \n ldr r6, [r0, #-8] \n ldr r3, [r1, #4] \n"          \
                   "ldr r4, [r1, #8]        \n ldr r5, [r1, #12] \n ldr r2, [r1], #16 \n",        \
                   "ldr r7, [r0, #-12]      \n ldr r6, [r0, #-16]! \n")
#define WIDE_ROUND SHORT_GROUPS QUICK_GROUPS SHORT_GROUPS QUICK_GROUPS
#define WIDE_GROUPS_BY(first, second)                                                             \
    first                                                                                         \
    TWO("r8", "r11", "r2", "r3") TWO("r9", "r12", "r4", "r5")                                     \
    "ldm r1!, {r2-r5}        \n" TWO("r10", "lr", "r2", "r3")                                     \
    second TWO("r8", "r11", "r4", "r5")                                                           \
    "ldm r1!, {r2-r5}        \n" TWO("r9", "r12", "r2", "r3") TWO("r10", "lr", "r4", "r5")
#define WIDE_FIRST ""
#define PAIRS_AT "#0"

#endif

/* Six outputs, and x anew; the arguments are places on the stack. */
#define SIX_OUT(out, end, x)                                                                      \
    "ldr r2, [sp, " out "]   \n ldr r3, [sp, " end "] \n ldr r0, [sp, " x "] \n"                  \
    "bfi r11, r8, #8, #8     \n"                                                                  \
    "bfi r12, r9, #8, #8     \n"                                                                  \
    "bfi lr, r10, #8, #8     \n"                                                                  \
    "strh r11, [r2], #2      \n"                                                                  \
    "strh r12, [r2], #2      \n"                                                                  \
    "strh lr, [r2], #2       \n"                                                                  \
    "str r2, [sp, " out "]   \n"                                                                  \
    "cmp r2, r3              \n"                                                                  \
    "bne.w 1b                \n"                                                                  \
    "mov r0, r1              \n"

/* Rounds of eight groups, the first entered so late that the last ends with the inputs; two groups
 * are of one length in bytes. r3: op, of which `inputs` and `sixes` come first. */
#define SIXES(ends)                                                                               \
    ".syntax unified         \n"                                                                  \
    "push {r4-r11, lr}       \n"                                                                  \
    "sub sp, sp, #20         \n"                                                                  \
    "ldm r3, {r4, r5}        @ inputs, sixes     \n"                                              \
    "add r6, r5, r5, lsl #1  \n"                                                                  \
    "add r6, r2, r6, lsl #1  @ six outputs each  \n"                                              \
    "strd r2, r6, [sp, #12]  \n"                                                                  \
    "add r4, r4, #7          \n"                                                                  \
    "lsr r4, r4, #3          @ two groups each   \n"                                              \
    "add r6, r0, r4, lsl #3  \n"                                                                  \
    "strd r0, r6, [sp]       \n"                                                                  \
    "adr.w r6, 4f            \n"                                                                  \
    "adr.w r7, 5f            \n"                                                                  \
    "subs r7, r7, r6         \n"                                                                  \
    "sub r4, r4, #1          \n"                                                                  \
    "and r4, r4, #3          \n"                                                                  \
    "mls r6, r4, r7, r6      \n"                                                                  \
    "orr r6, r6, #1          \n"                                                                  \
    "str r6, [sp, #8]        \n"                                                                  \
    "1:                      @ six channels      \n"                                              \
    "ldm r1!, {r8, r9, r10}  \n"                                                                  \
    "mov r11, #0             \n"                                                                  \
    "mov r12, #0             \n"                                                                  \
    "mov lr, #0              \n" FIRST_LOADS                                                      \
    "ldr pc, [sp, #8]        \n"                                                                  \
    ".balign 4               \n"                                                                  \
    "3:                      \n" AGAIN GROUPS GROUPS GROUPS "4: \n" LAST_GROUPS "5: \n"           \
    "ldr r4, [sp, #4]        \n"                                                                  \
    "cmp r0, r4              \n"                                                                  \
    "bne.w 3b                \n" ENDS ends                                                        \
    SIX_OUT("#12", "#16", "#0") "add sp, sp, #20 \n pop {r4-r11, pc} \n"

/* Rounds as above, all of them whole, of at most 128 inputs, which are first widened: the first on
 * top, each group's odd pair below its even one. sp + PAIRS_AT: pairs, 264: behind the first,
 * 268: out, 272: its end. At the end of the inputs r0 is sp. */
#define WIDE_SIXES(ends)                                                                          \
    ".syntax unified         \n"                                                                  \
    "push {r4-r11, lr}       \n"                                                                  \
    "sub sp, sp, #276        \n"                                                                  \
    "ldm r3, {r4, r5}        @ inputs, sixes     \n"                                              \
    "add r6, r5, r5, lsl #1  \n"                                                                  \
    "add r6, r2, r6, lsl #1  @ six outputs each  \n"                                              \
    "strd r2, r6, [sp, #268] \n"                                                                  \
    "add r3, sp, " PAIRS_AT "\n"                                                                  \
    "add r2, r3, r4, lsl #1  \n"                                                                  \
    "str r2, [sp, #264]      \n"                                                                  \
    ".balign 4               \n"                                                                  \
    "2:                      @ four groups       \n"                                              \
    "ldr r11, [r0], #4       \n ldr r9, [r0], #4 \n"                                              \
    "ldr r7, [r0], #4        \n ldr r5, [r0], #4 \n"                                              \
    WIDEN("r10", "r11") WIDEN("r8", "r9") WIDEN("r6", "r7") WIDEN("r4", "r5")                     \
    "stmdb r2!, {r4-r11}     \n"                                                                  \
    "cmp r2, r3              \n"                                                                  \
    "bne 2b                  \n"                                                                  \
    "ldr r0, [sp, #264]      \n"                                                                  \
    ".balign 4               @ and so is 3       \n"                                              \
    "1:                      @ six channels      \n"                                              \
    "ldm r1!, {r8, r9, r10}  \n"                                                                  \
    "mov r11, #0             \n"                                                                  \
    "mov r12, #0             \n"                                                                  \
    "mov lr, #0              \n" WIDE_FIRST                                                       \
    "3:                      \n" WIDE_ROUND                                                       \
    "cmp sp, r0              \n"                                                                  \
    "bne.w 3b                \n" ENDS ends                                                        \
    SIX_OUT("#268", "#272", "#264") "add sp, sp, #276 \n pop {r4-r11, pc} \n"
#define WIDEN(odd, even)                                                                          \
    "sxtb16 " odd ", " even ", ror #8 \n sxtb16 " even ", " even " \n"

#define SAT(a, shift) "ssat " a ", #8, " a ", asr #" shift " \n"
#define ONE(shift)                                                                                \
    "ldm r1!, {r2, r3, r4}    @ biases of c0     \n"                                              \
    "sub r8, r8, r11          \n sub r9, r9, r12           \n sub r10, r10, lr      \n"           \
    "add r11, r2, r11, lsl #8 \n add r12, r3, r12, lsl #8  \n add lr, r4, lr, lsl #8 \n"          \
    "ldm r1!, {r2-r7}         @ factors of each two \n"                                           \
    "smmul r8, r8, r3         \n smmul r11, r11, r2        \n smmul r9, r9, r5      \n"           \
    SAT("r8", shift) "smmul r12, r12, r4 \n" SAT("r11", shift) "smmul r10, r10, r7 \n"            \
    SAT("r9", shift) "smmul lr, lr, r6   \n" SAT("r12", shift)                                    \
    SAT("r10", shift) SAT("lr", shift)
#define ANY_TWO(both, low)                                                                        \
    "ldm r1!, {r0, r2-r7}                \n"                                                      \
    "sub " both ", " both ", " low "     \n asr " both ", " both ", #7        \n"                 \
    "add " low ", r4, " low ", lsl #1    \n"                                                      \
    "smmlar r0, " both ", r0, r2         \n smmlar r4, " low ", r5, r6        \n"                 \
    "add r0, r0, " both ", asr #31       \n add r4, r4, " low ", asr #31      \n"                 \
    "asr r0, r0, r3                      \n asr r4, r4, r7                    \n"                 \
    "ssat " both ", #8, r0               \n ssat " low ", #8, r4              \n"
#define ANY ANY_TWO("r8", "r11") ANY_TWO("r9", "r12") ANY_TWO("r10", "lr")

/* The sums of one two: 22 instructions for 16 products, 3 for the loop; loads as above. */
#define GROUP(x)                                                                                  \
    "ldr %[even], [%[x], #" x "] \n"                                                              \
    "ldr %[w1], [%[words], #4] \n ldr %[w0], [%[words]], #8 \n"                                   \
    "sxtb16 %[odd], %[even], ror #8 \n sxtb16 %[even], %[even] \n"                                \
    "smlad %[both], %[even], %[w0], %[both] \n sxtb16 %[w0], %[w0] \n"                            \
    "smlad %[both], %[odd], %[w1], %[both] \n sxtb16 %[w1], %[w1] \n"                             \
    "smlad %[low], %[even], %[w0], %[low] \n smlad %[low], %[odd], %[w1], %[low] \n"

static tr_two tr_last_two(const tr_dense *op, const int8_t *x, const int32_t *stream)
{
    const int8_t *end = x + (op->inputs + 7) / 8 * 8;
    const int32_t *words = stream + 1;
    int32_t low = 0, both = *stream, even, odd, w0, w1;
    __asm__ volatile(".syntax unified \n"
                     ".balign 4 \n"
                     "1: \n" GROUP("0") GROUP("4")
                     "add %[x], %[x], #8 \n"
                     "cmp %[x], %[end] \n"
                     "bne 1b \n"
                     : [x] "+&r"(x), [words] "+&r"(words), [both] "+&r"(both), [low] "+&r"(low),
                       [even] "=&r"(even), [odd] "=&r"(odd), [w0] "=&r"(w0), [w1] "=&r"(w1)
                     : [end] "r"(end)
                     : "cc", "memory");
    tr_two sums = {low, (int32_t)((uint32_t)both - (uint32_t)low)};
    return sums;
}

#define TR_NAKED __attribute__((naked, noinline, aligned(4)))
#define TR_ARGUMENTS                                                                              \
    __attribute__((unused)) const int8_t *x, __attribute__((unused)) const int32_t *stream,       \
        __attribute__((unused)) int8_t *out, __attribute__((unused)) const tr_dense *op

#define TR_SIXES(name, code)                                                                      \
    TR_NAKED const int32_t *name(TR_ARGUMENTS)                                                    \
    {                                                                                             \
        __asm__ volatile(code);                                                                   \
    }
TR_SIXES(tr_sixes_9, SIXES(ONE("9")))
TR_SIXES(tr_sixes_12, SIXES(ONE("12")))
TR_SIXES(tr_sixes_15, SIXES(ONE("15")))
TR_SIXES(tr_sixes_any, SIXES(ANY))
TR_SIXES(tr_sixes_wide_9, WIDE_SIXES(ONE("9")))
TR_SIXES(tr_sixes_wide_12, WIDE_SIXES(ONE("12")))
TR_SIXES(tr_sixes_wide_15, WIDE_SIXES(ONE("15")))
TR_SIXES(tr_sixes_wide_any, WIDE_SIXES(ANY))

#else

/* A group of inputs, of which there are `left`. */
TR_INLINE int32_t tr_group(const int8_t *x, int32_t left)
{
    if (left >= 4)
        return tr_load4(x);
    return tr_pack4(x[0], left > 1 ? x[1] : 0, left > 2 ? x[2] : 0, 0);
}

/* Of the two number `which` of `count`. */
TR_INLINE tr_two tr_sum_two(const tr_dense *op, const int8_t *x, const int32_t *stream,
                            int32_t which, int32_t count)
{
    const int32_t *words = stream + count + 2 * which;
    int32_t low = 0, both = stream[which];
    for (int32_t left = op->inputs; left > 0; left -= 4, x += 4, words += 2 * count) {
        int32_t word = tr_group(x, left), even = tr_even(word), odd = tr_odd(word);
        both = tr_dot2(even, words[0], both);
        low = tr_dot2(even, tr_even(words[0]), low);
        both = tr_dot2(odd, words[1], both);
        low = tr_dot2(odd, tr_even(words[1]), low);
    }
    tr_two sums = {low, (int32_t)((uint32_t)both - (uint32_t)low)};
    return sums;
}

static tr_two tr_last_two(const tr_dense *op, const int8_t *x, const int32_t *stream)
{
    return tr_sum_two(op, x, stream, 0, 1);
}

static const int32_t *tr_sixes(const int8_t *x, const int32_t *stream, int8_t *out,
                               const tr_dense *op)
{
    int32_t groups = (op->inputs + 7) / 8 * 2;
    for (int32_t six = 0; six < op->sixes; six++, out += 2 * TR_SIX) {
        const int32_t *end = stream + TR_SIX + 2 * TR_SIX * groups;
        for (int32_t i = 0; i < TR_SIX; i++)
            tr_end_two(op, tr_sum_two(op, x, stream, i, TR_SIX), end, i, TR_SIX, out + 2 * i);
        stream = end + TR_SIX * tr_end_words(op);
    }
    return stream;
}

#define TR_SIXES(name)                                                                            \
    const int32_t *name(const int8_t *x, const int32_t *stream, int8_t *out, const tr_dense *op)  \
    {                                                                                             \
        return tr_sixes(x, stream, out, op);                                                      \
    }
TR_SIXES(tr_sixes_9)
TR_SIXES(tr_sixes_12)
TR_SIXES(tr_sixes_15)
TR_SIXES(tr_sixes_any)
TR_SIXES(tr_sixes_wide_9)
TR_SIXES(tr_sixes_wide_12)
TR_SIXES(tr_sixes_wide_15)
TR_SIXES(tr_sixes_wide_any)

#endif

static void tr_whole_groups(const tr_dense *op, const int8_t *in, int8_t *out)
{
    const int32_t *stream = op->stream;
    int32_t at = 6 * op->sixes, groups = (op->inputs + 7) / 8 * 2;
    if (op->sixes > 0)
        stream = op->run(in, stream, out, op);
    for (; at < op->outputs; at += 2) {
        const int32_t *end = stream + 1 + 2 * groups;
        int32_t to = at + 1 < op->outputs ? at : op->outputs - 2; /* the last is done twice */
        tr_end_two(op, tr_last_two(op, in, stream), end, 0, 1, out + to);
        stream = end + tr_end_words(op);
    }
    tr_clamp(out, op->outputs, op->clamp_min, op->clamp_max);
}

#define TR_MOST_FILLED 256 /* dense.MOST_FILLED */

/* Inputs of an odd number of groups, copied so that nothing behind them is read. */
TR_NO_LIBRARY static __attribute__((noinline)) void tr_filled(const tr_dense *op, const int8_t *in,
                                                              int8_t *out)
{
    __attribute__((aligned(4))) int8_t x[TR_MOST_FILLED];
    for (int32_t i = 0; i < op->inputs; i++) /* weights of what follows are 0 */
        x[i] = in[i];
    tr_whole_groups(op, x, out);
}

/* Scratch: none. Of the stack, about 360 bytes at most. */
void tr_fully_connected(const tr_dense *op, const int8_t *in, int8_t *out)
{
    if ((op->inputs + 3) / 4 % 2 != 0)
        tr_filled(op, in, out);
    else
        tr_whole_groups(op, in, out);
}
