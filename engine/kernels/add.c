/* SPDX-License-Identifier: Apache-2.0 */
/* Sum and difference of two tensors with scales of their own. out may be an input of its size. */
#include "scale.h"
#include "spread.h"

#define TR_ADD_LEFT_SHIFT 20 /* head room that TFLite gives both inputs */

TR_INLINE int32_t tr_add_input(int32_t value, int32_t zero, tr_factor factor)
{
    int32_t wide = (value - zero) * (1 << TR_ADD_LEFT_SHIFT);
    return tr_requantize(wide, factor.multiplier, factor.shift);
}

void tr_add_plain(const tr_sum *op, const int8_t *a, const int8_t *b, int8_t *out)
{
    const tr_spread *at = &op->at;
    for (int32_t y = 0; y < at->sizes[0]; y++) {
        for (int32_t x = 0; x < at->sizes[1]; x++) {
            const int8_t *from_a = tr_row_a(at, a, y, x), *from_b = tr_row_b(at, b, y, x);
            for (int32_t c = 0; c < at->sizes[2]; c++) {
                int32_t one = tr_add_input(from_a[c * at->steps_a[2]], op->zero_a, op->factor_a);
                int32_t two = tr_add_input(from_b[c * at->steps_b[2]], op->zero_b, op->factor_b);
                int32_t value = tr_requantize(op->sign_a * one + op->sign_b * two,
                                              op->factor_out.multiplier, op->factor_out.shift);
                *out++ = (int8_t)tr_clamped(value + op->out_zero, op->clamp_min, op->clamp_max);
            }
        }
    }
}

/* a has the larger scale, so that it is exactly its value << 19; b and the sum have shifts of 1 or
 * more, b also where the scales are equal: its factor of 1/2 is then given as (2**31 - 1) / 2**32.
 * factor_out.shift is 22 or less. See tr_output for how the two roundings become sums. */
TR_INLINE void tr_add_fast(const tr_sum *op, int32_t sign_a, int32_t sign_b, const int8_t *a,
                           const int8_t *b, int8_t *out)
{
    int32_t offset_a = op->zero_a * (1 << (TR_ADD_LEFT_SHIFT - 1));
    int32_t offset_b = op->zero_b * (1 << (TR_ADD_LEFT_SHIFT + 1));
    int32_t shift_b = op->factor_b.shift, shift_out = op->factor_out.shift;
    int32_t multiplier_b = op->factor_b.multiplier, multiplier_out = op->factor_out.multiplier;
    int32_t half_b = 1 << (shift_b - 1);
    int32_t addend = op->out_zero * (1 << shift_out) + (1 << (shift_out - 1));
    int32_t size = op->at.sizes[2];
    const int8_t *end = a + size;
    int8_t *to = out;
    while (a != end) {
        int32_t twice_b = *b++ * (1 << (TR_ADD_LEFT_SHIFT + 1)) - offset_b;
        int32_t scaled_b = tr_high_mla(twice_b, multiplier_b, half_b);
        scaled_b = (scaled_b + (twice_b >> 31)) >> shift_b;
        int32_t scaled_a = *a++ * (1 << (TR_ADD_LEFT_SHIFT - 1)) - offset_a;
        int32_t sum = sign_b * scaled_b + sign_a * scaled_a;
        int32_t value = tr_high_mla(sum * 2, multiplier_out, addend);
        *to++ = (int8_t)tr_saturate8((value + (sum >> 31)) >> shift_out);
    }
    tr_clamp(out, size, op->clamp_min, op->clamp_max);
}

/* Of equal shapes, which are one long row. */
void tr_add_scaled(const tr_sum *op, const int8_t *a, const int8_t *b, int8_t *out)
{
    tr_add_fast(op, 1, 1, a, b, out);
}

/* The same; the signs say which of the two is taken from the other. */
void tr_sub_scaled(const tr_sum *op, const int8_t *a, const int8_t *b, int8_t *out)
{
    tr_add_fast(op, op->sign_a, op->sign_b, a, b, out);
}
