/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3, 5x5 or 7x7 of stride 1 or 2, two taps a product: see sweep.h.
 *
 * Four channels are finished before the next four, strip by strip. Pairs that two strips share stay
 * in scratch, so that the output may lie over the input: what it overwrites has been taken.
 */
#include "scale.h"
#include "sweep.h"

/* Words from a column to the next. */
TR_INLINE int32_t tr_column(const tr_swept *op)
{
    return 4 * op->slots;
}

/* Columns that any window reaches; of large kernels, in whole blocks of outputs. */
TR_INLINE int32_t tr_columns_of(const tr_conv *op)
{
    int32_t block = op->kernel_w == 3 ? 1 : op->kernel_w == 5 ? 6 : 4;
    int32_t outputs = (op->out_w + block - 1) / block * block;
    return (outputs - 1) * op->stride_w + op->kernel_w;
}

/* Columns of the image that any window reaches. */
TR_INLINE int32_t tr_columns_inside(const tr_conv *op)
{
    int32_t most = tr_columns_of(op) - op->pad_left;
    return most < op->in_w ? most : op->in_w;
}

TR_INLINE int32_t tr_zero_pair(const tr_swept *op)
{
    uint32_t half = (uint32_t)(op->conv.in_zero * op->unit) & 0xFFFF;
    return (int32_t)(half | half << 16);
}

static TR_NO_INLINE tr_word *tr_fill_columns(const tr_swept *op, tr_word *to, int32_t count)
{
    int32_t pair = tr_zero_pair(op);
    for (int32_t left = count * op->slots; left > 0; left--, to += 4)
        to[0] = to[1] = to[2] = to[3] = pair;
    return to;
}

/* A pair of rows of pixels of fewer than four channels, by way of four. */
static TR_NO_INLINE void tr_take_some(const tr_swept *op, const int8_t *in, int32_t inside,
                                      tr_word *to, tr_row row)
{
    int8_t pixels[8] = {0};
    int32_t count = row.count, right = row.right, down = inside == TR_BOTH ? row.down : 0;
    row.down = 4;
    row.count = 1;
    for (int32_t left = count; left > 0; left--, in += right, to += tr_column(op)) {
        TR_ROLLED
        for (int32_t c = 0; c < right; c++) {
            pixels[c] = in[c];
            pixels[4 + c] = in[down + c];
        }
        op->take(pixels, inside, to, &row);
    }
}

/* Rows y and y + 1 of the quad that `in` points to. */
static TR_NO_INLINE void tr_take_pair(const tr_swept *op, const int8_t *in, int32_t y, tr_word *to,
                                      const tr_row *row)
{
    int32_t in_h = op->conv.in_h, upper = y >= 0 && y < in_h, lower = y >= -1 && y + 1 < in_h;
    if (!upper && !lower) {
        int32_t pair = tr_zero_pair(op);
        for (int32_t left = 4 * row->count; left > 0; left--, to += op->slots)
            *to = pair;
        return;
    }
    int32_t inside = !upper ? TR_LOWER : lower ? TR_BOTH : TR_UPPER;
    in += (upper ? y : y + 1) * row->down;
    if (row->right < 4)
        tr_take_some(op, in, inside, to, *row);
    else
        op->take(in, inside, to, row);
}

/* The last pairs of a full strip are the first of the next. */
TR_INLINE void tr_keep(tr_word *to, int32_t columns, int32_t slots, int32_t kept)
{
    const tr_word *from = to + slots - kept;
    TR_ROLLED
    for (; columns > 0; columns--) {
        TR_UNROLL
        for (int32_t pair = 0; pair < kept; pair++) {
            int32_t a = from[pair], b = from[slots + pair];
            int32_t c = from[2 * slots + pair], d = from[3 * slots + pair];
            to[pair] = a;
            to[slots + pair] = b;
            to[2 * slots + pair] = c;
            to[3 * slots + pair] = d;
        }
        from += 4 * slots;
        to += 4 * slots;
    }
}

