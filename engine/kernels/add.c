/* Element-wise sum of two tensors with scales of their own; out may be one of the inputs. */
#include "scale.h"

#define TR_ADD_LEFT_SHIFT 20 /* head room that TFLite gives both inputs */

TR_INLINE int32_t tr_add_input(int32_t value, int32_t zero, tr_factor factor)
{
    int32_t wide = (value - zero) * (1 << TR_ADD_LEFT_SHIFT);
    return tr_requantize(wide, factor.multiplier, factor.shift);
}

void tr_add_plain(const tr_sum *op, const int8_t *a, const int8_t *b, int8_t *out)
{
    for (int32_t i = 0; i < op->size; i++) {
        int32_t sum = tr_add_input(a[i], op->zero_a, op->factor_a) +
                      tr_add_input(b[i], op->zero_b, op->factor_b);
        int32_t value = tr_requantize(sum, op->factor_out.multiplier, op->factor_out.shift);
        out[i] = (int8_t)tr_clamped(value + op->out_zero, op->clamp_min, op->clamp_max);
    }
}

/* a has the larger scale, so that it is exactly its value << 19; b and the sum have shifts of 1 or
 * more, b also where the scales are equal: its factor of 1/2 is then given as (2**31 - 1) / 2**32.
 * factor_out.shift is 22 or less. See tr_output for how the two roundings become sums. */
void tr_add(const tr_sum *op, const int8_t *a, const int8_t *b, int8_t *out)
{
    int32_t offset_a = op->zero_a * (1 << (TR_ADD_LEFT_SHIFT - 1));
    int32_t offset_b = op->zero_b * (1 << (TR_ADD_LEFT_SHIFT + 1));
    int32_t shift_b = op->factor_b.shift, shift_out = op->factor_out.shift;
    int32_t multiplier_b = op->factor_b.multiplier, multiplier_out = op->factor_out.multiplier;
    int32_t half_b = 1 << (shift_b - 1);
    int32_t addend = op->out_zero * (1 << shift_out) + (1 << (shift_out - 1));
    const int8_t *end = a + op->size;
    int8_t *to = out;
    while (a != end) {
        int32_t twice_b = *b++ * (1 << (TR_ADD_LEFT_SHIFT + 1)) - offset_b;
        int32_t scaled_b = tr_high_mla(twice_b, multiplier_b, half_b);
        scaled_b = (scaled_b + (twice_b >> 31)) >> shift_b;
        int32_t sum = scaled_b + *a++ * (1 << (TR_ADD_LEFT_SHIFT - 1)) - offset_a;
        int32_t value = tr_high_mla(sum * 2, multiplier_out, addend);
        *to++ = (int8_t)tr_saturate8((value + (sum >> 31)) >> shift_out);
    }
    tr_clamp(out, op->size, op->clamp_min, op->clamp_max);
}
