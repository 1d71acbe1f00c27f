/* SPDX-License-Identifier: Apache-2.0 */
/* The inner product of the fast convolutions: four pixels by two output channels.
 *
 * `x` holds the inputs of four pixels as pairs of halves, a pair of each pixel after the other:
 * 16 bytes for two inputs of four pixels. Two pairs, four inputs, are a group.
 *
 * `pairs` is one stream of words in the order in which they are read, for each two channels c0, c1:
 *     bias of c1, with eight bits below the last of a sum
 *     for each pair of inputs a word of two halves, each 256 * (weight of c1) + (weight of c0)
 *     the words by which the channels end, see the tiles below
 * and TR_END behind the last. One product with such a word sums up 256 * c1 + c0, one with its low
 * bytes alone c0: their difference is c1 with the eight bits that requantisation wants, and each
 * weight word is expanded once for eight products.
 */
#ifndef TINYRACK_TILE_H
#define TINYRACK_TILE_H

#include "kernels.h"

#define TR_END INT32_MIN
#define TR_GROUP_WORDS 8

/* Where the outputs of the four pixels go: out + 0, stride, 2 * stride, last. Those of the first
 * are written behind all others, so that a pixel that there is not gets a distance of 0. */
struct tr_slots {
    int32_t stride, last, groups;
};

/* Four windows, `step` bytes apart, into all slots of x: from each, `rows` rows of `words` words
 * (both 1 or more), `skip` bytes between two of them. */
void tr_widen4(const int8_t *from, int32_t step, int32_t words, tr_word *x, int32_t rows,
               int32_t skip);

/* Words of one window into a slot; x: of that slot. */
TR_INLINE tr_word *tr_widen(const int8_t *from, int32_t words, tr_word *x)
{
    for (; words > 0; words--, from += 4, x += TR_GROUP_WORDS) {
        int32_t word = tr_load4(from);
        x[0] = tr_even(word);
        x[4] = tr_odd(word);
    }
    return x;
}

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* Where to read `pairs`: of `room` if that holds a copy, which spares each tile the waits of flash. */
TR_INLINE const int32_t *tr_kept(const tr_tiled *op, int32_t *room)
{
    const int32_t *from = op->pairs;
    int32_t *to = room;
    if (op->kept == 0)
        return from;
    TR_ROLLED
    for (int32_t left = op->kept; left > 0; left -= 4)
        __asm__ volatile("ldm %0!, {r4, r5, r6, r8} \n stm %1!, {r4, r5, r6, r8}"
                         : "+r"(from), "+r"(to)
                         :
                         : "r4", "r5", "r6", "r8", "memory");
    return room;
}

#endif

#endif