static TR_NO_INLINE void tr_keep_pairs(tr_word *to, int32_t columns, int32_t slots)
{
    if (slots == 3)
        tr_keep(to, columns, 3, 1);
    else if (slots == 7)
        tr_keep(to, columns, 7, 1);
    else if (slots == 8)
        tr_keep(to, columns, 8, 2);
    else
        tr_keep(to, columns, 9, 3);
}

/* Of a strip of `rows` output rows. */
TR_INLINE tr_lines tr_lines_of(const tr_swept *swept, int32_t rows, int32_t channels)
{
    const tr_conv *op = &swept->conv;
    int32_t line = op->out_w * op->out_c, odds = op->stride_h == 1 ? rows >> 1 : 0;
    int32_t columns = op->out_w, again = 0, back = 0, down = line * (3 - op->stride_h);
    if (op->kernel_w == 3) {
        columns -= columns & 1 ? 0 : 2;
        again = ((columns >> 1) + 1) * (2 << 16);
        back = 4 - ((op->out_w - 1) * op->stride_w + 3) * 4 * tr_column(swept);
        down -= (columns & ~1) * op->out_c;
        columns *= 1 << 16;
    }
    tr_lines lines = {op->out_c, columns,  again, down, (rows - odds) * 4,
                      odds * 4,  line,  channels, back};
    return lines;
}

/* Every strip of the quad that `in` points to. Outputs are its last `channels`, `out` points to the
 * first of them: of channels that do not divide by four, the last quad begins with some that are
 * done, and whose inputs may be gone. x: the first column that is in the image. */
static TR_NO_INLINE void tr_swept_quad(const tr_swept *op, const int8_t *in, const int32_t *pairs,
                                       int8_t *out, int32_t channels, tr_word *x,
                                       const tr_row *row)
{
    const tr_conv *conv = &op->conv;
    int32_t stride = conv->stride_h, taps = conv->kernel_h;
    int32_t step = 2 * op->slots + 1 - taps, most = step / stride; /* rows of a full strip */
    int32_t top = -conv->pad_top, kept = 0, done = row->right < 4 ? 0 : 4 - channels;
    tr_word *first = x + done * op->slots - conv->pad_left * tr_column(op);
    for (int32_t left = conv->out_h; left > 0; left -= most, top += step) {
        int32_t rows = left < most ? left : most;
        int32_t slots = ((rows - 1) * stride + taps + 1) >> 1;
        for (int32_t slot = kept; slot < slots; slot++)
            tr_take_pair(op, in, top + 2 * slot, x + slot, row);
        tr_lines lines = tr_lines_of(op, rows, channels);
        op->sweep(first, pairs, out, &lines);
        kept = taps >> 1;
        if (left > most)
            tr_keep_pairs(x, row->count, op->slots);
        out += most * conv->out_w * conv->out_c;
    }
}

/* Scratch: 4 * slots words for each column that any window reaches. */
TR_NO_LIBRARY void tr_depthwise_swept(const tr_swept *op, const int8_t *in, int8_t *out,
                                      void *scratch)
{
    const tr_conv *conv = &op->conv;
    const int32_t *pairs = op->pairs;
    int32_t in_c = conv->in_c, before = conv->pad_left, inside = tr_columns_inside(conv);
    int32_t zero = conv->in_zero, zeros = tr_pack4(zero, zero, zero, zero);
    tr_row row = {conv->in_w * in_c, in_c, inside, zeros};
    tr_word *x = tr_fill_columns(op, scratch, before);
    tr_fill_columns(op, x + inside * tr_column(op), tr_columns_of(conv) - before - inside);
    for (int32_t c = 0; c < in_c; c += 4, pairs += 4 * op->words) {
        int32_t channels = in_c - c < 4 ? in_c - c : 4, from = in_c < 4 ? 0 : c + channels - 4;
        tr_swept_quad(op, in + from, pairs, out + c, channels, x, &row);
    }
    tr_clamp(out, conv->out_h * conv->out_w * in_c, conv->clamp_min, conv->clamp_max);
}
