/* SPDX-License-Identifier: Apache-2.0 */
/* The inner loops of the fast depthwise convolutions, and where they find their inputs.
 *
 * Scratch holds some rows of four channels. A word is two rows of a column, the upper one in its
 * low half: a pair, so that one product with a pair of weights takes two taps. All steps but that
 * along a row are constants:
 * 3x3: a column is four channels, each of them 3, 7 or 14 pairs from top to bottom, the slots;
 * 5x5, 7x7: two columns are 8 or 9 slots, each of them four channels, of which each has the pairs of
 * the two columns side by side, so that one load takes both.
 *
 * Inputs are 256 times what they are where outputs end in one shift, and as they are where they end
 * in two roundings; then the weights are doubled. See engine/swept.py.
 */
#ifndef TINYRACK_SWEEP_H
#define TINYRACK_SWEEP_H

#include "kernels.h"

/* Columns that lie together; words of four channels of them; words from a slot to the next, and from
 * a channel. */
typedef struct {
    int32_t columns, words, slot, channel;
} tr_group;

/* How a row of input is taken: bytes from a row to the next, and from a pixel; how many pixels; the
 * word of zero points that stands for a row outside of the image; whether the first pixel is the
 * second of two columns; how many pairs of rows, one below the other: 1 where a row is outside. */
struct tr_row {
    int32_t down, right, count, zeros, odd, pairs;
    tr_group group; /* of the scratch that it is taken to */
};

/* Which rows of a pair are in the image. */
#define TR_BOTH 0
#define TR_UPPER 1
#define TR_LOWER 2

/* What the outputs of a strip are. Rows that begin with the upper half of a pair are even ones;
 * with a stride of 2, all of them.
 * columns: of large kernels, the width; of 3x3, 65536 times the width if that is odd, or else times
 * the width less 2. Sweeps of 3x3 count it down by two outputs until it is negative; at the end of a
 * row, where they are behind all outputs but the last or the last two, they add `back` to the column
 * and `down` to the output. */
struct tr_lines {
    int32_t right;          /* bytes from an output to the next */
    int32_t columns;
    int32_t down;           /* bytes from an even row, or of 3x3 from its end, to the next */
    int32_t evens, odds;    /* four times the number of such rows */
    int32_t odd_at;         /* bytes from the first even row to the first odd one */
    int32_t channels;       /* one to four */
    int32_t back;           /* bytes from the column behind a row to that of the next one below */
};

#endif
