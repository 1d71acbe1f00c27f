/* SPDX-License-Identifier: Apache-2.0 */
/* What the convolutions in tiles share: all tiles of four pixels, and where windows are. */
#ifndef TINYRACK_TILED_H
#define TINYRACK_TILED_H

#include "patch.h"
#include "tile.h"

TR_INLINE tr_slots tr_four_slots(const tr_tiled *op)
{
    tr_slots slots = {op->conv.out_c, 3 * op->conv.out_c, op->groups};
    return slots;
}

/* All channels of the pixels in x. */
TR_INLINE void tr_tile_all(const tr_tiled *op, const tr_word *x, int8_t *out,
                           const tr_slots *slots)
{
    op->tile(x, op->pairs, out, slots);
    if (op->odd > 0)
        op->tile(x, op->pairs + op->odd, out + op->conv.out_c - 2, slots);
}

/* Whether windows at row y, of columns from `first` to `last`, are in the image as they are. */
TR_INLINE int tr_is_inside(const tr_conv *op, int32_t y, int32_t first, int32_t last)
{
    return op->dilation_h == 1 && op->dilation_w == 1 && y >= 0 && first >= 0 &&
           y + op->kernel_h <= op->in_h && last + op->kernel_w <= op->in_w;
}

#endif
