/* SPDX-License-Identifier: Apache-2.0 */
/* Element-wise operators of two inputs, one of which may be repeated along some axes. */
#ifndef TINYRACK_SPREAD_H
#define TINYRACK_SPREAD_H

#include "kernels.h"

/* The elements of both inputs that begin a row of the output. */
TR_INLINE const int8_t *tr_row_a(const tr_spread *at, const int8_t *a, int32_t y, int32_t x)
{
    return a + y * at->steps_a[0] + x * at->steps_a[1];
}

TR_INLINE const int8_t *tr_row_b(const tr_spread *at, const int8_t *b, int32_t y, int32_t x)
{
    return b + y * at->steps_b[0] + x * at->steps_b[1];
}

TR_INLINE int32_t tr_spread_size(const tr_spread *at)
{
    return at->sizes[0] * at->sizes[1] * at->sizes[2];
}

#endif
