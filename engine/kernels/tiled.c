/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions in tiles of four pixels by two channels: windows into scratch, then tile.c.
 *
 * Inputs of a window in groups of four: the whole words of each of its rows, then the bytes behind
 * them, of all rows. engine/tiled.py lays the weights out in the same order.
 */
#include "scale.h"
#include "tiled.h"

typedef int16_t __attribute__((may_alias)) tr_half;

/* The outputs of `count` (1 to 3) pixels. */
static TR_NO_INLINE void tr_tile_pixels(const tr_tiled *op, const tr_word *x, int32_t count,
                                        int8_t *out)
{
    int32_t out_c = op->conv.out_c;
    tr_slots slots = {count > 2 ? out_c : 0, count == 2 ? out_c : 0, op->groups};
    tr_tile_all(op, x, out, &slots);
}

/* The slot of a pixel among `count`: the second of two goes where `last` says. */
TR_INLINE int32_t tr_slot(int32_t pixel, int32_t count)
{
    return count == 2 && pixel == 1 ? 3 : pixel;
}

/* Bytes behind the whole words of each row of a window; x: behind the words, of one slot. */
TR_INLINE void tr_widen_tails(const int8_t *from, int32_t stride, int32_t rows, int32_t tail,
                              tr_word *x)
{
    tr_half *half = (tr_half *)x;
    for (int32_t y = 0, at = 0; y < rows; y++, from += stride)
        TR_ROLLED
        for (int32_t i = 0; i < tail; i++, at++)
            half[8 * (at >> 1) + (at & 1)] = from[i];
}

/* A window of `rows` rows of `row_bytes`, `stride` bytes apart, into a slot. */
static TR_NO_INLINE void tr_widen_window(const int8_t *from, int32_t stride, int32_t rows,
                                         int32_t row_bytes, tr_word *x)
{
    int32_t words = row_bytes >> 2;
    const int8_t *row = from;
    for (int32_t y = 0; y < rows; y++, row += stride)
        x = tr_widen(row, words, x);
    tr_widen_tails(from + 4 * words, stride, rows, row_bytes & 3, x);
}

TR_INLINE void tr_widen_four_tails(const int8_t *from, int32_t step, int32_t stride, int32_t rows,
                                   int32_t tail, tr_word *x)
{
    tr_widen_tails(from, stride, rows, tail, x);
    tr_widen_tails(from + step, stride, rows, tail, x + 1);
    tr_widen_tails(from + 2 * step, stride, rows, tail, x + 2);
    tr_widen_tails(from + 3 * step, stride, rows, tail, x + 3);
}

static TR_NO_INLINE void tr_widen_any_tails(const int8_t *from, int32_t step, int32_t stride,
                                            int32_t rows, int32_t tail, tr_word *x)
{
    TR_ROLLED
    for (int32_t p = 4; p > 0; p--, from += step, x++)
        tr_widen_tails(from, stride, rows, tail, x);
}

/* Four windows, `step` bytes apart. */
static TR_NO_INLINE void tr_widen_windows(const int8_t *from, int32_t step, int32_t stride,
                                          int32_t rows, int32_t row_bytes, tr_word *x)
{
    int32_t words = row_bytes >> 2, tail = row_bytes & 3;
    if (words > 0)
        tr_widen4(from, step, words, x, rows, stride - 4 * words);
    x += TR_GROUP_WORDS * words * rows;
    from += 4 * words;
    if (tail == 1 && rows == 3) /* of an RGB image: loops unrolled */
        tr_widen_four_tails(from, step, stride, 3, 1, x);
    else if (tail > 0)
        tr_widen_any_tails(from, step, stride, rows, tail, x);
}

/* Scratch: 8 * inputs + 8 bytes, inputs rounded up to a multiple of four. */
void tr_pointwise(const tr_tiled *op, const int8_t *in, int8_t *out, void *scratch)
{
    int32_t in_c = op->conv.in_c, out_c = op->conv.out_c, left = op->conv.out_h * op->conv.out_w;
    const tr_slots slots = tr_four_slots(op);
    tr_word *x = scratch;
    int8_t *to = out;
    for (; left >= 4; left -= 4, in += 4 * in_c, to += 4 * out_c) {
        if ((in_c & 3) == 0)
            tr_widen4(in, in_c, in_c >> 2, x, 1, 0);
        else
            tr_widen_windows(in, in_c, 0, 1, in_c, x);
        tr_tile_all(op, x, to, &slots);
    }
    for (int32_t p = 0; p < left; p++)
        tr_widen_window(in + p * in_c, 0, 1, in_c, x + tr_slot(p, left));
    if (left > 0)
        tr_tile_pixels(op, x, left, to);
    tr_clamp(out, op->conv.out_h * op->conv.out_w * out_c, op->conv.clamp_min, op->conv.clamp_max);
}

/* One window, by way of a patch where it is not in the image as it is. */
static TR_NO_INLINE TR_NO_LIBRARY void tr_take_window(const tr_conv *op, const int8_t *in,
                                                      int32_t y, int32_t column, int8_t *patch,
                                                      tr_word *x)
{
    int32_t row_bytes = op->kernel_w * op->in_c, stride = op->in_w * op->in_c;
    if (tr_is_inside(op, y, column, column)) {
        in += y * stride + column * op->in_c;
    } else {
        tr_gather_patch(op, in, y, column, patch);
        in = patch;
        stride = row_bytes;
    }
    tr_widen_window(in, stride, op->kernel_h, row_bytes, x);
}

/* Scratch: 8 * inputs + 8 bytes, inputs rounded up to a multiple of four; where windows reach over
 * the border or taps are apart, a patch of that many bytes behind it. */
void tr_conv2d(const tr_tiled *op, const int8_t *in, int8_t *out, void *scratch)
{
    const tr_conv *conv = &op->conv;
    tr_word *x = scratch;
    int8_t *patch = (int8_t *)(x + TR_GROUP_WORDS * op->groups + 2);
    int32_t in_c = conv->in_c, stride = conv->in_w * in_c, step = conv->stride_w;
    int32_t y = -conv->pad_top, end = conv->out_w * step - conv->pad_left;
    int32_t column = -conv->pad_left; /* of the next window */
    const tr_slots slots = tr_four_slots(op);
    int8_t *to = out;
    for (int32_t left = conv->out_h * conv->out_w; left > 0; left -= 4) {
        int32_t count = left < 4 ? left : 4, last = column + 3 * step;
        if (count == 4 && last < end && tr_is_inside(conv, y, column, last)) {
            tr_widen_windows(in + y * stride + column * in_c, step * in_c, stride, conv->kernel_h,
                             conv->kernel_w * in_c, x);
            column = last + step;
        } else {
            for (int32_t p = 0; p < count; p++, column += step) {
                if (column == end) {
                    y += conv->stride_h;
                    column = -conv->pad_left;
                }
                tr_take_window(conv, in, y, column, patch, x + tr_slot(p, count));
            }
        }
        if (column == end) {
            y += conv->stride_h;
            column = -conv->pad_left;
        }
        if (count == 4)
            tr_tile_all(op, x, to, &slots);
        else
            tr_tile_pixels(op, x, count, to);
        to += 4 * conv->out_c;
    }
    tr_clamp(out, conv->out_h * conv->out_w * conv->out_c, conv->clamp_min, conv->clamp_max);
}
