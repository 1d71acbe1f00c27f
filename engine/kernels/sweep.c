/* SPDX-License-Identifier: Apache-2.0 */
/* Sweeps of a 3x3 kernel along rows: assembly for cores with the DSP extension, and the same
 * algorithm in C for all others.
 *
 * `pairs` holds for each channel its bias, its factor, three words of weights, one a column of the
 * kernel, and for two roundings an addend and a shift. With weights w0, w1, w2 from top to bottom,
 * such a word is the bytes w0, w1, w1, w2: its even bytes are what an even row multiplies a pair
 * with, its odd bytes what an odd row does.
 */
#include "slots.h"
#include "sweep.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* r0: column, r1: out, r2: right, r3: bias, r4: factor
 * r5, r6, r7: pairs of weights of columns 0, 1, 2
 * r8: single weights of columns 1 (high) and 0; r9: of column 2, above it columns left
 * r10, r11: sums of two neighbouring outputs; r12, lr: two pairs
 * sp + 0: r9 as a row begins, 4: back, 8: down, 12: the column behind the last row's first
 * 20: x, 24: out, 28: columns, 32: pairs, 36: evens, 40: odds, 44: odd_at, 48: channels left
 * 52: addend, 56: shift */
#define COLUMN(slots) "ldrd r12, lr, [r0], #" COLUMN_##slots " \n"
#define AGAIN(slots) "ldrd r12, lr, [r0, #-" COLUMN_##slots "] \n"
#define NO_MORE(slots)

/* Both taps of a pair and the single one: of columns 0, 1 and 2; `to` is a sum. */
#define EVEN_0(to) "smlad " to ", r12, r5, r3 \n smlabb " to ", lr, r8, " to " \n"
#define EVEN_1(to) "smlad " to ", r12, r6, " to " \n smlabt " to ", lr, r8, " to " \n"
#define EVEN_2(to) "smlad " to ", r12, r7, " to " \n smlabb " to ", lr, r9, " to " \n"
#define ODD_0(to) "smlad " to ", lr, r5, r3 \n smlatb " to ", r12, r8, " to " \n"
#define ODD_1(to) "smlad " to ", lr, r6, " to " \n smlatt " to ", r12, r8, " to " \n"
#define ODD_2(to) "smlad " to ", lr, r7, " to " \n smlatb " to ", r12, r9, " to " \n"

/* The same of columns 0 and 1, and the next column's pairs: an M7 wants loads long before their
 * words are factors, and one at a time; an M4 wants them together. */
#if TR_CORTEX_M7
#define UPPER "ldr r12, [r0], #4 \n"
#define LOWER(slots) "ldr lr, [r0], #(" COLUMN_##slots " - 4) \n"
#define EVEN_0_NEXT(slots, to)                                                                    \
    "smlad " to ", r12, r5, r3 \n" UPPER "smlabb " to ", lr, r8, " to " \n" LOWER(slots)
#define EVEN_1_NEXT(slots, to)                                                                    \
    "smlad " to ", r12, r6, " to " \n" UPPER "smlabt " to ", lr, r8, " to " \n" LOWER(slots)
#define ODD_0_NEXT(slots, to)                                                                     \
    "smlatb " to ", r12, r8, r3 \n" UPPER "smlad " to ", lr, r5, " to " \n" LOWER(slots)
#else
#define EVEN_0_NEXT(slots, to) EVEN_0(to) COLUMN(slots)
#define EVEN_1_NEXT(slots, to) EVEN_1(to) COLUMN(slots)
#define ODD_0_NEXT(slots, to) ODD_0(to) COLUMN(slots)
#endif

/* An output from a sum. One shift leaves the pairs as they are, two roundings take their place. */
#define END_ONE(shift, a, at)                                                                     \
    "smmul " a ", " a ", r4 \n ssat " a ", #8, " a ", asr #" shift " \n strb " a ", " at " \n"
#define END_12(a, at) END_ONE("12", a, at)
#define END_9(a, at) END_ONE("9", a, at)
#define END_15(a, at) END_ONE("15", a, at)
#define END_ANY(a, at)                                                                            \
    "ldrd r12, lr, [sp, #52] \n smmlar r12, " a ", r4, r12 \n add r12, r12, " a ", asr #31 \n"    \
    "asr r12, r12, lr \n ssat r12, #8, r12 \n strb r12, " at " \n"

