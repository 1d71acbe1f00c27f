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

/* The constants of one double rounding whose shift is 0 .. 30, taken out of the loop. */
typedef struct {
    int32_t multiplier, shift, half, sign;
} tr_rounding;

TR_INLINE tr_rounding tr_rounding_of(tr_factor factor)
{
    tr_rounding rounding = {factor.multiplier, factor.shift, 0, 0};
    if (factor.shift > 0) {
        rounding.half = 1 << (factor.shift - 1);
        rounding.sign = -1;
    }
    return rounding;
}

/* As tr_requantize, for abs(value) < 2**30; see tr_output for the sign term. */
TR_INLINE int32_t tr_round(int32_t value, const tr_rounding *rounding)
{
    int32_t sum = tr_high_mla(value * 2, rounding->multiplier, rounding->half);
    return (sum + ((value >> 31) & rounding->sign)) >> rounding->shift;
}

void tr_add(const tr_sum *op, const int8_t *a, const int8_t *b, int8_t *out)
{
    tr_rounding of_a = tr_rounding_of(op->factor_a);
    tr_rounding of_b = tr_rounding_of(op->factor_b);
    tr_rounding of_sum = tr_rounding_of(op->factor_out);
    int32_t zero_a = op->zero_a, zero_b = op->zero_b, out_zero = op->out_zero;
    for (int32_t i = 0; i < op->size; i++) {
        int32_t wide_a = (a[i] - zero_a) * (1 << TR_ADD_LEFT_SHIFT);
        int32_t wide_b = (b[i] - zero_b) * (1 << TR_ADD_LEFT_SHIFT);
        int32_t sum = tr_round(wide_a, &of_a) + tr_round(wide_b, &of_b);
        out[i] = (int8_t)tr_saturate8(tr_round(sum, &of_sum) + out_zero);
    }
    tr_clamp(out, op->size, op->clamp_min, op->clamp_max);
}
