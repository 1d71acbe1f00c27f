/* SPDX-License-Identifier: Apache-2.0 */
/* Sum or difference of two tensors of one shape as a line that engine/blend.py has proven on all
 * pairs of values: (first * a + second * b + addend) >> 20, a and b times 256 and each product
 * shifted right by 16. out may be an input.
 */
#include "scale.h"

#define TR_HIGH_BYTES ((int32_t)0xFF00FF00u)

/* Bytes 0 and 2 of a word, each times 256, as halves; then bytes 1 and 3. */
TR_INLINE int32_t tr_even_256(int32_t word)
{
    return (int32_t)((uint32_t)word << 8) & TR_HIGH_BYTES;
}

TR_INLINE int32_t tr_odd_256(int32_t word)
{
    return word & TR_HIGH_BYTES;
}

/* Of one element, the low or the high halves of two words. */
TR_INLINE int32_t tr_blend_low(const tr_line *op, int32_t a, int32_t b)
{
    int32_t sum = tr_wide_low(op->first, a, op->addend);
    return tr_saturate8_20(tr_wide_low(op->second, b, sum));
}

TR_INLINE int32_t tr_blend_high(const tr_line *op, int32_t a, int32_t b)
{
    int32_t sum = tr_wide_high(op->first, a, op->addend);
    return tr_saturate8_20(tr_wide_high(op->second, b, sum));
}

TR_INLINE int32_t tr_blend4(const tr_line *op, int32_t a, int32_t b)
{
    int32_t even_a = tr_even_256(a), odd_a = tr_odd_256(a);
    int32_t even_b = tr_even_256(b), odd_b = tr_odd_256(b);
    return tr_join4(tr_blend_low(op, even_a, even_b), tr_blend_low(op, odd_a, odd_b),
                    tr_blend_high(op, even_a, even_b), tr_blend_high(op, odd_a, odd_b));
}

void tr_add(const tr_line *op, const int8_t *a, const int8_t *b, int8_t *out)
{
    const tr_line line = *op;
    const int8_t *fours = a + (line.size & ~3), *end = a + line.size;
    int8_t *to = out;
    for (; a != fours; a += 4, b += 4, to += 4)
        tr_store4(to, tr_blend4(&line, tr_load4(a), tr_load4(b)));
    for (; a != end; a++, b++)
        *to++ = (int8_t)tr_blend_low(&line, *a * 256, *b * 256);
    tr_clamp(out, line.size, line.clamp_min, line.clamp_max);
}