/* A row's loop: twice two outputs a turn, and two more; for size, two. */
#if defined(__OPTIMIZE_SIZE__)
#define TURNS(two)                                                                                \
    "b 4f                       \n .p2align 2                 \n"                                 \
    "3:                         \n" two "4: subs r9, r9, #0x20000 \n bpl.w 3b \n"
#else
#define TURNS(two)                                                                                \
    "subs r9, r9, #0x40000      \n bmi.w 4f                   \n .p2align 2       \n"             \
    "3:                         \n" two two                                                       \
    "subs r9, r9, #0x40000      \n bpl.w 3b                   \n"                                 \
    "4: adds r9, r9, #0x20000   \n bmi.w 8f                   \n" two                             \
    "sub r9, r9, #0x20000       \n"                                                               \
    "8:                         \n"
#endif

/* The next row of a channel; for size, in one place. */
#define NEXT_ROW                                                                                  \
    "ldm sp, {r9, r10, r11, lr} \n"                                                               \
    "add r0, r0, r10            \n add r1, r1, r11            \n"                                 \
    "cmp r0, lr                 \n bne.w 2b                   \n"
#if defined(__OPTIMIZE_SIZE__)
#define END_OF_EVEN "b 6f \n"
#else
#define END_OF_EVEN NEXT_ROW "b 9f \n"
#endif

/* Stride 1: a column, already loaded, ends the sum a, adds to b and begins the next sum in a. */
#define STEP_1(slots, row, end, again, a, b, at)                                                  \
    row##_2(a) row##_1(b) end(a, at) again(slots) row##_0_NEXT(slots, a)
#define TWO_1(slots, row, end, again)                                                             \
    STEP_1(slots, row, end, again, "r10", "r11", "[r1]")                                          \
    STEP_1(slots, row, end, again, "r11", "r10", "[r1, r2]")                                      \
    "add r1, r1, r2, lsl #1     \n"
#define ROW_1(slots, row, end, again)                                                             \
    COLUMN(slots) row##_0("r10") COLUMN(slots) row##_1("r10") row##_0_NEXT(slots, "r11")          \
    TURNS(TWO_1(slots, row, end, again))                                                          \
    row##_2("r10")                                                                                \
    "tst r9, #0x10000           \n bne 5f                     \n"                                 \
    row##_1("r11") end("r10", "[r1]") COLUMN(slots) row##_2("r11") end("r11", "[r1, r2]")         \
    END_OF_EVEN                                                                                   \
    "5:                         \n" end("r10", "[r1]")                                            \
    "6:                         \n"

/* Stride 2: a column, already loaded, ends the sum a and begins b, the next one adds to b. */
#define NO_MORE_END(slots, row, end, a, b, at) row##_0_NEXT(slots, b) end(a, at)
#define AGAIN_END(slots, row, end, a, b, at) row##_0(b) end(a, at) COLUMN(slots)
#define STEP_2(slots, row, end, again, a, b, at)                                                  \
    row##_2(a) again##_END(slots, row, end, a, b, at) row##_1_NEXT(slots, b)
#define TWO_2(slots, row, end, again)                                                             \
    STEP_2(slots, row, end, again, "r10", "r11", "[r1]")                                          \
    STEP_2(slots, row, end, again, "r11", "r10", "[r1, r2]")                                      \
    "add r1, r1, r2, lsl #1     \n"
#define ROW_2(slots, row, end, again)                                                             \
    COLUMN(slots) row##_0("r10") COLUMN(slots) row##_1_NEXT(slots, "r10")                         \
    TURNS(TWO_2(slots, row, end, again))                                                          \
    "tst r9, #0x10000           \n bne 5f                     \n"                                 \
    STEP_2(slots, row, end, again, "r10", "r11", "[r1]")                                          \
    row##_2("r11") end("r11", "[r1, r2]")                                                         \
    END_OF_EVEN                                                                                   \
    "5:                         \n" row##_2("r10") end("r10", "[r1]")                             \
    "6:                         \n"

/* From the weights r5, r6, r7 as they are in flash. */
#define EVEN_WEIGHTS                                                                              \
    "asr r8, r5, #24            \n asr r10, r6, #24           \n asr r11, r7, #24 \n"             \
    "pkhbt r8, r8, r10, lsl #16 \n sxtb16 r5, r5              \n"                                 \
    "sxtb16 r6, r6              \n sxtb16 r7, r7              \n"
