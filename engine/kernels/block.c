/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise kernels 5x5 and 7x7, a block of outputs of a row at a time: six of 5x5, four of 7x7.
 * Assembly for cores with the DSP extension, and the same algorithm in C for all others.
 *
 * `pairs` holds for each channel its bias, its factor, for two roundings an addend and a shift, and
 * then a word for each pair of rows and column. With weights w[y] from top to bottom, that of pair t
 * is the bytes w[2t], w[2t - 1], w[2t + 1], w[2t], 0 where there is none: its even bytes are what an
 * even row multiplies the pair with, its odd bytes what an odd row does.
 */
#include "sweep.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* r0: columns; r1, r12: pairs of an even column and of the odd one beside it. sp:
 * 0: outputs left, 4: out, 8: right, 12: three times that, 16: factor, 20: addend, 24: shift,
 * 28: bias, 32: weights
 * 144: x, 148: pairs, 152: out, 156: evens, 160: odds, 164: odd_at, 168: channels left
 * 172: where a row begins: columns, out; 180: four times the rows left, 184: width, 188: down
 * 192: return */

/* Bytes of two columns, and, as LDRD reaches 1,020 either way, where among them r0 points. */
#define GROUP_5 "256"
#define GROUP_7 "288"
#if TR_CORTEX_M7
#define CENTRE_5 "0"
#define CENTRE_7 "0"
#else
#define CENTRE_5 "768"
#define CENTRE_7 "576"
#endif
#define AT(n, g, t, more)                                                                         \
    "[r0, #(" GROUP_##n " * " #g " + 32 * " #t " + " more " - " CENTRE_##n ")] \n"

/* Columns 2g and 2g + 1 of pair t. START: the first two; AHEAD stands before the products of column
 * 2g - 1, PAIR before those of 2g, LAST in its place where that is the last one. An M4 loads both
 * at once, an M7 each long before its products. */
#if TR_CORTEX_M7
#define START(n, t) "ldr r1, " AT(n, 0, t, "0") "ldr r12, " AT(n, 0, t, "4")
#define AHEAD(n, g, t) "ldr r1, " AT(n, g, t, "0")
#define PAIR(n, g, t) "ldr r12, " AT(n, g, t, "4")
#define LAST(n, g, t)
#else
#define START(n, t) "ldrd r1, r12, " AT(n, 0, t, "0")
#define AHEAD(n, g, t)
#define PAIR(n, g, t) "ldrd r1, r12, " AT(n, g, t, "0")
#define LAST(n, g, t) "ldr r1, " AT(n, g, t, "0")
#endif

/* A sum and a pair of weights; the last sum is the bias until it begins. */
#define M(a, x, w) "smlad " a ", " x ", " w ", " a " \n"
#define BEGIN_5(a, x, w) "smlad " a ", " x ", " w ", r7 \n"
#define BEGIN_7(a, x, w) "smlad " a ", " x ", " w ", r5 \n"
#define X "r1"
#define Y "r12"
#define A0 "r2"
#define A1 "r3"
#define A2 "r4"
#define A3 "r5"

/* 5x5: two more sums, and weights r8 to lr. A pass is the taps of a pair of rows. */
#define A4 "r6"
#define A5 "r7"
#define W0 "r8"
#define W1 "r9"
#define W2 "r10"
#define W3 "r11"
#define W4 "lr"
#define LOAD_5(t) "add lr, sp, #(32 + 20 * " #t ") \n" START(5, t) "ldm lr, {r8-r11, lr} \n"
#define PASS_5_1(first, t)                                                                        \
    LOAD_5(t) first(A0, X, W0) AHEAD(5, 1, t) first(A1, Y, W0) M(A0, Y, W1)                       \
    PAIR(5, 1, t) first(A2, X, W0) M(A0, X, W2) M(A1, X, W1)                                      \
    AHEAD(5, 2, t) first(A3, Y, W0) M(A0, Y, W3) M(A1, Y, W2) M(A2, Y, W1)                        \
    PAIR(5, 2, t) first(A4, X, W0) M(A0, X, W4) M(A1, X, W3) M(A2, X, W2) M(A3, X, W1)            \
    AHEAD(5, 3, t) first(A5, Y, W0) M(A1, Y, W4) M(A2, Y, W3) M(A3, Y, W2) M(A4, Y, W1)           \
    PAIR(5, 3, t) M(A2, X, W4) M(A3, X, W3) M(A4, X, W2) M(A5, X, W1)                             \
    AHEAD(5, 4, t) M(A3, Y, W4) M(A4, Y, W3) M(A5, Y, W2)                                         \
    PAIR(5, 4, t) M(A4, X, W4) M(A5, X, W3) M(A5, Y, W4)
