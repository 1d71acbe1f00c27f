/* SPDX-License-Identifier: Apache-2.0 */
/* First convolutions of colour images: 3x3 windows of three channels, four side by side at a time
 * into the slots of tile.h, in the order of tiled.c. At borders the columns under the four windows
 * are copied to a patch first.
 */
#include "scale.h"
#include "tiled.h"

/* Four windows, `step` bytes apart, from rows `stride` bytes apart: the two words of each row, then
 * the ninth bytes of all rows. */
#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* r0: a row, r1: bytes to the next, r2: x, r3: step, r12: three steps, lr: behind the rows
 * r4 to r7: words of the windows, then their odd bytes; r8 to r11: even bytes */
#define WORDS                                                                                     \
    "ldr r5, [r0, r3]          \n ldr r6, [r0, r3, lsl #1]  \n"                                   \
    "ldr r7, [r0, r12]         \n ldr r4, [r0], #4          \n"                                   \
    "sxtb16 r9, r5             \n sxtb16 r10, r6            \n"                                   \
    "sxtb16 r11, r7            \n sxtb16 r8, r4             \n"                                   \
    "sxtb16 r4, r4, ror #8     \n sxtb16 r5, r5, ror #8     \n"                                   \
    "sxtb16 r6, r6, ror #8     \n sxtb16 r7, r7, ror #8     \n"                                   \
    "stm r2!, {r8-r11}         \n stm r2!, {r4-r7}          \n"
#define BYTES(a, b, c, d)                                                                         \
    "ldrsb " b ", [r0, r3]     \n ldrsb " c ", [r0, r3, lsl #1] \n"                               \
    "ldrsb " d ", [r0, r12]    \n ldrsb " a ", [r0]         \n"                                 \
    "add r0, r0, r1            \n"

static __attribute__((naked, noinline, aligned(4))) void
tr_widen_rgb(__attribute__((unused)) const int8_t *from, __attribute__((unused)) int32_t stride,
             __attribute__((unused)) tr_word *x, __attribute__((unused)) int32_t step)
{
    __asm__ volatile(".syntax unified                \n"
                     "push {r4-r11, lr}              \n"
                     "add r12, r3, r3, lsl #1        \n"
                     "add lr, r1, r1, lsl #1         \n"
                     "add lr, lr, r0                 \n"
                     "sub r1, r1, #8                 \n"
                     "1:                             \n" WORDS WORDS
                     "add r0, r0, r1                 \n"
                     "cmp r0, lr                     \n"
                     "bne 1b                         \n"
                     "add r1, r1, #8                 \n"
                     "sub r0, r0, r1, lsl #1         \n"
                     "sub r0, r0, r1                 \n"
                     "add r0, r0, #8                 \n" BYTES("r4", "r5", "r6", "r7")
                     BYTES("r8", "r9", "r10", "r11")
                     "pkhbt r4, r4, r8, lsl #16      \n"
                     "pkhbt r5, r5, r9, lsl #16      \n"
                     "pkhbt r6, r6, r10, lsl #16     \n"
                     "pkhbt r7, r7, r11, lsl #16     \n"
                     BYTES("r8", "r9", "r10", "r11")
                     "stm r2, {r4-r11}               \n"
                     "pop {r4-r11, pc}               \n");
}

#else

static void tr_widen_rgb(const int8_t *from, int32_t stride, tr_word *x, int32_t step)
{
    tr_widen4(from, step, 2, x, 3, stride - 8);
    x += 3 * 2 * TR_GROUP_WORDS;
    for (int32_t p = 0; p < 4; p++, from += step) {
        x[p] = tr_halves(from[8], from[stride + 8]);
        x[p + 4] = from[2 * stride + 8];
    }
}

#endif

/* Rows under four windows, first column `left`, as they would be without a border. */
static TR_NO_INLINE TR_NO_LIBRARY void tr_gather_columns(const tr_conv *op, const int8_t *in,
                                                         int32_t y, int32_t left, int32_t columns,
                                                         int8_t *to)
{
    for (int32_t row = 0; row < op->kernel_h; row++)
        to = tr_gather_row(op, in, y + row, left, columns, to);
}

/* Scratch: 8 * inputs + 8 bytes, inputs rounded up to a multiple of four; where windows reach over
 * the border, the columns under four windows behind it. Rows have a multiple of four windows. */
void tr_conv2d_rgb(const tr_tiled *op, const int8_t *in, int8_t *out, void *scratch)
{
    const tr_conv *conv = &op->conv;
    tr_word *x = scratch;
    int8_t *patch = (int8_t *)(x + TR_GROUP_WORDS * op->groups + 2), *to = out;
    const tr_slots slots = tr_four_slots(op);
    int32_t in_c = conv->in_c, stride = conv->in_w * in_c, reach = 3 * conv->stride_w;
    int32_t columns = reach + conv->kernel_w, step = conv->stride_w * in_c, y = -conv->pad_top;
    for (int32_t rows = conv->out_h; rows > 0; rows--, y += conv->stride_h) {
        int32_t left = -conv->pad_left;
        for (int32_t fours = conv->out_w >> 2; fours > 0; fours--) {
            if (tr_is_inside(conv, y, left, left + reach)) {
                tr_widen_rgb(in + y * stride + left * in_c, stride, x, step);
            } else {
                tr_gather_columns(conv, in, y, left, columns, patch);
                tr_widen_rgb(patch, columns * in_c, x, step);
            }
            tr_tile_all(op, x, to, &slots);
            to += 4 * conv->out_c;
            left += reach + conv->stride_w;
        }
    }
    tr_clamp(out, conv->out_h * conv->out_w * conv->out_c, conv->clamp_min, conv->clamp_max);
}
