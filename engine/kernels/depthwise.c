/* Depthwise convolution: any kernel, stride and padding, one filter a channel. */
#include "scale.h"

TR_INLINE int32_t tr_inside(const tr_conv *op, int32_t y, int32_t x)
{
    return y >= 0 && y < op->in_h && x >= 0 && x < op->in_w;
}

/* The sum of one channel of one pixel, for taps inside and outside of the image. */
TR_INLINE uint32_t tr_channel_sum(const tr_conv *op, const int8_t *in, int32_t top, int32_t left,
                                  int32_t c)
{
    const int8_t *w = op->weights + c;
    uint32_t acc = (uint32_t)op->channels[c].bias;
    for (int32_t y = top; y < top + op->kernel_h; y++) {
        for (int32_t x = left; x < left + op->kernel_w; x++) {
            int32_t value = tr_inside(op, y, x) ? in[(y * op->in_w + x) * op->in_c + c] : op->in_zero;
            acc += (uint32_t)(value * *w);
            w += op->in_c;
        }
    }
    return acc;
}

void tr_depthwise_plain(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch)
{
    (void)scratch;
    for (int32_t y = 0; y < op->out_h; y++) {
        for (int32_t x = 0; x < op->out_w; x++) {
            int32_t top = y * op->stride_h - op->pad_top;
            int32_t left = x * op->stride_w - op->pad_left;
            for (int32_t c = 0; c < op->out_c; c++) {
                uint32_t acc = tr_channel_sum(op, in, top, left, c);
                *out++ = tr_output_plain(op, &op->channels[c], (int32_t)acc);
            }
        }
    }
}

/* Sums of four neighbouring channels. */
typedef struct {
    int32_t c0, c1, c2, c3;
} tr_quad;

TR_INLINE tr_quad tr_quad_bias(const tr_channel *channel)
{
    tr_quad acc = {channel[0].bias, channel[1].bias, channel[2].bias, channel[3].bias};
    return acc;
}

TR_INLINE tr_quad tr_quad_tap(int32_t x, int32_t w, tr_quad acc)
{
    int32_t x_even = tr_even(x), x_odd = tr_odd(x), w_even = tr_even(w), w_odd = tr_odd(w);
    acc.c0 = tr_mla_low(x_even, w_even, acc.c0);
    acc.c2 = tr_mla_high(x_even, w_even, acc.c2);
    acc.c1 = tr_mla_low(x_odd, w_odd, acc.c1);
    acc.c3 = tr_mla_high(x_odd, w_odd, acc.c3);
    return acc;
}

TR_INLINE void tr_quad_end(const tr_channel *channel, tr_quad acc, int8_t *out)
{
    tr_store4(out, tr_pack4(tr_output(&channel[0], acc.c0), tr_output(&channel[1], acc.c1),
                            tr_output(&channel[2], acc.c2), tr_output(&channel[3], acc.c3)));
}

/* A pixel whose taps all lie inside; `in` is the first tap. kernel_w is known at each call. */
TR_INLINE void tr_inner_pixel(const tr_conv *op, const int8_t *in, int8_t *out, int32_t kernel_w)
{
    int32_t step = op->in_c;
    int32_t skip = (op->in_w - kernel_w) * step;
    const tr_channel *channel = op->channels;
    for (int32_t c = 0; c + 4 <= op->in_c; c += 4) {
        const int8_t *x = in + c, *w = op->weights + c;
        tr_quad acc = tr_quad_bias(channel);
        for (int32_t rows = op->kernel_h; rows > 0; rows--) {
            for (int32_t taps = 0; taps < kernel_w; taps++) {
                acc = tr_quad_tap(tr_load4(x), tr_load4(w), acc);
                x += step;
                w += step;
            }
            x += skip;
        }
        tr_quad_end(channel, acc, out + c);
        channel += 4;
    }
}

/* A pixel with taps in the padding, which read four zero points instead. */
TR_INLINE void tr_border_pixel(const tr_conv *op, const int8_t *in, int32_t top, int32_t left,
                               int8_t *out)
{
    int32_t zeros = tr_pack4(op->in_zero, op->in_zero, op->in_zero, op->in_zero);
    const tr_channel *channel = op->channels;
    for (int32_t c = 0; c + 4 <= op->in_c; c += 4) {
        const int8_t *w = op->weights + c;
        tr_quad acc = tr_quad_bias(channel);
        for (int32_t y = top; y < top + op->kernel_h; y++) {
            const int8_t *from = in + (y * op->in_w + left) * op->in_c + c;
            for (int32_t x = left; x < left + op->kernel_w; x++) {
                int32_t word = tr_inside(op, y, x) ? tr_load4(from) : zeros;
                acc = tr_quad_tap(word, tr_load4(w), acc);
                from += op->in_c;
                w += op->in_c;
            }
        }
        tr_quad_end(channel, acc, out + c);
        channel += 4;
    }
}

TR_INLINE void tr_pixel(const tr_conv *op, const int8_t *in, int32_t top, int32_t left, int8_t *out,
                        int32_t kernel_w)
{
    if (top >= 0 && left >= 0 && top + op->kernel_h <= op->in_h && left + kernel_w <= op->in_w)
        tr_inner_pixel(op, in + (top * op->in_w + left) * op->in_c, out, kernel_w);
    else
        tr_border_pixel(op, in, top, left, out);
    for (int32_t c = op->in_c & ~3; c < op->in_c; c++) /* one to three channels are left */
        out[c] = (int8_t)tr_output(&op->channels[c],
                                   (int32_t)tr_channel_sum(op, in, top, left, c));
}

TR_INLINE void tr_all_pixels(const tr_conv *op, const int8_t *in, int8_t *out, int32_t kernel_w)
{
    for (int32_t y = 0; y < op->out_h; y++) {
        for (int32_t x = 0; x < op->out_w; x++) {
            tr_pixel(op, in, y * op->stride_h - op->pad_top, x * op->stride_w - op->pad_left, out,
                     kernel_w);
            out += op->out_c;
        }
    }
}

/* Scratch: none. */
void tr_depthwise(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch)
{
    (void)scratch;
    if (op->kernel_w == 3)
        tr_all_pixels(op, in, out, 3);
    else if (op->kernel_w == 5)
        tr_all_pixels(op, in, out, 5);
    else if (op->kernel_w == 7)
        tr_all_pixels(op, in, out, 7);
    else
        tr_all_pixels(op, in, out, op->kernel_w);
    tr_clamp(out, op->out_h * op->out_w * op->out_c, op->clamp_min, op->clamp_max);
}