#define PASS_5_2(first, t)                                                                        \
    LOAD_5(t) first(A0, X, W0) AHEAD(5, 1, t) M(A0, Y, W1)                                        \
    PAIR(5, 1, t) first(A1, X, W0) M(A0, X, W2) AHEAD(5, 2, t) M(A0, Y, W3) M(A1, Y, W1)          \
    PAIR(5, 2, t) first(A2, X, W0) M(A0, X, W4) M(A1, X, W2)                                      \
    AHEAD(5, 3, t) M(A1, Y, W3) M(A2, Y, W1)                                                      \
    PAIR(5, 3, t) first(A3, X, W0) M(A1, X, W4) M(A2, X, W2)                                      \
    AHEAD(5, 4, t) M(A2, Y, W3) M(A3, Y, W1)                                                      \
    PAIR(5, 4, t) first(A4, X, W0) M(A2, X, W4) M(A3, X, W2)                                      \
    AHEAD(5, 5, t) M(A3, Y, W3) M(A4, Y, W1)                                                      \
    PAIR(5, 5, t) first(A5, X, W0) M(A3, X, W4) M(A4, X, W2)                                      \
    AHEAD(5, 6, t) M(A4, Y, W3) M(A5, Y, W1) PAIR(5, 6, t) M(A4, X, W4) M(A5, X, W2)              \
    AHEAD(5, 7, t) M(A5, Y, W3) LAST(5, 7, t) M(A5, X, W4)
#define SUMS_5(stride)                                                                            \
    "ldr r7, [sp, #28] \n" PASS_5_##stride(BEGIN_5, 0) PASS_5_##stride(M, 1) PASS_5_##stride(M, 2)

/* 7x7: weights r6 to lr. */
#define V0 "r6"
#define V1 "r7"
#define V2 "r8"
#define V3 "r9"
#define V4 "r10"
#define V5 "r11"
#define V6 "lr"
#define LOAD_7(t) "add lr, sp, #(32 + 28 * " #t ") \n" START(7, t) "ldm lr, {r6-r11, lr} \n"
#define PASS_7_1(first, t)                                                                        \
    LOAD_7(t) first(A0, X, V0) AHEAD(7, 1, t) first(A1, Y, V0) M(A0, Y, V1)                       \
    PAIR(7, 1, t) first(A2, X, V0) M(A0, X, V2) M(A1, X, V1)                                      \
    AHEAD(7, 2, t) first(A3, Y, V0) M(A0, Y, V3) M(A1, Y, V2) M(A2, Y, V1)                        \
    PAIR(7, 2, t) M(A0, X, V4) M(A1, X, V3) M(A2, X, V2) M(A3, X, V1)                             \
    AHEAD(7, 3, t) M(A0, Y, V5) M(A1, Y, V4) M(A2, Y, V3) M(A3, Y, V2)                            \
    PAIR(7, 3, t) M(A0, X, V6) M(A1, X, V5) M(A2, X, V4) M(A3, X, V3)                             \
    AHEAD(7, 4, t) M(A1, Y, V6) M(A2, Y, V5) M(A3, Y, V4)                                         \
    PAIR(7, 4, t) M(A2, X, V6) M(A3, X, V5) M(A3, Y, V6)
#define PASS_7_2(first, t)                                                                        \
    LOAD_7(t) first(A0, X, V0) AHEAD(7, 1, t) M(A0, Y, V1)                                        \
    PAIR(7, 1, t) first(A1, X, V0) M(A0, X, V2) AHEAD(7, 2, t) M(A0, Y, V3) M(A1, Y, V1)          \
    PAIR(7, 2, t) first(A2, X, V0) M(A0, X, V4) M(A1, X, V2)                                      \
    AHEAD(7, 3, t) M(A0, Y, V5) M(A1, Y, V3) M(A2, Y, V1)                                         \
    PAIR(7, 3, t) first(A3, X, V0) M(A0, X, V6) M(A1, X, V4) M(A2, X, V2)                         \
    AHEAD(7, 4, t) M(A1, Y, V5) M(A2, Y, V3) M(A3, Y, V1)                                         \
    PAIR(7, 4, t) M(A1, X, V6) M(A2, X, V4) M(A3, X, V2)                                          \
    AHEAD(7, 5, t) M(A2, Y, V5) M(A3, Y, V3) PAIR(7, 5, t) M(A2, X, V6) M(A3, X, V4)              \
    AHEAD(7, 6, t) M(A3, Y, V5) LAST(7, 6, t) M(A3, X, V6)
