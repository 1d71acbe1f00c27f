/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected: each weight is used once, so that it is streamed from flash. */
#include "matmul.h"

void tr_fully_connected_plain(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch)
{
    int32_t row = tr_row_bytes(op->in_c);
    (void)scratch;
    for (int32_t c = 0; c < op->out_c; c++) {
        uint32_t acc = (uint32_t)op->channels[c].bias;
        for (int32_t i = 0; i < op->in_c; i++)
            acc += (uint32_t)(in[i] * op->weights[c * row + i]);
        out[c] = tr_output_plain(op, &op->channels[c], (int32_t)acc);
    }
}

TR_INLINE void tr_step(int32_t x, int32_t a, int32_t b, int32_t *acc0, int32_t *acc1)
{
    int32_t even = tr_even(x), odd = tr_odd(x);
    *acc0 = tr_dot2(even, tr_even(a), *acc0);
    *acc1 = tr_dot2(even, tr_even(b), *acc1);
    *acc0 = tr_dot2(odd, tr_odd(a), *acc0);
    *acc1 = tr_dot2(odd, tr_odd(b), *acc1);
}

TR_INLINE void tr_pair(const int8_t *in, int32_t in_c, const int8_t *w0, const int8_t *w1,
                       int32_t *acc0, int32_t *acc1)
{
    int32_t left = in_c;
    for (; left >= 4; left -= 4) {
        tr_step(tr_load4(in), tr_load4(w0), tr_load4(w1), acc0, acc1);
        in += 4;
        w0 += 4;
        w1 += 4;
    }
    for (; left > 0; left--) {
        *acc0 += *in * *w0++;
        *acc1 += *in++ * *w1++;
    }
}

/* Scratch: none. */
void tr_fully_connected_pairs(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch)
{
    int32_t row = tr_row_bytes(op->in_c);
    (void)scratch;
    for (int32_t c = 0; c < op->out_c; c += 2) {
        int32_t next = c + 1 < op->out_c ? c + 1 : c; /* an odd last channel pairs with itself */
        int32_t acc0 = op->channels[c].bias, acc1 = op->channels[next].bias;
        tr_pair(in, op->in_c, op->weights + c * row, op->weights + next * row, &acc0, &acc1);
        out[c] = (int8_t)tr_output(&op->channels[c], acc0);
        out[next] = (int8_t)tr_output(&op->channels[next], acc1);
    }
    tr_clamp(out, op->out_c, op->clamp_min, op->clamp_max);
}
