/* SPDX-License-Identifier: Apache-2.0 */
/* The inner product of every convolution: two pixels by two output channels.
 *
 * Expanded pixels hold, for each four bytes b0..b3, the halves (b0, b2) and (b1, b3) of the first
 * pixel, then those of the second: 16 bytes for four inputs of two pixels.
 */
#ifndef TINYRACK_MATMUL_H
#define TINYRACK_MATMUL_H

#include "scale.h"

#define TR_STEP_WORDS 4

/* Bytes of one weight row, or of one expanded patch. */
TR_INLINE int32_t tr_row_bytes(int32_t inputs)
{
    return (inputs + 3) & ~3;
}

/* Expand `count` bytes into one pixel's half of `words`; a last group is filled up with zeros. */
TR_INLINE void tr_expand(const int8_t *bytes, int32_t count, tr_word *words)
{
    for (; count >= 4; count -= 4, bytes += 4, words += TR_STEP_WORDS) {
        int32_t word = tr_load4(bytes);
        words[0] = tr_even(word);
        words[1] = tr_odd(word);
    }
    if (count > 0) {
        int32_t b1 = count > 1 ? bytes[1] : 0;
        int32_t b2 = count > 2 ? bytes[2] : 0;
        int32_t word = tr_pack4(bytes[0], b1, b2, 0);
        words[0] = tr_even(word);
        words[1] = tr_odd(word);
    }
}

/* All output channels of one or two expanded pixels; out is [pixels, out_c]. */
void tr_matmul(const tr_conv *op, const tr_word *x, int32_t pixels, int8_t *out);

#endif
