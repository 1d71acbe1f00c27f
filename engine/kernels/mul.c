/* SPDX-License-Identifier: Apache-2.0 */
/* Product of two tensors. out may be an input of its size. */
#include "scale.h"
#include "spread.h"

void tr_mul_plain(const tr_product *op, const int8_t *a, const int8_t *b, int8_t *out)
{
    const tr_spread *at = &op->at;
    for (int32_t y = 0; y < at->sizes[0]; y++) {
        for (int32_t x = 0; x < at->sizes[1]; x++) {
            const int8_t *from_a = tr_row_a(at, a, y, x), *from_b = tr_row_b(at, b, y, x);
            for (int32_t c = 0; c < at->sizes[2]; c++) {
                int32_t product = (from_a[c * at->steps_a[2]] - op->zero_a) *
                                  (from_b[c * at->steps_b[2]] - op->zero_b);
                int32_t value = tr_requantize(product, op->factor.multiplier, op->factor.shift);
                *out++ = (int8_t)tr_clamped(value + op->out_zero, op->clamp_min, op->clamp_max);
            }
        }
    }
}

/* One element: see tr_output for how the two roundings become a sum. */
TR_INLINE int8_t tr_product_of(int32_t one, int32_t two, tr_factor factor, int32_t addend)
{
    int32_t product = one * two;
    int32_t value = tr_high_mla(product * 2, factor.multiplier, addend);
    return (int8_t)tr_saturate8((value + (product >> 31)) >> factor.shift);
}

/* One row, along which a goes on, and b too or not at all. */
TR_INLINE int8_t *tr_mul_row(const tr_product *op, const int8_t *a, const int8_t *b, int8_t *out)
{
    int32_t zero_a = op->zero_a, zero_b = op->zero_b;
    tr_factor factor = op->factor;
    int32_t addend = op->out_zero * (1 << factor.shift) + (1 << (factor.shift - 1));
    const int8_t *end = a + op->at.sizes[2];
    if (op->at.steps_b[2] == 1) {
        while (a != end)
            *out++ = tr_product_of(*a++ - zero_a, *b++ - zero_b, factor, addend);
        return out;
    }
    int32_t other = *b - zero_b;
    while (a != end)
        *out++ = tr_product_of(*a++ - zero_a, other, factor, addend);
    return out;
}

/* factor.shift is 1 .. 22. */
void tr_mul(const tr_product *op, const int8_t *a, const int8_t *b, int8_t *out)
{
    const tr_spread *at = &op->at;
    int8_t *to = out;
    for (int32_t y = 0; y < at->sizes[0]; y++)
        for (int32_t x = 0; x < at->sizes[1]; x++)
            to = tr_mul_row(op, tr_row_a(at, a, y, x), tr_row_b(at, b, y, x), to);
    tr_clamp(out, tr_spread_size(at), op->clamp_min, op->clamp_max);
}
