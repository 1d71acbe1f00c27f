/* SPDX-License-Identifier: Apache-2.0 */
/* Mean over any axes: sums of int32, then one requantisation that divides too. In place if wanted:
 * an output lies before every input that is still to be read.
 */
#include "scale.h"

#define TR_SMALL static __attribute__((noinline)) /* called once an output: size matters more */

TR_SMALL int8_t tr_mean_end(const tr_reduction *op, int32_t sum)
{
    int32_t steps = tr_requantize(sum + op->base, op->factor.multiplier, op->factor.shift);
    return (int8_t)tr_clamped(steps + op->out_zero, op->clamp_min, op->clamp_max);
}

/* The sum behind one output; `in` is its first element. */
TR_SMALL int32_t tr_sum_of(const tr_reduction *op, const int8_t *in)
{
    int32_t sum = 0;
    for (int32_t far = 0; far < op->far; far++) {
        for (int32_t near = 0; near < op->near; near++)
            sum += in[near * op->inner];
        in += op->middle * op->near * op->inner;
    }
    return sum;
}

void tr_reduce_mean_plain(const tr_reduction *op, const int8_t *in, int8_t *out)
{
    for (int32_t outer = 0; outer < op->outer; outer++) {
        for (int32_t middle = 0; middle < op->middle; middle++)
            for (int32_t inner = 0; inner < op->inner; inner++)
                *out++ = tr_mean_end(op, tr_sum_of(op, in + middle * op->near * op->inner + inner));
        in += op->far * op->middle * op->near * op->inner;
    }
}

/* Four outputs at once, in 16-bit sums. */
TR_INLINE void tr_mean_quad(const tr_reduction *op, const int8_t *in, int8_t *out)
{
    int32_t even = 0, odd = 0;
    for (int32_t near = op->near; near > 0; near--) {
        int32_t word = tr_load4(in);
        even = tr_add_even(even, word);
        odd = tr_add_odd(odd, word);
        in += op->inner;
    }
    tr_store4(out, tr_pack4(tr_mean_end(op, (int16_t)even), tr_mean_end(op, (int16_t)odd),
                            tr_mean_end(op, even >> 16), tr_mean_end(op, odd >> 16)));
}

/* far and middle are 1, and near at most 255. */
void tr_reduce_mean(const tr_reduction *op, const int8_t *in, int8_t *out)
{
    int32_t quads = op->inner & ~3;
    for (int32_t outer = 0; outer < op->outer; outer++) {
        for (int32_t inner = 0; inner < quads; inner += 4)
            tr_mean_quad(op, in + inner, out + inner);
        for (int32_t inner = quads; inner < op->inner; inner++)
            out[inner] = tr_mean_end(op, tr_sum_of(op, in + inner));
        in += op->near * op->inner;
        out += op->inner;
    }
}
