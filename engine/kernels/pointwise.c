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
