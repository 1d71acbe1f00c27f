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

/* Four channels at once: `rows` rows of `columns` taps, each `step` bytes apart, rows `stride`. */
TR_INLINE int32_t tr_max_quad(const int8_t *from, int32_t rows, int32_t stride, int32_t columns,
                              int32_t step)
{
    int32_t best = tr_load4(from);
    for (; rows > 0; rows--, from += stride) {
        const int8_t *at = from;
        for (int32_t x = columns; x > 0; x--, at += step)
            best = tr_max4(best, tr_load4(at));
    }
    return best;
}

/* The whole quads of a window. */
static TR_NO_INLINE void tr_max_any(const tr_pool *op, const int8_t *from, int32_t rows,
                                    int32_t columns, int8_t *out)
{
    int32_t step = op->channels, stride = op->in_w * step;
    for (int32_t left = step >> 2; left > 0; left--, from += 4, out += 4)
        tr_store4(out, tr_max_quad(from, rows, stride, columns, step));
}

static TR_NO_INLINE void tr_max_2x2(const tr_pool *op, const int8_t *from, int8_t *out)
{
    const int8_t *right = from + op->channels, *below = from + op->in_w * op->channels;
    const int8_t *last = below + op->channels;
    for (int32_t left = op->channels >> 2; left > 0; left--, out += 4) {
        int32_t best = tr_max4(tr_take4(&from), tr_take4(&right));
        best = tr_max4(best, tr_take4(&below));
        tr_store4(out, tr_max4(best, tr_take4(&last)));
    }
}

void tr_max_pool(const tr_pool *op, const int8_t *in, int8_t *out)
{
    int8_t *to = out;
    for (int32_t y = 0; y < op->out_h; y++) {
        for (int32_t x = 0; x < op->out_w; x++, to += op->channels) {
            tr_window window = tr_window_at(op, y, x);
            int32_t rows = window.bottom - window.top, columns = window.right - window.left;
            const int8_t *from = in + (window.top * op->in_w + window.left) * op->channels;
            if (rows == 2 && columns == 2)
                tr_max_2x2(op, from, to);
            else
                tr_max_any(op, from, rows, columns, to);
            for (int32_t c = op->channels & ~3; c < op->channels; c++)
                to[c] = tr_max_channel(op, in, window, c);
        }
    }
    tr_clamp(out, op->out_h * op->out_w * op->channels, op->clamp_min, op->clamp_max);
}