#define ODD_WEIGHTS                                                                               \
    "sxtb r8, r5                \n sxtb r10, r6               \n sxtb r11, r7     \n"             \
    "pkhbt r8, r8, r10, lsl #16 \n sxtb16 r5, r5, ror #8      \n"                                 \
    "sxtb16 r6, r6, ror #8      \n sxtb16 r7, r7, ror #8      \n"
#define TWICE                                                                                     \
    "sadd16 r5, r5, r5 \n sadd16 r6, r6, r6 \n sadd16 r7, r7, r7 \n"                              \
    "sadd16 r8, r8, r8 \n add r11, r11, r11 \n ldrd r10, r12, [r12] \n strd r10, r12, [sp, #52] \n"

/* All rows of a kind of one channel: r0: x, r1: where the first begins, r9: columns, r12: pairs,
 * lr: four times their number. */
#define ROWS(weights, twice, lines)                                                               \
    "ldm r12!, {r3-r7}          \n"                                                               \
    "add lr, r0, lr             \n str lr, [sp, #12]          \n" weights                         \
    twice "pkhbt r9, r11, r9    \n str r9, [sp]               \n"                                 \
    "2:                         \n" lines                                                         \
    NEXT_ROW "9: \n"
#define ODD_ROWS(twice, lines)                                                                    \
    "ldr lr, [sp, #40]          \n cmp lr, #0                 \n beq.w 7f         \n"             \
    "add r12, sp, #20           \n ldm r12, {r0, r1, r9, r12} \n ldr r10, [sp, #44] \n"           \
    "add r1, r1, r10            \n" ROWS(ODD_WEIGHTS, twice, lines)                               \
    "7:                         \n"
#define SWEEP(slots, words, evens, odds)                                                          \
    ".syntax unified            \n"                                                               \
    "push {r4-r11, lr}          \n"                                                               \
    "sub sp, sp, #60            \n"                                                               \
    "ldm r3, {r4-r11}           \n strd r11, r6, [sp, #4]     \n"                                 \
    "add r12, sp, #20           \n mov r6, r1                 \n"                                 \
    "stm r12, {r0, r2, r5, r6, r7-r10} \n"                                                        \
    "mov r1, r2                 \n mov r2, r4                 \n"                                 \
    "mov r9, r5                 \n mov r12, r6                \n"                                 \
    "1: ldr lr, [sp, #36]       \n" evens odds                                                    \
    "add r11, sp, #20           \n ldm r11, {r0, r1, r9, r12} \n ldr lr, [sp, #48]  \n"           \
    "add r0, r0, #" CHANNEL_##slots(1) " \n add r1, r1, #1 \n add r12, r12, #" words " \n"        \
    "stm r11, {r0, r1, r9, r12} \n"                                                               \
    "subs lr, lr, #1            \n str lr, [sp, #48]          \n bne.w 1b           \n"           \
    "add sp, sp, #60            \n"                                                               \
    "pop {r4-r11, pc}           \n"

#define SWEEP_1(slots, words, twice, end, again)                                                  \
    SWEEP(slots, words, ROWS(EVEN_WEIGHTS, twice, ROW_1(slots, EVEN, end, again)),                \
          ODD_ROWS(twice, ROW_1(slots, ODD, end, again)))
#define SWEEP_2(slots, words, twice, end, again)                                                  \
    SWEEP(slots, words, ROWS(EVEN_WEIGHTS, twice, ROW_2(slots, EVEN, end, again)), )

#define TR_SWEEP_ARGUMENTS                                                                        \
    __attribute__((unused)) const tr_word *x, __attribute__((unused)) const int32_t *pairs,       \
        __attribute__((unused)) int8_t *out, __attribute__((unused)) const tr_lines *lines
#define TR_SWEEP(name, text)                                                                      \
    __attribute__((naked, noinline, aligned(4))) void name(TR_SWEEP_ARGUMENTS)                    \
    {                                                                                             \
        __asm__ volatile(text);                                                                   \
    }
