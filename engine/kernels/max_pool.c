/* SPDX-License-Identifier: Apache-2.0 */
/* Max pool: the largest value of each window, padding not counted. */
#include "scale.h"
#include "window.h"

TR_INLINE int8_t tr_max_channel(const tr_pool *op, const int8_t *in, tr_window window, int32_t c)
{
    int32_t best = -128;
    for (int32_t y = window.top; y < window.bottom; y++) {
        for (int32_t x = window.left; x < window.right; x++) {
            int32_t value = in[(y * op->in_w + x) * op->channels + c];
            best = value > best ? value : best;
        }
    }
    return (int8_t)tr_clamped(best, op->clamp_min, op->clamp_max);
}

void tr_max_pool_plain(const tr_pool *op, const int8_t *in, int8_t *out)
{
    for (int32_t y = 0; y < op->out_h; y++)
        for (int32_t x = 0; x < op->out_w; x++)
            for (int32_t c = 0; c < op->channels; c++)
                *out++ = tr_max_channel(op, in, tr_window_at(op, y, x), c);
}

/* Four channels at once. */
TR_INLINE int32_t tr_max_quad(const tr_pool *op, const int8_t *in, tr_window window)
{
    int32_t best = (int32_t)0x80808080u;
    for (int32_t y = window.top; y < window.bottom; y++) {
        const int8_t *from = in + (y * op->in_w + window.left) * op->channels;
        for (int32_t x = window.right - window.left; x > 0; x--) {
            best = tr_max4(best, tr_load4(from));
            from += op->channels;
        }
    }
    return best;
}

void tr_max_pool(const tr_pool *op, const int8_t *in, int8_t *out)
{
    int32_t quads = op->channels & ~3;
    int8_t *to = out;
    for (int32_t y = 0; y < op->out_h; y++) {
        for (int32_t x = 0; x < op->out_w; x++) {
            tr_window window = tr_window_at(op, y, x);
            for (int32_t c = 0; c < quads; c += 4)
                tr_store4(to + c, tr_max_quad(op, in + c, window));
            for (int32_t c = quads; c < op->channels; c++)
                to[c] = tr_max_channel(op, in, window, c);
            to += op->channels;
        }
    }
    tr_clamp(out, op->out_h * op->out_w * op->channels, op->clamp_min, op->clamp_max);
}
