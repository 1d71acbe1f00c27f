/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution: any kernel, stride, dilation and padding. */
#include "matmul.h"
#include "patch.h"

TR_INLINE int32_t tr_tap(const tr_conv *op, const int8_t *in, int32_t y, int32_t x, int32_t c)
{
    if (y < 0 || y >= op->in_h || x < 0 || x >= op->in_w)
        return op->in_zero;
    return in[(y * op->in_w + x) * op->in_c + c];
}

TR_INLINE uint32_t tr_sum_plain(const tr_conv *op, const int8_t *in, int32_t top, int32_t left,
                                const int8_t *weights)
{
    uint32_t acc = 0;
    for (int32_t y = 0; y < op->kernel_h; y++)
        for (int32_t x = 0; x < op->kernel_w; x++)
            for (int32_t c = 0; c < op->in_c; c++)
                acc += (uint32_t)(tr_tap(op, in, top + y * op->dilation_h,
                                         left + x * op->dilation_w, c) *
                                  *weights++);
    return acc;
}

void tr_conv2d_plain(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch)
{
    int32_t row = tr_row_bytes(op->kernel_h * op->kernel_w * op->in_c);
    (void)scratch;
    for (int32_t y = 0; y < op->out_h; y++) {
        for (int32_t x = 0; x < op->out_w; x++) {
            int32_t top = y * op->stride_h - op->pad_top;
            int32_t left = x * op->stride_w - op->pad_left;
            for (int32_t c = 0; c < op->out_c; c++) {
                uint32_t acc = (uint32_t)op->channels[c].bias;
                acc += tr_sum_plain(op, in, top, left, op->weights + c * row);
                *out++ = tr_output_plain(op, &op->channels[c], (int32_t)acc);
            }
        }
    }
}

/* Scratch: 5 * K bytes, K = kernel_h * kernel_w * in_c rounded up to a multiple of four. */
TR_NO_LIBRARY void tr_conv2d_pairs(const tr_conv *op, const int8_t *in, int8_t *out,
                                   void *scratch)
{
    int32_t inputs = op->kernel_h * op->kernel_w * op->in_c;
    tr_word *x = scratch;
    int8_t *patch = (int8_t *)scratch + 4 * tr_row_bytes(inputs);
    int32_t waiting = 0; /* expanded pixels, 0 or 1 */
    int8_t *to = out;
    for (int32_t oy = 0; oy < op->out_h; oy++) {
        for (int32_t ox = 0; ox < op->out_w; ox++) {
            tr_gather_patch(op, in, oy * op->stride_h - op->pad_top,
                            ox * op->stride_w - op->pad_left, patch);
            tr_expand(patch, inputs, x + 2 * waiting);
            if (++waiting == 2) {
                tr_matmul(op, x, 2, to);
                to += 2 * op->out_c;
                waiting = 0;
            }
        }
    }
    if (waiting > 0)
        tr_matmul(op, x, 1, to);
    tr_clamp(out, op->out_h * op->out_w * op->out_c, op->clamp_min, op->clamp_max);
}
