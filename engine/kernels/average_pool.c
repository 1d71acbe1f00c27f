/* SPDX-License-Identifier: Apache-2.0 */
/* Average pool: padding is not counted, halves are rounded away from zero. */
#include "scale.h"
#include "window.h"

TR_INLINE int32_t tr_mean(const tr_pool *op, int32_t sum, int32_t count)
{
    int32_t half = count / 2;
    int32_t mean = (sum > 0 ? sum + half : sum - half) / count;
    return tr_clamped(mean, op->clamp_min, op->clamp_max);
}

TR_INLINE int8_t tr_pool_channel(const tr_pool *op, const int8_t *in, tr_window window, int32_t c)
{
    int32_t sum = 0;
    for (int32_t y = window.top; y < window.bottom; y++)
        for (int32_t x = window.left; x < window.right; x++)
            sum += in[(y * op->in_w + x) * op->channels + c];
    int32_t count = (window.bottom - window.top) * (window.right - window.left);
    return (int8_t)tr_mean(op, sum, count);
}

void tr_average_pool_plain(const tr_pool *op, const int8_t *in, int8_t *out)
{
    for (int32_t y = 0; y < op->out_h; y++)
        for (int32_t x = 0; x < op->out_w; x++)
            for (int32_t c = 0; c < op->channels; c++)
                *out++ = tr_pool_channel(op, in, tr_window_at(op, y, x), c);
}

/* Four channels at once, in 16-bit sums: exact for windows of up to 255 taps. */
TR_INLINE void tr_pool_quad(const tr_pool *op, const int8_t *in, tr_window window, int8_t *out)
{
    int32_t even = 0, odd = 0;
    int32_t columns = window.right - window.left;
    for (int32_t y = window.top; y < window.bottom; y++) {
        const int8_t *from = in + (y * op->in_w + window.left) * op->channels;
        for (int32_t x = columns; x > 0; x--) {
            int32_t word = tr_load4(from);
            even = tr_add_even(even, word);
            odd = tr_add_odd(odd, word);
            from += op->channels;
        }
    }
    int32_t count = (window.bottom - window.top) * columns;
    tr_store4(out, tr_pack4(tr_mean(op, (int16_t)even, count), tr_mean(op, (int16_t)odd, count),
                            tr_mean(op, even >> 16, count), tr_mean(op, odd >> 16, count)));
}

void tr_average_pool(const tr_pool *op, const int8_t *in, int8_t *out)
{
    int32_t quads = op->channels & ~3;
    for (int32_t y = 0; y < op->out_h; y++) {
        for (int32_t x = 0; x < op->out_w; x++) {
            tr_window window = tr_window_at(op, y, x);
            for (int32_t c = 0; c < quads; c += 4)
                tr_pool_quad(op, in + c, window, out + c);
            for (int32_t c = quads; c < op->channels; c++)
                out[c] = tr_pool_channel(op, in, window, c);
            out += op->channels;
        }
    }
}
