/* Layers as the bench writes them into flash. */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <stdint.h>

enum kind { CONVOLUTION = 0, POINTWISE = 1, DEPTHWISE = 2, DENSE = 3, POOL = 4, ADD = 5 };

/* int8 [h, w, channels] in and out, weights int8 [out][k_h][k_w][in], one scale an output channel:
 * the factor is multiplier / 2^31 * 2^-shift. Mirrored by workload.py. */
struct layer {
    uint32_t kind;
    int32_t in_h, in_w, in_channels, out_h, out_w, out_channels;
    int32_t kernel_h, kernel_w, stride, pad_top, pad_left;
    int32_t in_offset, out_offset;
    const int8_t *weights;
    const int32_t *bias, *multiplier, *shift;
};

/* `scratch`: kernel_h * kernel_w * in_channels values, twice as many for a convolution. */
void convolution(const struct layer *l, const int8_t *in, int8_t *out, int16_t *scratch);
void pointwise(const struct layer *l, const int8_t *in, int8_t *out);
void depthwise(const struct layer *l, const int8_t *in, int8_t *out, int16_t *scratch);
void dense(const struct layer *l, const int8_t *in, int8_t *out);
void pool(const struct layer *l, const int8_t *in, int8_t *out);
void add(const struct layer *l, const int8_t *in, int8_t *out);

#endif