#define SUMS_7(stride)                                                                            \
    "ldr r5, [sp, #28] \n" PASS_7_##stride(BEGIN_7, 0) PASS_7_##stride(M, 1)                      \
    PASS_7_##stride(M, 2) PASS_7_##stride(M, 3)

/* Outputs from sums. r1: outputs left, r8: out, r9: right, r10: three times that, r12: factor. */
#define PLACES "ldm sp, {r1, r8, r9, r10, r12} \n"
#define ONE(a, shift) "smmul " a ", " a ", r12 \n ssat " a ", #8, " a ", asr #" shift " \n"
#define ONE_4(shift) ONE(A0, shift) ONE(A1, shift) ONE(A2, shift) ONE(A3, shift)
#define ONE_6(shift) ONE_4(shift) ONE(A4, shift) ONE(A5, shift)
#define END_12(n) PLACES ONE_##n("12")
#define END_9(n) PLACES ONE_##n("9")
#define END_15(n) PLACES ONE_##n("15")
#define FACTORS "add r12, sp, #16 \n ldm r12, {r8, r9, r10} \n"
#define TWO(a)                                                                                    \
    "smmlar r12, " a ", r8, r9 \n add r12, r12, " a ", asr #31 \n asr r12, r12, r10 \n"           \
    "ssat " a ", #8, r12 \n"
#define TWO_4 TWO(A0) TWO(A1) TWO(A2) TWO(A3)
#define TWO_6 TWO_4 TWO(A4) TWO(A5)
#define END_ANY(n) FACTORS TWO_##n PLACES

#define STORE_4                                                                                   \
    "strb r2, [r8] \n strb r3, [r8, r9] \n strb r4, [r8, r9, lsl #1] \n strb r5, [r8, r10] \n"    \
    "add r8, r8, r9, lsl #2 \n"
#define STORE_6                                                                                   \
    STORE_4 "strb r6, [r8] \n strb r7, [r8, r9] \n add r8, r8, r9, lsl #1 \n"
/* r1: outputs behind this block, negative if it has less of them. */
#define SOME(a, missing) "strb " a ", [r8] \n add r8, r8, r9 \n cmn r1, #" missing " \n beq 5f \n"
#define SOME_4 SOME(A0, "3") SOME(A1, "2") SOME(A2, "1")
#define SOME_6 SOME(A0, "5") SOME(A1, "4") SOME(A2, "3") SOME(A3, "2") SOME(A4, "1")

/* Rows from r0, r1 on, r2: four times their number. */
#define ROWS(sums, n, step, end)                                                                  \
    "8: str lr, [sp, #192] \n add r12, sp, #172 \n stm r12, {r0, r1, r2} \n ldr r3, [sp, #184] \n"\
    "2: strd r3, r1, [sp] \n"                                                                     \
    "3: \n" sums "add r0, r0, #" step " \n" end(n)                                                \
    "subs r1, r1, #" #n " \n blt 4f \n" STORE_##n                                                 \
    "strd r1, r8, [sp] \n bgt.w 3b \n b 5f \n"                                                    \
    "4: \n" SOME_##n                                                                              \
    "5: add r12, sp, #172 \n ldm r12, {r0-r4} \n"                                                 \
    "add r0, r0, #32 \n add r1, r1, r4 \n subs r2, r2, #4 \n stm r12, {r0, r1, r2} \n"            \
    "bne.w 2b \n ldr pc, [sp, #192] \n"

/* Weights to the stack: r12: from, r2: to. */
#define EVEN(w) "sxtb16 " w ", " w " \n"
#define ODD(w) "sxtb16 " w ", " w ", ror #8 \n"
#define ONCE(w)
#define TWICE(w) "sadd16 " w ", " w ", " w " \n"
#define WIDEN_5(row, times)                                                                       \
    "ldm r12!, {r4-r8} \n" row("r4") row("r5") row("r6") row("r7") row("r8") times("r4")          \
    times("r5") times("r6") times("r7") times("r8") "stm r2!, {r4-r8} \n"
