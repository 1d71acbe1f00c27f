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

/* r0: column, r12: a pair. sp: weights, at 112 of it the rest:
 * 112: x, 116: pairs, 120: out, 124: right, 128: width, 132: down, 136: evens, 140: odds,
 * 144: odd_at, 148: channels left, 152: where a row begins: column, out; 160: four times the rows
 * left, 164: outputs left, 168: bias, 172: factor, 176: addend, 180: shift, 184: return,
 * 188: out of a block */
#define X5(j, t) "ldr r12, [r0, #(128 * " #j " + 4 * " #t ")] \n"
#define X7(j, t) "ldr r12, [r0, #(144 * " #j " + 4 * " #t ")] \n"
#define M(a, w) "smlad " a ", r12, " w ", " a " \n"
#define BEGIN(a, w) "smlad " a ", r12, " w ", r1 \n"
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
#define LOAD_5(t) "add r12, sp, #(20 * " #t ") \n ldm r12, {r8-r11, lr} \n"
#define PASS_5_1(first, t)                                                                        \
    X5(0, t) first(A0, W0) X5(1, t) first(A1, W0) M(A0, W1)                                         \
    X5(2, t) first(A2, W0) M(A0, W2) M(A1, W1)                                                     \
    X5(3, t) first(A3, W0) M(A0, W3) M(A1, W2) M(A2, W1)                                           \
    X5(4, t) first(A4, W0) M(A0, W4) M(A1, W3) M(A2, W2) M(A3, W1)                                 \
    X5(5, t) first(A5, W0) M(A1, W4) M(A2, W3) M(A3, W2) M(A4, W1)                                 \
    X5(6, t) M(A2, W4) M(A3, W3) M(A4, W2) M(A5, W1) X5(7, t) M(A3, W4) M(A4, W3) M(A5, W2)         \
    X5(8, t) M(A4, W4) M(A5, W3) X5(9, t) M(A5, W4)
#define PASS_5_2(first, t)                                                                        \
    X5(0, t) first(A0, W0) X5(1, t) M(A0, W1) X5(2, t) first(A1, W0) M(A0, W2)                       \
    X5(3, t) M(A0, W3) M(A1, W1) X5(4, t) first(A2, W0) M(A0, W4) M(A1, W2)                         \
    X5(5, t) M(A1, W3) M(A2, W1) X5(6, t) first(A3, W0) M(A1, W4) M(A2, W2)                         \
    X5(7, t) M(A2, W3) M(A3, W1) X5(8, t) first(A4, W0) M(A2, W4) M(A3, W2)                         \
    X5(9, t) M(A3, W3) M(A4, W1) X5(10, t) first(A5, W0) M(A3, W4) M(A4, W2)                        \
    X5(11, t) M(A4, W3) M(A5, W1) X5(12, t) M(A4, W4) M(A5, W2) X5(13, t) M(A5, W3)                  \
    X5(14, t) M(A5, W4)
#define SUMS_5(stride)                                                                            \
    LOAD_5(0) PASS_5_##stride(BEGIN, 0) LOAD_5(1) PASS_5_##stride(M, 1)                            \
    LOAD_5(2) PASS_5_##stride(M, 2)

/* 7x7: weights r6 to lr. */
#define V0 "r6"
#define V1 "r7"
#define V2 "r8"
#define V3 "r9"
#define V4 "r10"
#define V5 "r11"
#define V6 "lr"
#define LOAD_7(t) "add r12, sp, #(28 * " #t ") \n ldm r12, {r6-r11, lr} \n"
#define PASS_7_1(first, t)                                                                        \
    X7(0, t) first(A0, V0) X7(1, t) first(A1, V0) M(A0, V1)                                         \
    X7(2, t) first(A2, V0) M(A0, V2) M(A1, V1)                                                     \
    X7(3, t) first(A3, V0) M(A0, V3) M(A1, V2) M(A2, V1)                                           \
    X7(4, t) M(A0, V4) M(A1, V3) M(A2, V2) M(A3, V1)                                               \
    X7(5, t) M(A0, V5) M(A1, V4) M(A2, V3) M(A3, V2)                                               \
    X7(6, t) M(A0, V6) M(A1, V5) M(A2, V4) M(A3, V3) X7(7, t) M(A1, V6) M(A2, V5) M(A3, V4)         \
    X7(8, t) M(A2, V6) M(A3, V5) X7(9, t) M(A3, V6)
