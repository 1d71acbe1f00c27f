/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that move bytes and compute nothing. All write their output in order. */
#include "kernels.h"

#define TR_SHARED static TR_NO_LIBRARY __attribute__((noinline)) /* once, not in each kernel */

/* Forward: `to` may overlap `from` where it does not lie behind it. The end of what was written. */
TR_SHARED int8_t *tr_copy(int8_t *to, const int8_t *from, int32_t count)
{
    for (; count >= 4; count -= 4, to += 4, from += 4)
        tr_store4(to, tr_load4(from));
    for (count &= 3; count > 0; count--)
        *to++ = *from++;
    return to;
}

TR_SHARED int8_t *tr_fill(int8_t *to, int32_t value, int32_t count)
{
    int32_t word = tr_pack4(value, value, value, value);
    for (; count >= 4; count -= 4, to += 4)
        tr_store4(to, word);
    for (count &= 3; count > 0; count--)
        *to++ = (int8_t)value;
    return to;
}

/* out may lie over in where it does not begin behind it. */
void tr_reshape(const tr_bytes *op, const int8_t *in, int8_t *out)
{
    tr_copy(out, in, op->size);
}

/* Slices and transposes; out may lie over in where the input's elements are taken in their order. */
TR_NO_LIBRARY void tr_gather(const tr_walk *op, const int8_t *in, int8_t *out)
{
    int32_t count = op->sizes[2], step = op->steps[2];
    for (int32_t y = 0; y < op->sizes[0]; y++) {
        for (int32_t x = 0; x < op->sizes[1]; x++) {
            const int8_t *from = in + op->start + y * op->steps[0] + x * op->steps[1];
            if (step == 1)
                out = tr_copy(out, from, count);
            else
                for (int32_t c = 0; c < count; c++)
                    *out++ = from[c * step];
        }
    }
}

/* out may lie over in where the last run of in does not lie before its place in out. */
void tr_pad(const tr_border *op, const int8_t *in, int8_t *out)
{
    int32_t pixel = op->before[2] + op->sizes[2] + op->after[2];
    int32_t row = (op->before[1] + op->sizes[1] + op->after[1]) * pixel;
    out = tr_fill(out, op->value, op->before[0] * row);
    for (int32_t y = 0; y < op->sizes[0]; y++) {
        out = tr_fill(out, op->value, op->before[1] * pixel);
        for (int32_t x = 0; x < op->sizes[1]; x++) {
            out = tr_fill(out, op->value, op->before[2]);
            out = tr_copy(out, in, op->sizes[2]);
            out = tr_fill(out, op->value, op->after[2]);
            in += op->sizes[2];
        }
        out = tr_fill(out, op->value, op->after[1] * pixel);
    }
    tr_fill(out, op->value, op->after[0] * row);
}

/* The inputs' runs one after another in each row. */
void tr_concat(const tr_parts *op, const int8_t *const *inputs, int8_t *out)
{
    for (int32_t row = 0; row < op->rows; row++)
        for (int32_t i = 0; i < op->inputs; i++)
            out = tr_copy(out, inputs[i] + row * op->sizes[i], op->sizes[i]);
}

void tr_resize_nearest(const tr_resize *op, const int8_t *in, int8_t *out)
{
    for (int32_t y = 0; y < op->out_h; y++) {
        const int8_t *line = in + op->rows[y] * op->in_w * op->channels;
        for (int32_t x = 0; x < op->out_w; x++)
            out = tr_copy(out, line + op->columns[x] * op->channels, op->channels);
    }
}
