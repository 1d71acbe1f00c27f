/* SPDX-License-Identifier: Apache-2.0 */
/* The inner loops of the fast depthwise convolutions, and where they find their inputs.
 *
 * Scratch holds some rows of four channels. A word is two rows of a column, the upper one in its
 * low half: a pair. A column is four channels, each of them 3 to 9 pairs from top to bottom, the
 * slots, so that one product with a pair of weights takes two taps, and all steps are constants.
 *
 * Inputs are 256 times what they are where outputs end in one shift, and as they are where they end
 * in two roundings; then the weights are doubled. See engine/swept.py.
 */
#ifndef TINYRACK_SWEEP_H
#define TINYRACK_SWEEP_H

#include "kernels.h"

/* How a row of input is taken: bytes from a row to the next, and from a pixel; how many pixels; the
 * word of zero points that stands for a row outside of the image. */
struct tr_row {
    int32_t down, right, count, zeros;
};

/* Which rows of a pair are in the image. */
#define TR_BOTH 0
#define TR_UPPER 1
#define TR_LOWER 2

/* What the outputs of a strip are. Rows that begin with the upper half of a pair are even ones;
 * with a stride of 2, all of them.
 * columns: of large kernels, the width; of 3x3, 65536 times the width if that is odd, or else times
 * the width less 2. Sweeps of 3x3 count it down by two outputs until it is negative; at the end of a
 * row, where they are behind all outputs but the last or the last two, they add `again` to what is
 * left of it, `back` to the column and `down` to the output. */
struct tr_lines {
    int32_t right;          /* bytes from an output to the next */
    int32_t columns, again;
    int32_t down;           /* bytes from an even row, or of 3x3 from its end, to the next */
    int32_t evens, odds;    /* four times the number of such rows */
    int32_t odd_at;         /* bytes from the first even row to the first odd one */
    int32_t channels;       /* one to four */
    int32_t back;           /* bytes from the column behind a row to that of the next one below */
};

#endif