#define PASS_7_2(first, t)                                                                        \
    X7(0, t) first(A0, V0) X7(1, t) M(A0, V1) X7(2, t) first(A1, V0) M(A0, V2)                       \
    X7(3, t) M(A0, V3) M(A1, V1) X7(4, t) first(A2, V0) M(A0, V4) M(A1, V2)                         \
    X7(5, t) M(A0, V5) M(A1, V3) M(A2, V1) X7(6, t) first(A3, V0) M(A0, V6) M(A1, V4) M(A2, V2)     \
    X7(7, t) M(A1, V5) M(A2, V3) M(A3, V1) X7(8, t) M(A1, V6) M(A2, V4) M(A3, V2)                   \
    X7(9, t) M(A2, V5) M(A3, V3) X7(10, t) M(A2, V6) M(A3, V4) X7(11, t) M(A3, V5)                   \
    X7(12, t) M(A3, V6)
#define SUMS_7(stride)                                                                            \
    LOAD_7(0) PASS_7_##stride(BEGIN, 0) LOAD_7(1) PASS_7_##stride(M, 1)                            \
    LOAD_7(2) PASS_7_##stride(M, 2) LOAD_7(3) PASS_7_##stride(M, 3)

/* Outputs from sums; r8 to lr are free, and r0, r1 for two roundings of 5x5. */
#define FACTOR "ldr r12, [sp, #172] \n"
#define ONE(a, shift) "smmul " a ", " a ", r12 \n ssat " a ", #8, " a ", asr #" shift " \n"
#define ONE_4(shift) ONE(A0, shift) ONE(A1, shift) ONE(A2, shift) ONE(A3, shift)
#define ONE_6(shift) ONE_4(shift) ONE(A4, shift) ONE(A5, shift)
#define END_12(n) FACTOR ONE_##n("12")
#define END_9(n) FACTOR ONE_##n("9")
#define END_15(n) FACTOR ONE_##n("15")
#define FACTORS "add r12, sp, #172 \n ldm r12, {r8, r9, r10} \n"
#define TWO(a)                                                                                    \
    "smmlar r12, " a ", r8, r9 \n add r12, r12, " a ", asr #31 \n asr r12, r12, r10 \n"            \
    "ssat " a ", #8, r12 \n"
#define TWO_4 TWO(A0) TWO(A1) TWO(A2) TWO(A3)
#define TWO_6 TWO_4 TWO(A4) TWO(A5)
#define END_ANY(n) FACTORS TWO_##n

/* r8: out, r9: right, r10: outputs behind this block, negative if it has less of them. */
#define STORE_4                                                                                   \
    "strb r2, [r8] \n strb r3, [r8, r9] \n strb r4, [r8, r9, lsl #1] \n"                           \
    "add r8, r8, r9 \n strb r5, [r8, r9, lsl #1] \n add r8, r8, r9, lsl #1 \n add r8, r8, r9 \n"
#define STORE_6                                                                                   \
    "strb r2, [r8] \n strb r3, [r8, r9] \n strb r4, [r8, r9, lsl #1] \n"                           \
    "add r8, r8, r9, lsl #1 \n add r8, r8, r9 \n"                                                 \
    "strb r5, [r8] \n strb r6, [r8, r9] \n strb r7, [r8, r9, lsl #1] \n"                           \
    "add r8, r8, r9, lsl #1 \n add r8, r8, r9 \n"
#define SOME(a, missing) "strb " a ", [r8] \n add r8, r8, r9 \n cmn r10, #" missing " \n beq 5f \n"
#define SOME_4 SOME(A0, "3") SOME(A1, "2") SOME(A2, "1")
#define SOME_6 SOME(A0, "5") SOME(A1, "4") SOME(A2, "3") SOME(A3, "2") SOME(A4, "1")

/* Rows from r0, r1 on, r2: four times their number. */
#define ROWS(sums, n, step, end)                                                                  \
    "8: str lr, [sp, #184] \n"                                                                    \
    "strd r0, r1, [sp, #152] \n str r2, [sp, #160] \n"                                            \
    "2: ldr r2, [sp, #128] \n str r2, [sp, #164] \n str r1, [sp, #188] \n"                         \
    "3: ldr r1, [sp, #168] \n" sums "add r0, r0, #" step " \n" end(n)                              \
    "ldr r8, [sp, #188] \n ldr r9, [sp, #124] \n ldr r10, [sp, #164] \n"                           \
    "subs r10, r10, #" #n " \n str r10, [sp, #164] \n blt 4f \n" STORE_##n                        \
    "str r8, [sp, #188] \n bgt.w 3b \n b 5f \n"                                                   \
    "4: \n" SOME_##n                                                                              \
    "5: ldrd r0, r1, [sp, #152] \n ldr r2, [sp, #132] \n ldr r3, [sp, #160] \n"                    \
    "add r0, r0, #4 \n add r1, r1, r2 \n subs r3, r3, #4 \n"                                      \
    "strd r0, r1, [sp, #152] \n str r3, [sp, #160] \n bne.w 2b \n ldr pc, [sp, #184] \n"

