/* SPDX-License-Identifier: Apache-2.0 */
/* Pointwise convolution: 1x1, stride 1, no padding. */
#include "matmul.h"

void tr_pointwise_plain(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch)
{
    int32_t row = tr_row_bytes(op->in_c);
    (void)scratch;
    for (int32_t pixel = 0; pixel < op->out_h * op->out_w; pixel++) {
        for (int32_t c = 0; c < op->out_c; c++) {
            uint32_t acc = (uint32_t)op->channels[c].bias;
            for (int32_t i = 0; i < op->in_c; i++)
                acc += (uint32_t)(in[pixel * op->in_c + i] * op->weights[c * row + i]);
            *out++ = tr_output_plain(op, &op->channels[c], (int32_t)acc);
        }
    }
}

/* Scratch: 4 * in_c bytes, in_c rounded up to a multiple of four. */
void tr_pointwise(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch)
{
    tr_word *x = scratch;
    int32_t in_c = op->in_c, out_c = op->out_c;
    int8_t *to = out;
    int32_t pixels = op->out_h * op->out_w;
    for (; pixels > 1; pixels -= 2) {
        tr_expand(in, in_c, x);
        tr_expand(in + in_c, in_c, x + 2);
        tr_matmul(op, x, 2, to);
        in += 2 * in_c;
        to += 2 * out_c;
    }
    if (pixels > 0) {
        tr_expand(in, in_c, x);
        tr_matmul(op, x, 1, to);
    }
    tr_clamp(out, op->out_h * op->out_w * out_c, op->clamp_min, op->clamp_max);
}