#define WIDEN_7(row, times)                                                                       \
    "ldm r12!, {r4-r10} \n" row("r4") row("r5") row("r6") row("r7") row("r8") row("r9") row("r10")\
    times("r4") times("r5") times("r6") times("r7") times("r8") times("r9") times("r10")          \
    "stm r2!, {r4-r10} \n"
#define WEIGHTS_5(row, times) WIDEN_5(row, times) WIDEN_5(row, times) WIDEN_5(row, times)
#define WEIGHTS_7(row, times)                                                                     \
    WIDEN_7(row, times) WIDEN_7(row, times) WIDEN_7(row, times) WIDEN_7(row, times)

#define ENDS_ONE "ldm r12!, {r4, r5} \n str r4, [sp, #28] \n str r5, [sp, #16] \n"
#define ENDS_TWO                                                                                  \
    "ldm r12!, {r4, r5, r6, r7} \n str r4, [sp, #28] \n strd r5, r6, [sp, #16] \n"                \
    "str r7, [sp, #24] \n"

/* ends: the words before the weights; weights: of `taps`, 5 or 7, with `times`. */
#define BLOCKS(words, ends, taps, times, sums, n, step, end)                                      \
    ".syntax unified \n"                                                                          \
    "push {r4-r11, lr} \n sub sp, sp, #196 \n"                                                    \
    "ldm r3, {r4-r10} \n add r0, r0, #" CENTRE_##taps " \n"                                       \
    "strd r0, r1, [sp, #144] \n strd r2, r7, [sp, #152] \n strd r8, r9, [sp, #160] \n"            \
    "str r10, [sp, #168] \n strd r5, r6, [sp, #184] \n"                                           \
    "add r5, r4, r4, lsl #1 \n strd r4, r5, [sp, #8] \n"                                          \
    "1: ldr r12, [sp, #148] \n" ends "add r2, sp, #32 \n" WEIGHTS_##taps(EVEN, times)             \
    "ldr r0, [sp, #144] \n ldrd r1, r2, [sp, #152] \n bl 8f \n"                                   \
    "ldr r12, [sp, #148] \n ldr r3, [sp, #160] \n cbz r3, 6f \n b 7f \n"                          \
    "6: b.w 9f \n"                                                                                \
    "7: \n" ends "add r2, sp, #32 \n" WEIGHTS_##taps(ODD, times)                                  \
    "ldr r0, [sp, #144] \n ldr r1, [sp, #152] \n ldrd r2, r3, [sp, #160] \n add r1, r1, r3 \n"    \
    "bl 8f \n"                                                                                    \
    "9: ldrd r0, r12, [sp, #144] \n ldr r1, [sp, #152] \n ldr r2, [sp, #168] \n"                  \
    "add r12, r12, #(4 * " #words ") \n add r0, r0, #8 \n add r1, r1, #1 \n"                      \
    "strd r0, r12, [sp, #144] \n str r1, [sp, #152] \n subs r2, r2, #1 \n str r2, [sp, #168] \n"  \
    "bne.w 1b \n add sp, sp, #196 \n pop {r4-r11, pc} \n" ROWS(sums, n, step, end)

#define BLOCK(name, text)                                                                         \
    __attribute__((naked, noinline, aligned(4))) void name(                                       \
        __attribute__((unused)) const tr_word *x, __attribute__((unused)) const int32_t *pairs,   \
        __attribute__((unused)) int8_t *out, __attribute__((unused)) const tr_lines *lines)       \
    {                                                                                             \
        __asm__ volatile(text);                                                                   \
    }