/* Weights to the stack: r12: from, r2: to. */
#define EVEN(w) "sxtb16 " w ", " w " \n"
#define ODD(w) "sxtb16 " w ", " w ", ror #8 \n"
#define ONCE(w)
#define TWICE(w) "sadd16 " w ", " w ", " w " \n"
#define WIDEN_5(row, times)                                                                       \
    "ldm r12!, {r4-r8} \n" row("r4") row("r5") row("r6") row("r7") row("r8") times("r4")           \
    times("r5") times("r6") times("r7") times("r8") "stm r2!, {r4-r8} \n"
#define WIDEN_7(row, times)                                                                       \
    "ldm r12!, {r4-r10} \n" row("r4") row("r5") row("r6") row("r7") row("r8") row("r9") row("r10") \
    times("r4") times("r5") times("r6") times("r7") times("r8") times("r9") times("r10")           \
    "stm r2!, {r4-r10} \n"
#define WEIGHTS_5(row, times) WIDEN_5(row, times) WIDEN_5(row, times) WIDEN_5(row, times)
#define WEIGHTS_7(row, times)                                                                     \
    WIDEN_7(row, times) WIDEN_7(row, times) WIDEN_7(row, times) WIDEN_7(row, times)

#define ENDS_ONE "ldm r12!, {r4, r5} \n strd r4, r5, [sp, #168] \n"
#define ENDS_TWO                                                                                  \
    "ldm r12!, {r4, r5, r6, r7} \n strd r4, r5, [sp, #168] \n strd r6, r7, [sp, #176] \n"

/* Bytes to the next channel, of blocks of so many outputs. */
#define CHANNEL_6 "32"
#define CHANNEL_4 "36"

/* ends: the words before the weights; weights: of 5 or 7, with `times`. */
#define BLOCKS(words, ends, weights, times, sums, n, step, end)                                          \
    ".syntax unified \n"                                                                          \
    "push {r4-r11, lr} \n sub sp, sp, #196 \n"                                                    \
    "ldm r3, {r4-r11} \n"                                                                         \
    "strd r0, r1, [sp, #112] \n strd r2, r4, [sp, #120] \n strd r5, r7, [sp, #128] \n"             \
    "strd r8, r9, [sp, #136] \n strd r10, r11, [sp, #144] \n"                                     \
    "1: ldr r12, [sp, #116] \n" ends "mov r2, sp \n" weights(EVEN, times)                          \
    "ldr r0, [sp, #112] \n ldr r1, [sp, #120] \n ldr r2, [sp, #136] \n bl 8f \n"                   \
    "ldr r12, [sp, #116] \n ldr r3, [sp, #140] \n" ends "cbz r3, 6f \n b 7f \n"                    \
    "6: b.w 9f \n"                                                                                \
    "7: mov r2, sp \n" weights(ODD, times)                                                        \
    "ldr r0, [sp, #112] \n ldr r1, [sp, #120] \n ldr r3, [sp, #144] \n add r1, r1, r3 \n"          \
    "ldr r2, [sp, #140] \n bl 8f \n"                                                              \
    "9: ldr r12, [sp, #116] \n ldr r0, [sp, #112] \n ldr r1, [sp, #120] \n ldr r2, [sp, #148] \n"  \
    "add r12, r12, #(4 * " #words ") \n add r0, r0, #" CHANNEL_##n " \n add r1, r1, #1 \n"          \
    "strd r0, r12, [sp, #112] \n str r1, [sp, #120] \n subs r2, r2, #1 \n str r2, [sp, #148] \n"   \
    "bne.w 1b \n add sp, sp, #196 \n pop {r4-r11, pc} \n" ROWS(sums, n, step, end)

#define BLOCK(name, text)                                                                         \
    __attribute__((naked, noinline, aligned(4))) void name(                                                   \
        __attribute__((unused)) const tr_word *x, __attribute__((unused)) const int32_t *pairs,    \
        __attribute__((unused)) int8_t *out, __attribute__((unused)) const tr_lines *lines)       \
    {                                                                                             \
        __asm__ volatile(text);                                                                   \
    }