#define TR_SWEEPS(slots, stride)                                                                  \
    TR_SWEEP(tr_sweep_##slots##_##stride##_12, SWEEP_##stride(slots, "20", , END_12, NO_MORE))    \
    TR_SWEEP(tr_sweep_##slots##_##stride##_9, SWEEP_##stride(slots, "20", , END_9, NO_MORE))      \
    TR_SWEEP(tr_sweep_##slots##_##stride##_15, SWEEP_##stride(slots, "20", , END_15, NO_MORE))    \
    TR_SWEEP(tr_sweep_##slots##_##stride##_any, SWEEP_##stride(slots, "28", TWICE, END_ANY, AGAIN))

#else

/* The products of one column of taps: x: its pairs; w0, w1, w1, w2: bytes of `word`. */
TR_INLINE int32_t tr_even_taps(const tr_word *x, int32_t word, int32_t sum)
{
    return tr_mla_low(x[1], word >> 24, tr_dot2(x[0], tr_even(word), sum));
}

TR_INLINE int32_t tr_odd_taps(const tr_word *x, int32_t word, int32_t sum)
{
    return tr_mla_high(x[0], (int32_t)((uint32_t)word << 24) >> 8, tr_dot2(x[1], tr_odd(word), sum));
}

/* Products with three columns of pairs, `step` words apart. */
TR_INLINE int32_t tr_taps(const tr_word *x, const int32_t *words, int32_t step, int32_t is_odd)
{
    int32_t sum = 0;
    for (int32_t column = 0; column < 3; column++, x += step)
        sum = is_odd ? tr_odd_taps(x, words[column], sum) : tr_even_taps(x, words[column], sum);
    return sum;
}

/* One shift, or as tr_output in scale.h, of twice the sum. */
TR_INLINE int8_t tr_end(const int32_t *pairs, int32_t sum, int32_t shift)
{
    if (shift) {
        int32_t value = (int32_t)((uint32_t)sum + (uint32_t)pairs[0]);
        return (int8_t)tr_saturate8((int32_t)(((int64_t)value * pairs[1]) >> 32) >> shift);
    }
    int32_t twice = (int32_t)(2 * (uint32_t)sum + (uint32_t)pairs[0]);
    int32_t high = tr_high_mla(twice, pairs[1], pairs[5]);
    return (int8_t)tr_saturate8((high + (twice >> 31)) >> pairs[6]);
}

typedef struct {
    int32_t slots, stride, shift;
} tr_form;

/* Rows of one channel, each a slot below the one before. */
TR_INLINE void tr_rows(const tr_word *x, const int32_t *pairs, int8_t *out, const tr_lines *lines,
                       int32_t rows, int32_t is_odd, tr_form form)
{
    int32_t count = lines->columns / 65536, width = count + (count % 2 ? 0 : 2);
    int32_t step = 4 * form.slots, down = lines->down + count / 2 * 2 * lines->right;
    for (int32_t y = 0; y < rows; y++, x++, out += down) {
        for (int32_t at = 0; at < width; at++) {
            int32_t sum = tr_taps(x + at * form.stride * step, pairs + 2, step, is_odd);
            out[at * lines->right] = tr_end(pairs, sum, form.shift);
        }
    }
}

TR_INLINE void tr_sweep(const tr_word *x, const int32_t *pairs, int8_t *out, const tr_lines *lines,
                        tr_form form)
{
    for (int32_t left = lines->channels; left > 0; left--, out++) {
        tr_rows(x, pairs, out, lines, lines->evens / 4, 0, form);
        tr_rows(x, pairs, out + lines->odd_at, lines, lines->odds / 4, 1, form);
        x += form.slots;
        pairs += form.shift ? 5 : 7;
    }
}

#define TR_SWEEP(name, slots, stride, shift)                                                      \
    void name(const tr_word *x, const int32_t *pairs, int8_t *out, const tr_lines *lines)         \
    {                                                                                             \
        tr_form form = {slots, stride, shift};                                                    \
        tr_sweep(x, pairs, out, lines, form);                                                     \
    }
#define TR_SWEEPS(slots, stride)                                                                  \
    TR_SWEEP(tr_sweep_##slots##_##stride##_12, slots, stride, 12)                                 \
    TR_SWEEP(tr_sweep_##slots##_##stride##_9, slots, stride, 9)                                   \
    TR_SWEEP(tr_sweep_##slots##_##stride##_15, slots, stride, 15)                                 \
    TR_SWEEP(tr_sweep_##slots##_##stride##_any, slots, stride, 0)

#endif

TR_SWEEPS(7, 1)
TR_SWEEPS(7, 2)
TR_SWEEPS(3, 1)
TR_SWEEPS(3, 2)
TR_SWEEPS(14, 1)
