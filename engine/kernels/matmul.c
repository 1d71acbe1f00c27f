/* SPDX-License-Identifier: Apache-2.0 */
/* Two pixels by two channels: each weight and each input is expanded once for four products. */
#include "matmul.h"

typedef struct {
    int32_t p0c0, p0c1, p1c0, p1c1;
} tr_tile;

TR_INLINE tr_tile tr_dot(const tr_word *x, const int8_t *w0, const int8_t *w1, int32_t steps,
                         tr_tile acc, int two_pixels)
{
    for (; steps > 0; steps--) {
        int32_t a = tr_load4(w0), b = tr_load4(w1);
        int32_t a_even = tr_even(a), a_odd = tr_odd(a);
        int32_t b_even = tr_even(b), b_odd = tr_odd(b);
        acc.p0c0 = tr_dot2(a_even, x[0], acc.p0c0);
        acc.p0c1 = tr_dot2(b_even, x[0], acc.p0c1);
        acc.p0c0 = tr_dot2(a_odd, x[1], acc.p0c0);
        acc.p0c1 = tr_dot2(b_odd, x[1], acc.p0c1);
        if (two_pixels) {
            acc.p1c0 = tr_dot2(a_even, x[2], acc.p1c0);
            acc.p1c1 = tr_dot2(b_even, x[2], acc.p1c1);
            acc.p1c0 = tr_dot2(a_odd, x[3], acc.p1c0);
            acc.p1c1 = tr_dot2(b_odd, x[3], acc.p1c1);
        }
        w0 += 4;
        w1 += 4;
        x += TR_STEP_WORDS;
    }
    return acc;
}

TR_INLINE void tr_all_channels(const tr_conv *op, const tr_word *x, int8_t *out, int two_pixels)
{
    int32_t row = tr_row_bytes(op->kernel_h * op->kernel_w * op->in_c);
    int32_t out_c = op->out_c;
    const int8_t *w = op->weights;
    const tr_channel *channel = op->channels;
    int8_t *second = out + out_c;
    for (int32_t pairs = out_c >> 1; pairs > 0; pairs--) {
        tr_tile acc = {channel[0].bias, channel[1].bias, channel[0].bias, channel[1].bias};
        acc = tr_dot(x, w, w + row, row >> 2, acc, two_pixels);
        out[0] = (int8_t)tr_output(&channel[0], acc.p0c0);
        out[1] = (int8_t)tr_output(&channel[1], acc.p0c1);
        out += 2;
        if (two_pixels) {
            second[0] = (int8_t)tr_output(&channel[0], acc.p1c0);
            second[1] = (int8_t)tr_output(&channel[1], acc.p1c1);
            second += 2;
        }
        channel += 2;
        w += 2 * row;
    }
    if (out_c & 1) { /* the odd channel runs as a pair with itself */
        tr_tile acc = {channel->bias, channel->bias, channel->bias, channel->bias};
        acc = tr_dot(x, w, w, row >> 2, acc, two_pixels);
        out[0] = (int8_t)tr_output(channel, acc.p0c0);
        if (two_pixels)
            second[0] = (int8_t)tr_output(channel, acc.p1c0);
    }
}

void tr_matmul(const tr_conv *op, const tr_word *x, int32_t pixels, int8_t *out)
{
    if (pixels == 2)
        tr_all_channels(op, x, out, 1);
    else
        tr_all_channels(op, x, out, 0);
}