#define BLOCKS_5(stride, step)                                                                    \
    BLOCK(tr_block_5_##stride##_12,                                                               \
          BLOCKS(17, ENDS_ONE, WEIGHTS_5, ONCE, SUMS_5(stride), 6, step, END_12))                 \
    BLOCK(tr_block_5_##stride##_9,                                                                \
          BLOCKS(17, ENDS_ONE, WEIGHTS_5, ONCE, SUMS_5(stride), 6, step, END_9))                  \
    BLOCK(tr_block_5_##stride##_15,                                                               \
          BLOCKS(17, ENDS_ONE, WEIGHTS_5, ONCE, SUMS_5(stride), 6, step, END_15))                 \
    BLOCK(tr_block_5_##stride##_any,                                                              \
          BLOCKS(19, ENDS_TWO, WEIGHTS_5, TWICE, SUMS_5(stride), 6, step, END_ANY))
#define BLOCKS_7(stride, step)                                                                    \
    BLOCK(tr_block_7_##stride##_12,                                                               \
          BLOCKS(30, ENDS_ONE, WEIGHTS_7, ONCE, SUMS_7(stride), 4, step, END_12))                 \
    BLOCK(tr_block_7_##stride##_9,                                                                \
          BLOCKS(30, ENDS_ONE, WEIGHTS_7, ONCE, SUMS_7(stride), 4, step, END_9))                  \
    BLOCK(tr_block_7_##stride##_15,                                                               \
          BLOCKS(30, ENDS_ONE, WEIGHTS_7, ONCE, SUMS_7(stride), 4, step, END_15))                 \
    BLOCK(tr_block_7_##stride##_any,                                                              \
          BLOCKS(32, ENDS_TWO, WEIGHTS_7, TWICE, SUMS_7(stride), 4, step, END_ANY))

BLOCKS_5(1, "768")
BLOCKS_5(2, "1536")
BLOCKS_7(1, "576")
BLOCKS_7(2, "1152")

#else

typedef struct {
    int32_t taps, slots, stride, shift;
} tr_shape;

/* One output: x: its first column and pair; words: of the weights. */
TR_INLINE int32_t tr_block_sum(const tr_word *x, const int32_t *words, int32_t is_odd,
                               tr_shape shape)
{
    int32_t taps = shape.taps, step = 4 * shape.slots;
    int32_t sum = 0;
    for (int32_t t = 0; t < (taps + 1) / 2; t++)
        for (int32_t column = 0; column < taps; column++, words++)
            sum = tr_dot2(x[column * step + t], is_odd ? tr_odd(*words) : tr_even(*words), sum);
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
    for (int32_t y = 0; y < rows; y++, x++, out += lines->down) {
        for (int32_t at = 0; at < lines->columns; at++) {
            const tr_word *from = x + at * shape.stride * 4 * shape.slots;
            int32_t sum = tr_block_sum(from, words, is_odd, shape);
            out[at * lines->right] = tr_block_end(pairs, sum, shape.shift);
        }
    }
}

TR_INLINE void tr_block(const tr_word *x, const int32_t *pairs, int8_t *out, const tr_lines *lines,
                        tr_shape shape)
{
    for (int32_t left = lines->channels; left > 0; left--, out++, x += shape.slots) {
        tr_block_rows(x, pairs, out, lines, lines->evens / 4, 0, shape);
        tr_block_rows(x, pairs, out + lines->odd_at, lines, lines->odds / 4, 1, shape);
        pairs += (shape.shift ? 2 : 4) + (shape.taps + 1) / 2 * shape.taps;
    }
}

#define BLOCK(name, taps, stride, shift)                                                          \
    void name(const tr_word *x, const int32_t *pairs, int8_t *out, const tr_lines *lines)         \
    {                                                                                             \
        tr_shape shape = {taps, taps == 5 ? 8 : 9, stride, shift};                                                   \
        tr_block(x, pairs, out, lines, shape);                                                    \
    }
#define BLOCKS(taps, stride)                                                                      \
    BLOCK(tr_block_##taps##_##stride##_12, taps, stride, 12)                                       \
    BLOCK(tr_block_##taps##_##stride##_9, taps, stride, 9)                                         \
    BLOCK(tr_block_##taps##_##stride##_15, taps, stride, 15)                                       \
    BLOCK(tr_block_##taps##_##stride##_any, taps, stride, 0)

BLOCKS(5, 1)
BLOCKS(5, 2)
BLOCKS(7, 1)
BLOCKS(7, 2)

#endif