/* one, two: words of a channel with one shift and with two roundings; n: outputs of a block. */
#define BLOCKS_OF(taps, stride, one, two, n, step)                                                \
    BLOCK(tr_block_##taps##_##stride##_12,                                                        \
          BLOCKS(one, ENDS_ONE, taps, ONCE, SUMS_##taps(stride), n, step, END_12))                \
    BLOCK(tr_block_##taps##_##stride##_9,                                                         \
          BLOCKS(one, ENDS_ONE, taps, ONCE, SUMS_##taps(stride), n, step, END_9))                 \
    BLOCK(tr_block_##taps##_##stride##_15,                                                        \
          BLOCKS(one, ENDS_ONE, taps, ONCE, SUMS_##taps(stride), n, step, END_15))                \
    BLOCK(tr_block_##taps##_##stride##_any,                                                       \
          BLOCKS(two, ENDS_TWO, taps, TWICE, SUMS_##taps(stride), n, step, END_ANY))

BLOCKS_OF(5, 1, 17, 19, 6, "768")
BLOCKS_OF(5, 2, 17, 19, 6, "1536")
BLOCKS_OF(7, 1, 30, 32, 4, "576")
BLOCKS_OF(7, 2, 30, 32, 4, "1152")

#else

typedef struct {
    int32_t taps, slots, stride, shift;
} tr_shape;

/* One output: x: the first pair of column 0; from: its first column; words: of the weights. */
TR_INLINE int32_t tr_block_sum(const tr_word *x, int32_t from, const int32_t *words, int32_t is_odd,
                               tr_shape shape)
{
    int32_t taps = shape.taps, sum = 0;
    for (int32_t t = 0; t < (taps + 1) / 2; t++, x += 8)
        for (int32_t column = from; column < from + taps; column++, words++) {
            int32_t pair = x[8 * shape.slots * (column >> 1) + (column & 1)];
            sum = tr_dot2(pair, is_odd ? tr_odd(*words) : tr_even(*words), sum);
        }
    return sum;
}

/* One shift, or as tr_output in scale.h, of twice the sum. */
TR_INLINE int8_t tr_block_end(const int32_t *pairs, int32_t sum, int32_t shift)
{
    if (shift) {
        int32_t value = (int32_t)((uint32_t)sum + (uint32_t)pairs[0]);
        return (int8_t)tr_saturate8((int32_t)(((int64_t)value * pairs[1]) >> 32) >> shift);
    }
    int32_t twice = (int32_t)(2 * (uint32_t)sum + (uint32_t)pairs[0]);
    int32_t high = tr_high_mla(twice, pairs[1], pairs[2]);
    return (int8_t)tr_saturate8((high + (twice >> 31)) >> pairs[3]);
}

TR_INLINE void tr_block_rows(const tr_word *x, const int32_t *pairs, int8_t *out,
                             const tr_lines *lines, int32_t rows, int32_t is_odd, tr_shape shape)
{
    const int32_t *words = pairs + (shape.shift ? 2 : 4);
    for (int32_t y = 0; y < rows; y++, x += 8, out += lines->down) {
        for (int32_t at = 0; at < lines->columns; at++) {
            int32_t sum = tr_block_sum(x, at * shape.stride, words, is_odd, shape);
            out[at * lines->right] = tr_block_end(pairs, sum, shape.shift);
        }
    }
}

TR_INLINE void tr_block(const tr_word *x, const int32_t *pairs, int8_t *out, const tr_lines *lines,
                        tr_shape shape)
{
    for (int32_t left = lines->channels; left > 0; left--, out++, x += 2) {
        tr_block_rows(x, pairs, out, lines, lines->evens / 4, 0, shape);
        tr_block_rows(x, pairs, out + lines->odd_at, lines, lines->odds / 4, 1, shape);
        pairs += (shape.shift ? 2 : 4) + (shape.taps + 1) / 2 * shape.taps;
    }
}

#define BLOCK(name, taps, stride, shift)                                                          \
    void name(const tr_word *x, const int32_t *pairs, int8_t *out, const tr_lines *lines)         \
    {                                                                                             \
        tr_shape shape = {taps, taps == 5 ? 8 : 9, stride, shift};                                \
        tr_block(x, pairs, out, lines, shape);                                                    \
    }
#define BLOCKS(taps, stride)                                                                      \
    BLOCK(tr_block_##taps##_##stride##_12, taps, stride, 12)                                      \
    BLOCK(tr_block_##taps##_##stride##_9, taps, stride, 9)                                        \
    BLOCK(tr_block_##taps##_##stride##_15, taps, stride, 15)                                      \
    BLOCK(tr_block_##taps##_##stride##_any, taps, stride, 0)

BLOCKS(5, 1)
BLOCKS(5, 2)
BLOCKS(7, 1)
BLOCKS(7, 2)

#endif
