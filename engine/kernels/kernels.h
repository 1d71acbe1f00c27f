/* The int8 kernels: what they are given, and their names.
 *
 * Activations are int8 [H, W, C]. Each kernel has a plain twin (`..._plain`) that says in simple C
 * what is computed; both give the bits of TFLite's reference kernels.
 */
#ifndef TINYRACK_KERNELS_H
#define TINYRACK_KERNELS_H

#include "arch.h"

/* How one output channel ends: out = zero + round(round(acc * multiplier / 2**31) / 2**shift). */
typedef struct {
    int32_t bias;       /* with the input's zero point folded in: bias - zero * sum(weights) */
    int32_t multiplier; /* 2**30 .. 2**31 - 1, or 0 */
    int32_t shift;      /* to the right; negative: acc is shifted left first */
    int32_t addend;     /* (zero << shift) + (1 << (shift - 1)), for the fast kernels */
} tr_channel;

/* A convolution of any kind. Weights are rows of one output channel, [KH, KW, Cin], each filled up
 * with zeros to a multiple of four bytes; for a depthwise convolution see depthwise.c.
 * Fully connected: in_c is the flattened input, all else 1. */
typedef struct {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t pad_top, pad_left;
    int32_t in_zero, out_zero;
    int32_t clamp_min, clamp_max;
    const int8_t *weights;
    const tr_channel *channels;
} tr_conv;

typedef struct {
    int32_t in_h, in_w, channels;
    int32_t out_h, out_w;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t pad_top, pad_left;
    int32_t clamp_min, clamp_max;
} tr_pool;

/* round(x * multiplier / 2**31), then / 2**shift; shift as in tr_channel. */
typedef struct {
    int32_t multiplier, shift;
} tr_factor;

/* Input a is the one with the larger scale. */
typedef struct {
    int32_t size; /* elements */
    int32_t zero_a, zero_b, out_zero;
    tr_factor factor_a, factor_b, factor_out;
    int32_t clamp_min, clamp_max;
} tr_sum;

/* Scratch is 4-aligned; how much each needs is said at its definition. */
void tr_conv2d(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch);
void tr_conv2d_plain(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch);
void tr_pointwise(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch);
void tr_pointwise_plain(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch);
void tr_depthwise(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch);
void tr_depthwise_plain(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch);
void tr_fully_connected(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch);
void tr_fully_connected_plain(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch);
void tr_average_pool(const tr_pool *op, const int8_t *in, int8_t *out);
void tr_average_pool_plain(const tr_pool *op, const int8_t *in, int8_t *out);
void tr_add(const tr_sum *op, const int8_t *a, const int8_t *b, int8_t *out);
void tr_add_plain(const tr_sum *op, const int8_t *a, const int8_t *b, int8_t *out);

#endif
