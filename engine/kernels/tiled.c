/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions in tiles of four pixels by two channels: windows into scratch, then tile.c.
 *
 * Inputs of a window in groups of four: the whole words of each of its rows, then the bytes behind
 * them, of all rows. engine/tiled.py lays the weights out in the same order.
 */
#include "patch.h"
#include "scale.h"
#include "tile.h"

typedef int16_t __attribute__((may_alias)) tr_half;

/* The outputs of `count` (1 to 4) pixels. */
static TR_NO_INLINE void tr_tile_pixels(const tr_tiled *op, const tr_word *x, int32_t count,
                                        int8_t *out)
{
    int32_t out_c = op->conv.out_c;
    tr_slots slots = {count > 2 ? out_c : 0, count > 3 ? 3 * out_c : 0, op->groups};
    if (count == 2)
        slots.last = out_c;
    op->tile(x, op->pairs, out, &slots);
    if (op->odd > 0)
        op->tile(x, op->pairs + op->odd, out + out_c - 2, &slots);
}

/* The slot of a pixel among `count`: the second of two goes where `last` says. */
TR_INLINE int32_t tr_slot(int32_t pixel, int32_t count)
{
    return count == 2 && pixel == 1 ? 3 : pixel;
}

/* A window of `rows` rows of `row_bytes`, `stride` bytes apart, into a slot. */
TR_INLINE void tr_widen_rows(const int8_t *from, int32_t stride, int32_t rows, int32_t row_bytes,
                              tr_word *x)
{
    int32_t words = row_bytes >> 2, tail = row_bytes & 3;
    const int8_t *row = from;
    for (int32_t y = 0; y < rows; y++, row += stride)
        x = tr_widen(row, words, x);
    tr_half *half = (tr_half *)x;
    row = from + 4 * words;
    for (int32_t y = 0, at = 0; y < rows; y++, row += stride)
        for (int32_t i = 0; i < tail; i++, at++)
            half[8 * (at >> 1) + (at & 1)] = row[i];
}

/* Scratch: 8 * inputs + 4 bytes, inputs rounded up to a multiple of four. */
void tr_pointwise(const tr_tiled *op, const int8_t *in, int8_t *out, void *scratch)
{
    int32_t in_c = op->conv.in_c, out_c = op->conv.out_c;
    tr_word *x = scratch;
    int8_t *to = out;
    for (int32_t left = op->conv.out_h * op->conv.out_w; left > 0; left -= 4) {
        int32_t count = left < 4 ? left : 4;
        if (count == 4 && (in_c & 3) == 0)
            tr_widen4(in, in_c, op->groups, x);
        else
            for (int32_t p = 0; p < count; p++)
                tr_widen_rows(in + p * in_c, 0, 1, in_c, x + tr_slot(p, count));
        tr_tile_pixels(op, x, count, to);
        in += 4 * in_c;
        to += 4 * out_c;
    }
    tr_clamp(out, op->conv.out_h * op->conv.out_w * out_c, op->conv.clamp_min, op->conv.clamp_max);
}

/* The rows of a window, wherever they are; a row of nine bytes is that of an RGB image. */
static TR_NO_INLINE void tr_widen_window(const int8_t *from, int32_t stride, int32_t rows,
                                          int32_t row_bytes, tr_word *x)
{
    if (rows == 3 && row_bytes == 9)
        tr_widen_rows(from, stride, 3, 9, x);
    else
        tr_widen_rows(from, stride, rows, row_bytes, x);
}

/* Whether all taps of the window at row y and column `left` are side by side in the image. */
TR_INLINE int tr_is_inside(const tr_conv *op, int32_t y, int32_t left)
{
    return op->dilation_h == 1 && op->dilation_w == 1 && y >= 0 && left >= 0 &&
           y + op->kernel_h <= op->in_h && left + op->kernel_w <= op->in_w;
}

TR_INLINE void tr_take_window(const tr_tiled *op, const int8_t *in, int32_t y, int32_t left,
                              tr_word *x)
{
    const tr_conv *conv = &op->conv;
    int32_t row_bytes = conv->kernel_w * conv->in_c, stride = conv->in_w * conv->in_c;
    tr_widen_window(in + (y * conv->in_w + left) * conv->in_c, stride, conv->kernel_h, row_bytes,
                     x);
}

/* Scratch: 8 * inputs + 4 bytes, inputs rounded up to a multiple of four; where windows reach over
 * the border or taps are apart, a patch of that many bytes behind it. */
TR_NO_LIBRARY void tr_conv2d(const tr_tiled *op, const int8_t *in, int8_t *out, void *scratch)
{
    const tr_conv *conv = &op->conv;
    tr_word *x = scratch;
    int8_t *patch = (int8_t *)(x + TR_GROUP_WORDS * op->groups + 1);
    int32_t row_bytes = conv->kernel_w * conv->in_c;
    int32_t left = conv->out_h * conv->out_w, pixel = 0;
    int32_t count = left < 4 ? left : 4;
    int8_t *to = out;
    for (int32_t oy = 0; oy < conv->out_h; oy++) {
        for (int32_t ox = 0; ox < conv->out_w; ox++) {
            int32_t y = oy * conv->stride_h - conv->pad_top;
            int32_t column = ox * conv->stride_w - conv->pad_left;
            tr_word *slot = x + tr_slot(pixel, count);
            if (tr_is_inside(conv, y, column)) {
                tr_take_window(op, in, y, column, slot);
            } else {
                tr_gather_patch(conv, in, y, column, patch);
                tr_widen_window(patch, row_bytes, conv->kernel_h, row_bytes, slot);
            }
            if (++pixel < count)
                continue;
            tr_tile_pixels(op, x, count, to);
            to += count * conv->out_c;
            left -= count;
            count = left < 4 ? left : 4;
            pixel = 0;
        }
    }
    tr_clamp(out, conv->out_h * conv->out_w * conv->out_c, conv->clamp_min, conv->clamp_max);
}
