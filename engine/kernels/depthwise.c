/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution: any kernel, stride, dilation and padding; the plain kernel with any number
 * of filters a channel, output channel c * out_c / in_c + m being filter m of channel c.
 *
 * Weights are [ceil(Cout / 4)][KH * KW][4], missing channels 0, and there is a tr_channel for each.
 */
#include "scale.h"

TR_INLINE int32_t tr_tap(const tr_conv *op, const int8_t *in, int32_t y, int32_t x, int32_t c)
{
    if (y < 0 || y >= op->in_h || x < 0 || x >= op->in_w)
        return op->in_zero;
    return in[(y * op->in_w + x) * op->in_c + c];
}

TR_INLINE int32_t tr_sum_plain(const tr_conv *op, const int8_t *in, int32_t top, int32_t left,
                               int32_t c)
{
    const int8_t *w = op->weights + (c / 4) * 4 * op->kernel_h * op->kernel_w + c % 4;
    int32_t from = c / (op->out_c / op->in_c);
    uint32_t acc = (uint32_t)op->channels[c].bias;
    for (int32_t y = 0; y < op->kernel_h; y++) {
        for (int32_t x = 0; x < op->kernel_w; x++) {
            int32_t row = top + y * op->dilation_h, column = left + x * op->dilation_w;
            acc += (uint32_t)(tr_tap(op, in, row, column, from) * *w);
            w += 4;
        }
    }
    return (int32_t)acc;
}

void tr_depthwise_plain(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch)
{
    (void)scratch;
    for (int32_t y = 0; y < op->out_h; y++) {
        for (int32_t x = 0; x < op->out_w; x++) {
            int32_t top = y * op->stride_h - op->pad_top;
            int32_t left = x * op->stride_w - op->pad_left;
            for (int32_t c = 0; c < op->out_c; c++)
                *out++ = tr_output_plain(op, &op->channels[c], tr_sum_plain(op, in, top, left, c));
        }
    }
}

/* Four neighbouring channels are a word. The rows under a strip of output rows are gathered into
 * scratch first, padding written out, so that the loop over taps has no border and no wide step.
 * A quad of channels is finished before the next, and rows that two strips share are kept, so that
 * the output may lie over the input: what it overwrites has been gathered. */
#define TR_STRIP_BYTES 1536

typedef struct {
    int32_t width; /* words of one gathered row */
    int32_t reach; /* rows under one output row */
    int32_t rows;  /* output rows of a full strip */
} tr_strip;

TR_INLINE tr_strip tr_strip_of(const tr_conv *op)
{
    int32_t width = (op->out_w - 1) * op->stride_w + (op->kernel_w - 1) * op->dilation_w + 1;
    int32_t reach = (op->kernel_h - 1) * op->dilation_h + 1;
    int32_t spare = TR_STRIP_BYTES / (4 * width) - reach;
    int32_t most = spare < 0 ? 1 : spare / op->stride_h + 1;
    int32_t strips = (op->out_h + most - 1) / most;
    tr_strip strip = {width, reach, (op->out_h + strips - 1) / strips};
    return strip;
}

/* One to four bytes as a word. */
TR_INLINE int32_t tr_load_some(const int8_t *from, int32_t count)
{
    int32_t b1 = count > 1 ? from[1] : 0;
    int32_t b2 = count > 2 ? from[2] : 0;
    return tr_pack4(from[0], b1, b2, count > 3 ? from[3] : 0);
}

TR_INLINE tr_word *tr_fill_words(tr_word *to, int32_t word, int32_t count)
{
    for (; count > 0; count--)
        *to++ = word;
    return to;
}

/* Towards the front; the two may overlap. */
TR_INLINE void tr_move_words(tr_word *to, const tr_word *from, int32_t count)
{
    for (; count > 0; count--)
        *to++ = *from++;
}

