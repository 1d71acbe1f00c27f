/* Kernels in the manner of the vendors' int8 libraries for Cortex-M: patches are widened to 16 bits
 * and multiplied two channels by two pixels with SMLAD, depthwise takes four channels and two
 * positions at a time, and results are rescaled with two roundings as TensorFlow Lite does. Written
 * for this bench alone: channels of depthwise layers are multiples of 4. */
#include "workload.h"

#include <string.h>

/* Bytes alias everything else: without this every store would cost the layer's fields anew. */
#define OUT int8_t *restrict

static inline uint32_t load32(const void *from) {
    uint32_t value;
    memcpy(&value, from, 4);
    return value;
}

static inline int32_t smlad(uint32_t a, uint32_t b, int32_t sum) {
    __asm("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

static inline uint32_t even_bytes(uint32_t v) {
    uint32_t wide;
    __asm("sxtb16 %0, %1" : "=r"(wide) : "r"(v));
    return wide;
}

static inline uint32_t odd_bytes(uint32_t v) {
    uint32_t wide;
    __asm("sxtb16 %0, %1, ror #8" : "=r"(wide) : "r"(v));
    return wide;
}

static inline uint32_t low_halves(uint32_t a, uint32_t b) {
    uint32_t packed;
    __asm("pkhbt %0, %1, %2, lsl #16" : "=r"(packed) : "r"(a), "r"(b));
    return packed;
}

static inline uint32_t high_halves(uint32_t a, uint32_t b) {
    uint32_t packed;
    __asm("pkhtb %0, %1, %2, asr #16" : "=r"(packed) : "r"(b), "r"(a));
    return packed;
}

static inline int8_t rescale(int32_t sum, int32_t multiplier, int32_t shift, int32_t offset) {
    int64_t product = (int64_t)sum * multiplier + (1 << 30);
    int32_t high = (int32_t)(product >> 31);
    int32_t mask = (1 << shift) - 1, rest = high & mask;
    int32_t value = (high >> shift) + (rest > (mask >> 1) + (high < 0)) + offset;
    __asm("ssat %0, #8, %0" : "+r"(value));
    return (int8_t)value;
}

static inline int8_t finished(const struct layer *restrict l, int channel, int32_t sum) {
    return rescale(sum, l->multiplier[channel], l->shift[channel], l->out_offset);
}

/* int8 to int16 with the offset added. */
static int16_t *widen(int16_t *to, const int8_t *from, int count, int32_t offset) {
    uint32_t twice = (uint32_t)(offset & 0xFFFF) * 0x10001u;
    for (; count >= 4; count -= 4, from += 4, to += 4) {
        uint32_t v = load32(from), even, odd, word;
        __asm("sxtab16 %0, %1, %2" : "=r"(even) : "r"(twice), "r"(v));
        __asm("sxtab16 %0, %1, %2, ror #8" : "=r"(odd) : "r"(twice), "r"(v));
        word = low_halves(even, odd);
        memcpy(to, &word, 4);
        word = high_halves(even, odd);
        memcpy(to + 2, &word, 4);
    }
    while (count-- > 0) *to++ = (int16_t)(*from++ + offset);
    return to;
}

static int16_t *zeros(int16_t *to, int count) {
    for (; count >= 2; count -= 2, to += 2) {
        uint32_t none = 0;
        memcpy(to, &none, 4);
    }
    while (count-- > 0) *to++ = 0;
    return to;
}

/* The patch whose top left corner is (row, column); outside the picture lie zeros. */
static int16_t *patch(const struct layer *restrict l, const int8_t *in, int row, int column, int16_t *to) {
    int channels = l->in_channels, left = column < 0 ? -column : 0;
    int inside = (column + l->kernel_w > l->in_w ? l->in_w - column : l->kernel_w) - left;
    const int8_t *from = in + (row * l->in_w + column + left) * channels;
    for (int y = row; y < row + l->kernel_h; ++y, from += l->in_w * channels) {
        if (y < 0 || y >= l->in_h) {
            to = zeros(to, l->kernel_w * channels);
            continue;
        }
        to = zeros(to, left * channels);
        to = widen(to, from, inside * channels, l->in_offset);
        to = zeros(to, (l->kernel_w - left - inside) * channels);
    }
    return to;
}

/* Two channels of two pixels, whose patches of `depth` values follow one another. */
static int8_t *two_pixels(const struct layer *restrict l, const int16_t *patches, int depth, OUT out) {
    const int8_t *w0 = l->weights;
    int channel = 0;
    for (; channel + 1 < l->out_channels; channel += 2, w0 += depth) {
        const int16_t *a = patches, *b = patches + depth;
        const int8_t *w1 = w0 + depth;
        int32_t s00 = l->bias[channel], s01 = s00, s10 = l->bias[channel + 1], s11 = s10;
        int left = depth;
        for (; left >= 4; left -= 4, a += 4, b += 4, w0 += 4, w1 += 4) {
            uint32_t v0 = load32(w0), v1 = load32(w1);
            uint32_t e0 = even_bytes(v0), o0 = odd_bytes(v0), e1 = even_bytes(v1);
            uint32_t o1 = odd_bytes(v1), p = load32(a), q = load32(b);
            uint32_t l0 = low_halves(e0, o0), h0 = high_halves(e0, o0);
            uint32_t l1 = low_halves(e1, o1), h1 = high_halves(e1, o1);
            s00 = smlad(l0, p, s00), s01 = smlad(l0, q, s01);
            s10 = smlad(l1, p, s10), s11 = smlad(l1, q, s11);
            p = load32(a + 2), q = load32(b + 2);
            s00 = smlad(h0, p, s00), s01 = smlad(h0, q, s01);
            s10 = smlad(h1, p, s10), s11 = smlad(h1, q, s11);
        }
        for (; left > 0; --left, ++a, ++b, ++w0, ++w1) {
            s00 += *w0 * *a, s01 += *w0 * *b, s10 += *w1 * *a, s11 += *w1 * *b;
        }
        out[channel] = finished(l, channel, s00);
        out[channel + 1] = finished(l, channel + 1, s10);
        out[channel + l->out_channels] = finished(l, channel, s01);
        out[channel + 1 + l->out_channels] = finished(l, channel + 1, s11);
    }
    for (; channel < l->out_channels; ++channel) {
        int32_t s0 = l->bias[channel], s1 = s0;
        for (int i = 0; i < depth; ++i, ++w0) s0 += *w0 * patches[i], s1 += *w0 * patches[depth + i];
        out[channel] = finished(l, channel, s0);
        out[channel + l->out_channels] = finished(l, channel, s1);
    }
    return out + 2 * l->out_channels;
}

static int8_t *one_pixel(const struct layer *restrict l, const int16_t *values, int depth, OUT out) {
    const int8_t *w = l->weights;
    for (int channel = 0; channel < l->out_channels; ++channel) {
        int32_t sum = l->bias[channel];
        for (int i = 0; i < depth; ++i) sum += *w++ * values[i];
        *out++ = finished(l, channel, sum);
    }
    return out;
}

void convolution(const struct layer *restrict l, const int8_t *in, OUT out, int16_t *scratch) {
    int depth = l->kernel_h * l->kernel_w * l->in_channels;
    int16_t *to = scratch;
    for (int y = 0; y < l->out_h; ++y) {
        for (int x = 0; x < l->out_w; ++x) {
            to = patch(l, in, y * l->stride - l->pad_top, x * l->stride - l->pad_left, to);
            if (to == scratch + 2 * depth) {
                out = two_pixels(l, scratch, depth, out);
                to = scratch;
            }
        }
    }
    if (to != scratch) one_pixel(l, scratch, depth, out);
}

/* 1x1, stride 1: int8 by int8; the offset's share of a channel is worked out once. */
void pointwise(const struct layer *restrict l, const int8_t *in, OUT out) {
    int depth = l->in_channels, pixels = l->out_h * l->out_w, width = l->out_channels;
    for (int channel = 0; channel < width; channel += 2) {
        const int8_t *row = l->weights + channel * depth;
        int32_t base0 = 0, base1 = 0;
        for (int i = 0; i < depth; ++i) base0 += row[i], base1 += row[depth + i];
        base0 = base0 * l->in_offset + l->bias[channel];
        base1 = base1 * l->in_offset + l->bias[channel + 1];
        const int8_t *a = in;
        int8_t *restrict to = out + channel;
        for (int pixel = 0; pixel + 1 < pixels; pixel += 2, a += depth, to += 2 * width) {
            const int8_t *w0 = row, *w1 = row + depth, *b = a + depth;
            int32_t s00 = base0, s01 = base0, s10 = base1, s11 = base1;
            for (int left = depth; left >= 4; left -= 4, a += 4, b += 4, w0 += 4, w1 += 4) {
                uint32_t v0 = load32(w0), v1 = load32(w1), p = load32(a), q = load32(b);
                uint32_t e0 = even_bytes(v0), e1 = even_bytes(v1);
                uint32_t ep = even_bytes(p), eq = even_bytes(q);
                uint32_t o0 = odd_bytes(v0), o1 = odd_bytes(v1);
                uint32_t op = odd_bytes(p), oq = odd_bytes(q);
                s00 = smlad(e0, ep, s00), s01 = smlad(e0, eq, s01);
                s10 = smlad(e1, ep, s10), s11 = smlad(e1, eq, s11);
                s00 = smlad(o0, op, s00), s01 = smlad(o0, oq, s01);
                s10 = smlad(o1, op, s10), s11 = smlad(o1, oq, s11);
            }
            to[0] = finished(l, channel, s00), to[1] = finished(l, channel + 1, s10);
            to[width] = finished(l, channel, s01), to[width + 1] = finished(l, channel + 1, s11);
        }
        for (int pixel = pixels & ~1; pixel < pixels; ++pixel, to += width) {
            int32_t s0 = base0, s1 = base1;
            for (int i = 0; i < depth; ++i) s0 += row[i] * a[i], s1 += row[depth + i] * a[i];
            to[0] = finished(l, channel, s0), to[1] = finished(l, channel + 1, s1);
        }
    }
}

/* Four channels of one pixel: positions of the kernel are taken two by two. */
static void four_channels(const struct layer *restrict l, const int16_t *values, int channel, OUT out) {
    int channels = l->in_channels, left = l->kernel_h * l->kernel_w;
    const int16_t *a = values + channel;
    const int8_t *w = l->weights + channel;
    int32_t s0 = l->bias[channel], s1 = l->bias[channel + 1];
    int32_t s2 = l->bias[channel + 2], s3 = l->bias[channel + 3];
    for (; left >= 2; left -= 2, a += 2 * channels, w += 2 * channels) {
        uint32_t v = load32(w), u = load32(w + channels);
        uint32_t first = low_halves(v, u), last = high_halves(v, u);
        uint32_t p = load32(a), q = load32(a + channels);
        s0 = smlad(even_bytes(first), low_halves(p, q), s0);
        s1 = smlad(odd_bytes(first), high_halves(p, q), s1);
        p = load32(a + 2), q = load32(a + channels + 2);
        s2 = smlad(even_bytes(last), low_halves(p, q), s2);
        s3 = smlad(odd_bytes(last), high_halves(p, q), s3);
    }
    for (; left > 0; --left, a += channels, w += channels) {
        s0 += w[0] * a[0], s1 += w[1] * a[1], s2 += w[2] * a[2], s3 += w[3] * a[3];
    }
    out[channel] = finished(l, channel, s0), out[channel + 1] = finished(l, channel + 1, s1);
    out[channel + 2] = finished(l, channel + 2, s2);
    out[channel + 3] = finished(l, channel + 3, s3);
}

void depthwise(const struct layer *restrict l, const int8_t *in, OUT out, int16_t *scratch) {
    for (int y = 0; y < l->out_h; ++y) {
        for (int x = 0; x < l->out_w; ++x, out += l->out_channels) {
            patch(l, in, y * l->stride - l->pad_top, x * l->stride - l->pad_left, scratch);
            for (int channel = 0; channel < l->in_channels; channel += 4) {
                four_channels(l, scratch, channel, out);
            }
        }
    }
}

void dense(const struct layer *restrict l, const int8_t *in, OUT out) {
    int depth = l->in_channels;
    uint32_t offsets = (uint32_t)(l->in_offset & 0xFFFF) * 0x10001u;
    for (int channel = 0; channel + 1 < l->out_channels; channel += 2) {
        const int8_t *a = in, *w0 = l->weights + channel * depth, *w1 = w0 + depth;
        int32_t s0 = l->bias[channel], s1 = l->bias[channel + 1];
        for (int left = depth; left >= 4; left -= 4, a += 4, w0 += 4, w1 += 4) {
            uint32_t v0 = load32(w0), v1 = load32(w1), p = load32(a), even, odd;
            __asm("sxtab16 %0, %1, %2" : "=r"(even) : "r"(offsets), "r"(p));
            __asm("sxtab16 %0, %1, %2, ror #8" : "=r"(odd) : "r"(offsets), "r"(p));
            s0 = smlad(even_bytes(v0), even, s0), s1 = smlad(even_bytes(v1), even, s1);
            s0 = smlad(odd_bytes(v0), odd, s0), s1 = smlad(odd_bytes(v1), odd, s1);
        }
        out[channel] = finished(l, channel, s0);
        out[channel + 1] = finished(l, channel + 1, s1);
    }
}

/* The mean of all pixels. */
void pool(const struct layer *restrict l, const int8_t *in, OUT out) {
    int pixels = l->in_h * l->in_w;
    for (int channel = 0; channel < l->in_channels; ++channel) {
        int32_t sum = pixels / 2;
        for (int i = 0; i < pixels; ++i) sum += in[i * l->in_channels + channel];
        out[channel] = (int8_t)(sum / pixels);
    }
}

/* To what is in `out`: both are brought to one scale, added, and rescaled. */
void add(const struct layer *restrict l, const int8_t *in, OUT out) {
    int count = l->out_h * l->out_w * l->out_channels;
    int32_t multiplier = l->multiplier[0], shift = l->shift[0];
    for (int i = 0; i < count; ++i) {
        int64_t a = (int64_t)((in[i] + l->in_offset) * (1 << 20)) * multiplier + (1 << 30);
        int64_t b = (int64_t)((out[i] + l->in_offset) * (1 << 20)) * multiplier + (1 << 30);
        out[i] = rescale((int32_t)(a >> 31) + (int32_t)(b >> 31), multiplier, 19 + shift / 8,
                         l->out_offset);
    }
}
