/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax of each row of channels, in fixed point as gemmlowp rounds it. In place if wanted.
 *
 * A number of b integer bits is an int32 times 2**(b - 31); INT32_MAX of 0 integer bits is 1.
 * engine/fixed_point.py has the same in numpy.
 */
#include "kernels.h"

#define TR_SUM_BITS 12 /* integer bits of a row's sum: below 4096 exponentials fit */

/* round(a * b / 2**31), half up; not for both -2**31. */
TR_INLINE int32_t tr_high_mul(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* round(value / 2**exponent), half away from zero; exponent 0 .. 31. */
TR_INLINE_FAST int32_t tr_divide_by_pot(int32_t value, int32_t exponent)
{
    uint32_t mask = (1u << exponent) - 1u;
    uint32_t threshold = (mask >> 1) + (value < 0 ? 1u : 0u);
    return (value >> exponent) + (((uint32_t)value & mask) > threshold ? 1 : 0);
}

/* exp(x) of 0 integer bits, for -1/4 <= x < 0 of 5: a Taylor series around -1/8. */
TR_INLINE int32_t tr_exp_near_zero(int32_t raw)
{
    int32_t x = raw * 32 + (1 << 28);
    int32_t square = tr_high_mul(x, x);
    int32_t cube = tr_high_mul(square, x), fourth = tr_high_mul(square, square);
    int32_t tail = tr_high_mul(tr_divide_by_pot(fourth, 2) + cube, 715827883) + square; /* 1/3 */
    return 1895147668 + tr_high_mul(1895147668, x + tr_divide_by_pot(tail, 1)); /* exp(-1/8) */
}

/* exp(x) of 0 integer bits, for -32 < x <= 0 of 5. */
static int32_t tr_exp(int32_t raw)
{
    /* exp(-1/4), exp(-1/2), exp(-1) .. exp(-16): one factor a binary digit of -x */
    static const int32_t factors[7] = {1672461947, 1302514674, 790015084, 290630308,
                                       39332535,   720401,     242};
    int32_t low = (raw & 0xFFFFFF) - (1 << 24);
    int32_t result = tr_exp_near_zero(low);
    int32_t rest = low - raw;
    if (raw == 0)
        return INT32_MAX;
    for (int32_t i = 0; i < 7; i++)
        if (rest >> (24 + i) & 1)
            result = tr_high_mul(result, factors[i]);
    return result;
}

/* 1 / (1 + x) for 0 <= x < 1, both of 0 integer bits: three steps of Newton-Raphson. */
TR_INLINE int32_t tr_reciprocal(int32_t raw)
{
    int32_t half = (int32_t)(((uint32_t)raw + 0x80000000u) >> 1);
    int32_t guess = 1515870810 + tr_high_mul(half, -1010580540); /* 48/17 - 32/17 * half */
    for (int32_t i = 0; i < 3; i++)
        guess += tr_high_mul(guess, (1 << 29) - tr_high_mul(half, guess)) * 4;
    return guess >= 1 << 30 ? INT32_MAX : guess * 2;
}

/* exp(-below), or 0 where that is too little to count. */
TR_INLINE_FAST int32_t tr_exp_below(const tr_distribution *op, int32_t below)
{
    if (below > op->radius)
        return 0;
    return tr_exp(tr_high_mul(-(below << op->shift), op->multiplier));
}

TR_INLINE int32_t tr_largest(const int8_t *in, int32_t count)
{
    int32_t largest = in[0];
    for (int32_t i = 1; i < count; i++)
        largest = in[i] > largest ? in[i] : largest;
    return largest;
}

/* round(share / 2**exponent) steps of 1/256, less 128. */
TR_INLINE int8_t tr_probability(int32_t share, int32_t exponent)
{
    int32_t steps = exponent > 31 ? 0 : tr_divide_by_pot(share, exponent);
    return (int8_t)((steps > 255 ? 255 : steps) - 128);
}

void tr_softmax(const tr_distribution *op, const int8_t *in, int8_t *out)
{
    for (int32_t row = 0; row < op->rows; row++) {
        int32_t largest = tr_largest(in, op->channels), sum = 0;
        for (int32_t c = 0; c < op->channels; c++)
            sum += tr_divide_by_pot(tr_exp_below(op, largest - in[c]), TR_SUM_BITS);
        int32_t zeros = __builtin_clz((uint32_t)sum);
        int32_t scale = tr_reciprocal((int32_t)((uint32_t)sum << zeros & INT32_MAX));
        int32_t exponent = TR_SUM_BITS - zeros + 31 - 8;
        for (int32_t c = 0; c < op->channels; c++) {
            int32_t share = tr_high_mul(tr_exp_below(op, largest - in[c]), scale);
            out[c] = tr_probability(share, exponent);
        }
        in += op->channels;
        out += op->channels;
    }
}
