/* SPDX-License-Identifier: Apache-2.0 */
/* The patch of an image under a window: kernel_h * kernel_w * in_c bytes. */
#ifndef TINYRACK_PATCH_H
#define TINYRACK_PATCH_H

#include "kernels.h"

/* Few bytes at a time: short loops in one place, or compilers unroll each of them where it stands. */
#define TR_PATCH static TR_NO_INLINE TR_NO_LIBRARY __attribute__((unused))

TR_INLINE int8_t *tr_copy(int8_t *to, const int8_t *from, int32_t count)
{
    for (; count >= 4; count -= 4, to += 4, from += 4)
        tr_store4(to, tr_load4(from));
    TR_ROLLED
    for (; count > 0; count--)
        *to++ = *from++;
    return to;
}

TR_PATCH int8_t *tr_fill(int8_t *to, int32_t value, int32_t count)
{
    TR_ROLLED
    for (; count >= 4; count -= 4, to += 4)
        tr_store4(to, tr_pack4(value, value, value, value));
    TR_ROLLED
    for (; count > 0; count--)
        *to++ = (int8_t)value;
    return to;
}

/* One row of a patch: `columns` * in_c bytes, outside of the image the zero point. As paddings are
 * less than the kernel, each row of the image has a tap of each window. */
TR_INLINE int8_t *tr_gather_row(const tr_conv *op, const int8_t *in, int32_t y, int32_t left,
                                int32_t columns, int8_t *to)
{
    int32_t in_c = op->in_c;
    if (y < 0 || y >= op->in_h)
        return tr_fill(to, op->in_zero, columns * in_c);
    int32_t first = left < 0 ? -left : 0;
    int32_t end = left + columns > op->in_w ? op->in_w - left : columns;
    to = tr_fill(to, op->in_zero, first * in_c);
    to = tr_copy(to, in + (y * op->in_w + left + first) * in_c, (end - first) * in_c);
    return tr_fill(to, op->in_zero, (columns - end) * in_c);
}

/* The patch whose first tap is at row y and column `left`, taps being apart from each other. */
TR_PATCH void tr_gather_apart(const tr_conv *op, const int8_t *in, int32_t y, int32_t left,
                              int8_t *to)
{
    int32_t in_c = op->in_c;
    for (int32_t rows = op->kernel_h; rows > 0; rows--, y += op->dilation_h) {
        int32_t x = left;
        for (int32_t taps = op->kernel_w; taps > 0; taps--, x += op->dilation_w)
            if (y < 0 || y >= op->in_h || x < 0 || x >= op->in_w)
                to = tr_fill(to, op->in_zero, in_c);
            else
                to = tr_copy(to, in + (y * op->in_w + x) * in_c, in_c);
    }
}

TR_INLINE void tr_gather_patch(const tr_conv *op, const int8_t *in, int32_t y, int32_t left,
                               int8_t *to)
{
    if (op->dilation_h != 1 || op->dilation_w != 1) {
        tr_gather_apart(op, in, y, left, to);
        return;
    }
    for (int32_t row = 0; row < op->kernel_h; row++)
        to = tr_gather_row(op, in, y + row, left, op->kernel_w, to);
}

#endif