/* The words of one input row from column `left` on; `in` points to the quad's first channel. */
TR_INLINE void tr_gather_row(const tr_conv *op, const int8_t *in, int32_t y, int32_t width,
                             int32_t count, tr_word *to)
{
    int32_t zero = op->in_zero, in_c = op->in_c;
    int32_t zeros = tr_pack4(zero, zero, zero, zero);
    int32_t before = op->pad_left < width ? op->pad_left : width;
    int32_t inside = width - before < op->in_w ? width - before : op->in_w;
    if (y < 0 || y >= op->in_h) {
        tr_fill_words(to, zeros, width);
        return;
    }
    to = tr_fill_words(to, zeros, before);
    const int8_t *from = in + y * op->in_w * in_c;
    if (count >= 4)
        for (int32_t x = inside; x > 0; x--, from += in_c)
            *to++ = tr_load4(from);
    else
        for (int32_t x = inside; x > 0; x--, from += in_c)
            *to++ = tr_load_some(from, count);
    tr_fill_words(to, zeros, width - before - inside);
}

/* Sums of four neighbouring channels. */
typedef struct {
    int32_t c0, c1, c2, c3;
} tr_quad;

TR_INLINE tr_quad tr_quad_tap(int32_t x, int32_t w, tr_quad acc)
{
    int32_t x_even = tr_even(x), w_even = tr_even(w);
    acc.c0 = tr_mla_low(x_even, w_even, acc.c0);
    acc.c2 = tr_mla_high(x_even, w_even, acc.c2);
    int32_t x_odd = tr_odd(x), w_odd = tr_odd(w);
    acc.c1 = tr_mla_low(x_odd, w_odd, acc.c1);
    acc.c3 = tr_mla_high(x_odd, w_odd, acc.c3);
    return acc;
}

/* count: a constant 4, or how many channels the last quad has. */
TR_INLINE void tr_quad_end(const tr_channel *channel, tr_quad acc, int32_t count, int8_t *out)
{
    out[0] = (int8_t)tr_output(&channel[0], acc.c0);
    if (count > 1)
        out[1] = (int8_t)tr_output(&channel[1], acc.c1);
    if (count > 2)
        out[2] = (int8_t)tr_output(&channel[2], acc.c2);
    if (count > 3)
        out[3] = (int8_t)tr_output(&channel[3], acc.c3);
}

/* The taps of one kernel row. kernel_w: a constant, whose loop is unrolled, or 0 for any width and
 * dilation. */
TR_INLINE tr_quad tr_quad_taps(const tr_conv *op, const tr_word *x, const tr_word *w, tr_quad acc,
                               int32_t kernel_w)
{
    if (kernel_w) {
        TR_UNROLL
        for (int32_t tap = 0; tap < kernel_w; tap++)
            acc = tr_quad_tap(x[tap], w[tap], acc);
    } else {
        for (int32_t left = op->kernel_w; left > 0; left--, x += op->dilation_w)
            acc = tr_quad_tap(*x, *w++, acc);
    }
    return acc;
}

/* One output row of a quad. down: words from one row of taps to the next. */
TR_INLINE void tr_quad_row(const tr_conv *op, const tr_word *x, const tr_word *weights,
                           const tr_channel *channel, int32_t down, int32_t count, int8_t *out,
                           int32_t kernel_w)
{
    int32_t kernel_h = op->kernel_h, stride_w = op->stride_w, out_c = op->out_c;
    for (int32_t left = op->out_w; left > 0; left--) {
        tr_quad acc = {channel[0].bias, channel[1].bias, channel[2].bias, channel[3].bias};
        const tr_word *row = x, *w = weights;
        int32_t rows = kernel_h;
        do {
            acc = tr_quad_taps(op, row, w, acc, kernel_w);
            row += down;
            w += kernel_w ? kernel_w : op->kernel_w;
        } while (--rows);
        tr_quad_end(channel, acc, count, out);
        x += stride_w;
        out += out_c;
    }
}

