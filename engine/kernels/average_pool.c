/* SPDX-License-Identifier: Apache-2.0 */
/* Average pool: padding is not counted, halves are rounded away from zero. */
#include "scale.h"
#include "window.h"

TR_INLINE_FAST int32_t tr_mean(const tr_pool *op, int32_t sum, int32_t count)
{
    int32_t half = count / 2;
    int32_t mean = (sum > 0 ? sum + half : sum - half) / count;
    return tr_clamped(mean, op->clamp_min, op->clamp_max);
}

TR_INLINE_FAST int8_t tr_pool_channel(const tr_pool *op, const int8_t *in, tr_window window, int32_t c)
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
typedef struct {
    int32_t even, odd;
} tr_quad;

TR_INLINE void tr_tap(tr_quad *sums, int32_t word)
{
    sums->even = tr_add_even(sums->even, word);
    sums->odd = tr_add_odd(sums->odd, word);
}

/* `rows` rows of `columns` taps, each `step` bytes apart, rows `stride`. */
TR_INLINE tr_quad tr_sum_quad(const int8_t *from, int32_t rows, int32_t stride, int32_t columns,
                              int32_t step)
{
    tr_quad sums = {0, 0};
    for (; rows > 0; rows--, from += stride) {
        const int8_t *at = from;
        for (int32_t x = columns >> 1; x > 0; x--, at += 2 * step) {
            tr_tap(&sums, tr_load4(at));
            tr_tap(&sums, tr_load4(at + step));
        }
        if (columns & 1)
            tr_tap(&sums, tr_load4(at));
    }
    return sums;
}

/* The part of a window that is inside, divided as it is defined. */
static TR_NO_INLINE void tr_pool_border(const tr_pool *op, const int8_t *in, tr_window window,
                                        int8_t *out)
{
    int32_t rows = window.bottom - window.top, columns = window.right - window.left;
    int32_t count = rows * columns, step = op->channels, quads = step & ~3;
    const int8_t *from = in + (window.top * op->in_w + window.left) * step;
    for (int32_t c = 0; c < quads; c += 4) {
        tr_quad sums = tr_sum_quad(from + c, rows, op->in_w * step, columns, step);
        int32_t even = sums.even, odd = sums.odd;
        tr_store4(out + c,
                  tr_pack4(tr_mean(op, (int16_t)even, count), tr_mean(op, (int16_t)odd, count),
                           tr_mean(op, even >> 16, count), tr_mean(op, odd >> 16, count)));
    }
    for (int32_t c = quads; c < step; c++)
        out[c] = tr_pool_channel(op, in, window, c);
}

/* factor and addend are proven on all sums by engine/division.py. */
TR_INLINE int32_t tr_means(const tr_pool *op, tr_quad sums)
{
    return tr_tops4(tr_wide_low(op->factor, sums.even, op->addend),
                    tr_wide_low(op->factor, sums.odd, op->addend),
                    tr_wide_high(op->factor, sums.even, op->addend),
                    tr_wide_high(op->factor, sums.odd, op->addend));
}

/* The whole quads of a whole window. */
static TR_NO_INLINE void tr_pool_any(const tr_pool *op, const int8_t *from, int8_t *out)
{
    const tr_pool pool = *op;
    int32_t rows = pool.kernel_h, columns = pool.kernel_w;
    int32_t step = pool.channels, stride = pool.in_w * step;
    if (columns == pool.in_w) { /* rows follow each other */
        columns *= rows;
        rows = 1;
    }
    for (int32_t left = step >> 2; left > 0; left--, from += 4, out += 4)
        tr_store4(out, tr_means(&pool, tr_sum_quad(from, rows, stride, columns, step)));
}

static TR_NO_INLINE void tr_pool_2x2(const tr_pool *op, const int8_t *from, int8_t *out)
{
    const tr_pool pool = *op;
    const int8_t *right = from + pool.channels, *below = from + pool.in_w * pool.channels;
    const int8_t *last = below + pool.channels;
    for (int32_t left = pool.channels >> 2; left > 0; left--, out += 4) {
        int32_t word = tr_take4(&from);
        tr_quad sums = {tr_even(word), tr_odd(word)};
        tr_tap(&sums, tr_take4(&right));
        tr_tap(&sums, tr_take4(&below));
        tr_tap(&sums, tr_take4(&last));
        tr_store4(out, tr_means(&pool, sums));
    }
}

void tr_average_pool(const tr_pool *op, const int8_t *in, int8_t *out)
{
    int8_t *to = out;
    int is_2x2 = op->kernel_h == 2 && op->kernel_w == 2;
    for (int32_t y = 0; y < op->out_h; y++) {
        for (int32_t x = 0; x < op->out_w; x++, to += op->channels) {
            tr_window window = tr_window_at(op, y, x);
            if (op->factor == 0 || !tr_is_whole(op, &window)) {
                tr_pool_border(op, in, window, to);
                continue;
            }
            const int8_t *from = in + (window.top * op->in_w + window.left) * op->channels;
            (is_2x2 ? tr_pool_2x2 : tr_pool_any)(op, from, to);
            for (int32_t c = op->channels & ~3; c < op->channels; c++)
                to[c] = tr_pool_channel(op, in, window, c);
        }
    }
    tr_clamp(out, op->out_h * op->out_w * op->channels, op->clamp_min, op->clamp_max);
}
