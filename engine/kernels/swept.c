/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution 3x3, 5x5 or 7x7 of stride 1 or 2, two taps a product: see sweep.h.
 *
 * Four channels are finished before the next four, strip by strip. Pairs that two strips share stay
 * in scratch, so that the output may lie over the input: what it overwrites has been taken.
 */
#include "scale.h"
#include "sweep.h"

TR_INLINE tr_group tr_group_of(const tr_swept *op)
{
    tr_group one = {1, 4 * op->slots, 1, op->slots}, two = {2, 8 * op->slots, 8, 2};
    return op->conv.kernel_w == 3 ? one : two;
}

/* Words from the first column to another. */
TR_INLINE int32_t tr_column(tr_group group, int32_t column)
{
    return group.columns == 1 ? column * group.words : (column >> 1) * group.words + (column & 1);
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

/* Zero points to `count` times four words, `apart` words from each other, every `step` words. */
static TR_NO_INLINE void tr_fill_fours(const tr_swept *op, tr_word *to, int32_t count,
                                       int32_t apart, int32_t step)
{
    int32_t pair = tr_zero_pair(op);
    TR_ROLLED
    for (; count > 0; count--, to += step)
        to[0] = to[apart] = to[2 * apart] = to[3 * apart] = pair;
}

TR_INLINE void tr_fill_groups(const tr_swept *op, tr_word *to, int32_t count)
{
    tr_fill_fours(op, to, count * (tr_group_of(op).words >> 2), 1, 4);
}

/* Zero points to a pair of rows; of large kernels to whole groups, as padding is no other value. */
TR_INLINE void tr_fill_row(const tr_swept *op, tr_word *to, const tr_row *row)
{
    int32_t apart = row->group.channel, groups = row->count, step = row->group.words;
    if (row->group.columns == 2) {
        to -= row->odd;
        groups = (groups + row->odd + 1) >> 1;
        tr_fill_fours(op, to + 1, groups, apart, step);
    }
    tr_fill_fours(op, to, groups, apart, step);
}

/* A pair of rows of pixels of fewer than four channels, by way of four. */
static TR_NO_INLINE void tr_take_some(const tr_swept *op, const int8_t *in, int32_t inside,
                                      tr_word *to, tr_row row)
{
    int8_t pixels[8] = {0};
    int32_t count = row.count, right = row.right, down = inside == TR_BOTH ? row.down : 0;
    int32_t more = row.group.columns - 1, is_first = more & ~row.odd; /* of two columns */
    row.down = 4;
    row.count = 1;
    row.odd = 0;
    for (int32_t left = count; left > 0; left--, in += right) {
        TR_ROLLED
        for (int32_t c = 0; c < right; c++) {
            pixels[c] = in[c];
            pixels[4 + c] = in[down + c];
        }
        op->take(pixels, inside, to, &row);
        to += is_first ? 1 : row.group.words - more;
        is_first ^= more;
    }
}

/* Slots `from` to `end` of the quad that `in` points to; row `top` is the upper one of slot 0. */
static TR_NO_INLINE void tr_take_pairs(const tr_swept *op, const int8_t *in, int32_t top,
                                       int32_t from, int32_t end, tr_word *x, tr_row *row)
{
    int32_t in_h = op->conv.in_h;
    for (int32_t slot = from; slot < end; slot += row->pairs) {
        int32_t y = top + 2 * slot;
        int32_t upper = (uint32_t)y < (uint32_t)in_h, lower = (uint32_t)y + 1 < (uint32_t)in_h;
        int32_t inside = !upper ? TR_LOWER : lower ? TR_BOTH : TR_UPPER;
        const int8_t *pixels = in + (upper ? y : y + 1) * row->down;
        tr_word *to = x + slot * row->group.slot;
        row->pairs = 1;
        if (!upper && !lower) {
            tr_fill_row(op, to, row);
        } else if (row->right < 4) {
            tr_take_some(op, pixels, inside, to, *row);
        } else {
            int32_t below = inside == TR_BOTH ? (in_h - y) >> 1 : 1;
            row->pairs = below < end - slot ? below : end - slot;
            op->take(pixels, inside, to, row);
        }
    }
}

/* The last pairs of a full strip are the first of the next. */
TR_INLINE void tr_keep(tr_word *to, int32_t columns, int32_t slots)
{
    const tr_word *from = to + slots - 1;
    TR_ROLLED
    for (; columns > 0; columns--, from += 4 * slots, to += 4 * slots) {
        int32_t a = from[0], b = from[slots], c = from[2 * slots], d = from[3 * slots];
        to[0] = a;
        to[slots] = b;
        to[2 * slots] = c;
        to[3 * slots] = d;
    }
}

/* The same of large kernels, from the first of `columns` on: `kept` slots. */
TR_INLINE void tr_keep_large(tr_word *to, int32_t columns, int32_t slots, int32_t kept)
{
    const tr_word *from = to + 8 * (slots - kept);
    TR_ROLLED
    for (; columns > 0; columns -= 2, from += 8 * slots, to += 8 * slots)
        TR_ROLLED
        for (int32_t at = 0; at < 8 * kept; at += 4) {
            int32_t a = from[at], b = from[at + 1], c = from[at + 2], d = from[at + 3];
            to[at] = a;
            to[at + 1] = b;
            to[at + 2] = c;
            to[at + 3] = d;
        }
}

static TR_NO_INLINE void tr_keep_pairs(tr_word *to, const tr_row *row, int32_t slots)
{
    int32_t columns = row->count + row->odd;
#if defined(__OPTIMIZE_SIZE__)
    if (row->group.columns == 1)
        tr_keep(to, columns, slots);
    else
        tr_keep_large(to - row->odd, columns, slots, slots - 6);
#else
    if (slots == 3)
        tr_keep(to, columns, 3);
    else if (slots == 7)
        tr_keep(to, columns, 7);
    else if (slots == 14)
        tr_keep(to, columns, 14);
    else if (slots == 8)
        tr_keep_large(to - row->odd, columns, 8, 2);
    else
        tr_keep_large(to - row->odd, columns, 9, 3);
#endif
}

/* What all strips have in common. */
TR_INLINE tr_lines tr_lines_of(const tr_swept *swept)
{
    const tr_conv *op = &swept->conv;
    int32_t line = op->out_w * op->out_c;
    int32_t columns = op->out_w, back = 0, down = line * (3 - op->stride_h);
    if (op->kernel_w == 3) {
        columns -= columns & 1 ? 0 : 2;
        back = 4 - ((op->out_w - 1) * op->stride_w + 3) * 16 * swept->slots;
        down -= (columns & ~1) * op->out_c;
        columns *= 1 << 16;
    }
    tr_lines lines = {op->out_c, columns, down, 0, 0, line, 0, back};
    return lines;
}

/* Every strip of the quad that `in` points to. Outputs are its last channels, as many as lines has,
 * `out` points to the first of them: of channels that do not divide by four, the last quad begins
 * with some that are done, and whose inputs may be gone. x: the first column that is in the image. */
TR_INLINE void tr_swept_quad(const tr_swept *op, const int8_t *in, const int32_t *pairs,
                                       int8_t *out, tr_word *x, tr_row *row, tr_lines *lines)
{
    const tr_conv *conv = &op->conv;
    tr_group group = row->group;
    int32_t stride = conv->stride_h, taps = conv->kernel_h;
    int32_t step = 2 * op->slots + 1 - taps, most = step / stride; /* rows of a full strip */
    int32_t top = -conv->pad_top, kept = 0, done = row->right < 4 ? 0 : 4 - lines->channels;
    tr_word *first = x + done * group.channel - tr_column(group, conv->pad_left);
    for (int32_t left = conv->out_h; left > 0; left -= most, top += step) {
        int32_t rows = left < most ? left : most, odds = stride == 1 ? rows >> 1 : 0;
        tr_take_pairs(op, in, top, kept, ((rows - 1) * stride + taps + 1) >> 1, x, row);
        lines->evens = (rows - odds) * 4;
        lines->odds = odds * 4;
        op->sweep(first, pairs, out, lines);
        kept = taps >> 1;
        if (left > most)
            tr_keep_pairs(x, row, op->slots);
        out += most * conv->out_w * conv->out_c;
    }
}

/* Scratch: 4 * slots words for each column that any window reaches, of large kernels for an even
 * number. */
TR_NO_LIBRARY void tr_depthwise_swept(const tr_swept *op, const int8_t *in, int8_t *out,
                                      void *scratch)
{
    const tr_conv *conv = &op->conv;
    const int32_t *pairs = op->pairs;
    tr_group group = tr_group_of(op);
    int32_t in_c = conv->in_c, before = conv->pad_left, inside = tr_columns_inside(conv);
    int32_t zero = conv->in_zero, zeros = tr_pack4(zero, zero, zero, zero);
    int32_t most = group.columns - 1;
    tr_row row = {conv->in_w * in_c, in_c, inside, zeros, before & most, 1, group};
    tr_lines lines = tr_lines_of(op);
    tr_word *x = scratch;
    int32_t behind = (before + inside) >> most; /* groups up to the first with padding behind */
    int32_t groups = (tr_columns_of(conv) + most) >> most;
    tr_fill_groups(op, x, (before + most) >> most);
    tr_fill_groups(op, x + behind * group.words, groups - behind);
    x += tr_column(group, before);
    for (int32_t c = 0; c < in_c; c += 4, pairs += 4 * op->words) {
        lines.channels = in_c - c < 4 ? in_c - c : 4;
        int32_t from = in_c < 4 ? 0 : c + lines.channels - 4;
        tr_swept_quad(op, in + from, pairs, out + c, x, &row, &lines);
    }
    tr_clamp(out, conv->out_h * conv->out_w * in_c, conv->clamp_min, conv->clamp_max);
}