/* The output rows of a strip; `out` points to channel c. */
TR_INLINE void tr_quad_rows(const tr_conv *op, const tr_word *x, int32_t c, tr_strip strip,
                            int8_t *out, int32_t count, int32_t kernel_w)
{
    int32_t down = strip.width * op->dilation_h;
    const tr_channel *channel = op->channels + c;
    const tr_word *w = (const tr_word *)(op->weights + c * op->kernel_h * op->kernel_w);
    for (int32_t rows = strip.rows; rows > 0; rows--) {
        tr_quad_row(op, x, w, channel, down, count, out, kernel_w);
        x += op->stride_h * strip.width;
        out += op->out_w * op->out_c;
    }
}

/* One function a width, so that each has the registers to itself. */
#define TR_QUAD_ROWS(name, kernel_w)                                                              \
    static TR_NO_INLINE void name(const tr_conv *op, const tr_word *x, int32_t c, tr_strip strip, \
                                  int8_t *out)                                                    \
    {                                                                                             \
        if (op->in_c - c >= 4)                                                                    \
            tr_quad_rows(op, x, c, strip, out, 4, kernel_w);                                      \
        else                                                                                      \
            tr_quad_rows(op, x, c, strip, out, op->in_c - c, kernel_w);                           \
    }

TR_QUAD_ROWS(tr_rows_of_3, 3)
TR_QUAD_ROWS(tr_rows_of_5, 5)
TR_QUAD_ROWS(tr_rows_of_7, 7)
TR_QUAD_ROWS(tr_rows_of_any, 0)

TR_INLINE void tr_rows(const tr_conv *op, const tr_word *x, int32_t c, tr_strip strip, int8_t *out)
{
    int32_t kernel_w = op->dilation_w == 1 ? op->kernel_w : 0;
    if (kernel_w == 3)
        tr_rows_of_3(op, x, c, strip, out);
    else if (kernel_w == 5)
        tr_rows_of_5(op, x, c, strip, out);
    else if (kernel_w == 7)
        tr_rows_of_7(op, x, c, strip, out);
    else
        tr_rows_of_any(op, x, c, strip, out);
}

/* Rows `from` to `end` of the strip whose first row is `top`; `in` points to channel c. */
TR_INLINE void tr_gather_strip(const tr_conv *op, const int8_t *in, int32_t c, int32_t top,
                               int32_t from, int32_t end, int32_t width, tr_word *gathered)
{
    for (int32_t y = from; y < end; y++)
        tr_gather_row(op, in, top + y, width, op->in_c - c, gathered + y * width);
}

/* Every strip of the quad that starts at channel c, to which `in` and `out` point. */
TR_INLINE void tr_one_quad(const tr_conv *op, const int8_t *in, int32_t c, tr_strip strip,
                           int8_t *out, tr_word *gathered)
{
    int32_t top = -op->pad_top, kept = 0;
    for (int32_t left = op->out_h; left > 0; left -= strip.rows) {
        strip.rows = left < strip.rows ? left : strip.rows;
        int32_t step = strip.rows * op->stride_h;
        int32_t rows = step - op->stride_h + strip.reach;
        tr_gather_strip(op, in, c, top, kept, rows, strip.width, gathered);
        tr_rows(op, gathered, c, strip, out);
        kept = rows > step ? rows - step : 0;
        if (left > strip.rows)
            tr_move_words(gathered, gathered + step * strip.width, kept * strip.width);
        top += step;
        out += strip.rows * op->out_w * op->out_c;
    }
}

/* One filter a channel. Scratch: the gathered rows of a strip, one word a column; tr_strip_of. */
TR_NO_LIBRARY void tr_depthwise(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch)
{
    tr_strip strip = tr_strip_of(op);
    for (int32_t c = 0; c < op->in_c; c += 4)
        tr_one_quad(op, in + c, c, strip, out + c, scratch);
    tr_clamp(out, op->out_h * op->out_w * op->out_c, op->clamp_min, op->clamp_max);
}
