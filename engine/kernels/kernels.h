/* SPDX-License-Identifier: Apache-2.0 */
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
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t in_zero, out_zero;
    int32_t clamp_min, clamp_max;
    const int8_t *weights;
    const tr_channel *channels;
} tr_conv;

/* All outputs of four pixels whose inputs stand in x, see tile.h. */
typedef struct tr_slots tr_slots;
typedef void tr_tiles(const tr_word *x, const int32_t *pairs, int8_t *out, const tr_slots *slots);

/* A convolution in tiles of four pixels by two channels; conv has no weights and channels. */
typedef struct {
    tr_conv conv;
    tr_tiles *tile;
    int32_t groups; /* of four inputs of a window, the last filled up */
    int32_t odd;    /* words of `pairs` before the last two channels of an odd number, or 0 */
    int32_t kept;   /* words of `pairs` that scratch has room for behind all else, or 0 */
    const int32_t *pairs;
} tr_tiled;

/* Rows of input into pairs, and outputs from those, see sweep.h. */
typedef struct tr_row tr_row;
typedef struct tr_lines tr_lines;
typedef void tr_takes(const int8_t *from, int32_t inside, tr_word *to, const tr_row *row);
typedef void tr_sweeps(const tr_word *x, const int32_t *pairs, int8_t *out, const tr_lines *lines);

/* A depthwise convolution two taps at a time; conv has no weights and channels. */
typedef struct {
    tr_conv conv;
    tr_takes *take;
    tr_sweeps *sweep;
    int32_t slots; /* pairs of rows in scratch */
    int32_t unit;  /* of the inputs in pairs: 256 or 1 */
    int32_t words; /* of a channel in `pairs` */
    const int32_t *pairs;
} tr_swept;

/* All output channels but the last 0 to 5, see dense.c; returns the stream behind them. */
typedef struct tr_dense tr_dense;
typedef const int32_t *tr_sixes_of(const int8_t *x, const int32_t *stream, int8_t *out,
                                   const tr_dense *op);

/* Fully connected, as one stream of words. */
struct tr_dense {
    int32_t inputs, sixes; /* of output channels */
    int32_t outputs;
    int32_t shift; /* 0: each channel has its own */
    int32_t clamp_min, clamp_max;
    tr_sixes_of *run;
    const int32_t *stream;
};

typedef struct {
    int32_t in_h, in_w, channels;
    int32_t out_h, out_w;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t pad_top, pad_left;
    int32_t clamp_min, clamp_max;
    int32_t factor, addend; /* of the mean of a whole window, see average_pool.c; or 0 */
} tr_pool;

/* round(x * multiplier / 2**31), then / 2**shift; shift as in tr_channel. */
typedef struct {
    int32_t multiplier, shift;
} tr_factor;

/* Where the elements of two inputs lie, in the order of the output's. Axes along which both go on
 * are one; at the front are axes of 1. */
typedef struct {
    int32_t sizes[3];               /* of the output */
    int32_t steps_a[3], steps_b[3]; /* elements to the next one; 0: the same again */
} tr_spread;

/* sign_a * a + sign_b * b. In the fast kernels a is the input with the larger scale. */
typedef struct {
    tr_spread at;
    int32_t sign_a, sign_b; /* 1 or -1 */
    int32_t zero_a, zero_b, out_zero;
    tr_factor factor_a, factor_b, factor_out;
    int32_t clamp_min, clamp_max;
} tr_sum;

/* Sums of equal shapes on a line, see blend.c. */
typedef struct {
    int32_t size;
    int32_t first, second, addend;
    int32_t clamp_min, clamp_max;
} tr_line;

typedef struct {
    tr_spread at;
    int32_t zero_a, zero_b, out_zero;
    tr_factor factor;
    int32_t clamp_min, clamp_max;
} tr_product;

typedef struct {
    int32_t size;
} tr_bytes;

/* Elements of an input in another order. */
typedef struct {
    int32_t sizes[3]; /* of the output, with axes that are one in the input as one */
    int32_t start;    /* the input's element that comes first */
    int32_t steps[3]; /* elements of the input to the next one */
} tr_walk;

/* Elements of one value around an input. */
typedef struct {
    int32_t sizes[3]; /* of the input */
    int32_t before[3], after[3];
    int32_t value;
} tr_border;

typedef struct {
    int32_t inputs, rows;
    const int32_t *sizes; /* bytes of each input in a row */
} tr_parts;

typedef struct {
    int32_t in_w, channels;
    int32_t out_h, out_w;
    const uint16_t *rows, *columns; /* of the input, for each of the output */
} tr_resize;

typedef struct {
    int32_t size;
    const int8_t *outputs; /* of the inputs -128 .. 127 */
} tr_function;

/* Steps below a row's maximum, up to `radius` of them, become a number of 5 integer bits when they
 * are shifted left and multiplied by multiplier / 2**31. */
typedef struct {
    int32_t rows, channels;
    int32_t multiplier, shift;
    int32_t radius;
} tr_distribution;

/* The input as [outer, far, middle, near, inner], of which far and near are summed up. */
typedef struct {
    int32_t outer, far, middle, near, inner;
    int32_t base; /* added to each sum: less the zero point, as often as there are elements */
    int32_t out_zero;
    tr_factor factor; /* 1 / elements included */
    int32_t clamp_min, clamp_max;
} tr_reduction;

/* Scratch is 4-aligned; how much each needs is said at its definition. `out` may lie over an input
 * that nobody reads afterwards, so far below it that no byte is stored before its last load: the
 * planner knows how far that is for each kernel and shape. */
void tr_conv2d_pairs(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch);
void tr_conv2d_plain(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch);
void tr_pointwise_plain(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch);
void tr_pointwise(const tr_tiled *op, const int8_t *in, int8_t *out, void *scratch);
void tr_pointwise_quads(const tr_tiled *op, const int8_t *in, int8_t *out, void *scratch);
void tr_pointwise_threes(const tr_tiled *op, const int8_t *in, int8_t *out, void *scratch);
void tr_conv2d(const tr_tiled *op, const int8_t *in, int8_t *out, void *scratch);
void tr_conv2d_rgb(const tr_tiled *op, const int8_t *in, int8_t *out, void *scratch);
tr_tiles tr_tile_9, tr_tile_12, tr_tile_15, tr_tile_any;
void tr_depthwise(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch);
void tr_depthwise_swept(const tr_swept *op, const int8_t *in, int8_t *out, void *scratch);
tr_takes tr_take_3_256, tr_take_7_256, tr_take_8_256, tr_take_9_256, tr_take_14_256;
tr_takes tr_take_3_1, tr_take_7_1, tr_take_8_1, tr_take_9_1, tr_take_14_1;
tr_sweeps tr_sweep_7_1_9, tr_sweep_7_1_12, tr_sweep_7_1_15, tr_sweep_7_1_any;
tr_sweeps tr_sweep_7_2_9, tr_sweep_7_2_12, tr_sweep_7_2_15, tr_sweep_7_2_any;
tr_sweeps tr_sweep_3_1_9, tr_sweep_3_1_12, tr_sweep_3_1_15, tr_sweep_3_1_any;
tr_sweeps tr_sweep_3_2_9, tr_sweep_3_2_12, tr_sweep_3_2_15, tr_sweep_3_2_any;
tr_sweeps tr_sweep_14_1_9, tr_sweep_14_1_12, tr_sweep_14_1_15, tr_sweep_14_1_any;
tr_sweeps tr_block_5_1_9, tr_block_5_1_12, tr_block_5_1_15, tr_block_5_1_any;
tr_sweeps tr_block_5_2_9, tr_block_5_2_12, tr_block_5_2_15, tr_block_5_2_any;
tr_sweeps tr_block_7_1_9, tr_block_7_1_12, tr_block_7_1_15, tr_block_7_1_any;
tr_sweeps tr_block_7_2_9, tr_block_7_2_12, tr_block_7_2_15, tr_block_7_2_any;
void tr_depthwise_plain(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch);
tr_sixes_of tr_sixes_9, tr_sixes_12, tr_sixes_15, tr_sixes_any;
tr_sixes_of tr_sixes_wide_9, tr_sixes_wide_12, tr_sixes_wide_15, tr_sixes_wide_any;
void tr_fully_connected(const tr_dense *op, const int8_t *in, int8_t *out);
void tr_fully_connected_pairs(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch);
void tr_fully_connected_plain(const tr_conv *op, const int8_t *in, int8_t *out, void *scratch);
void tr_average_pool(const tr_pool *op, const int8_t *in, int8_t *out);
void tr_average_pool_plain(const tr_pool *op, const int8_t *in, int8_t *out);
void tr_max_pool(const tr_pool *op, const int8_t *in, int8_t *out);
void tr_max_pool_plain(const tr_pool *op, const int8_t *in, int8_t *out);
void tr_add(const tr_line *op, const int8_t *a, const int8_t *b, int8_t *out);
void tr_add_scaled(const tr_sum *op, const int8_t *a, const int8_t *b, int8_t *out);
void tr_add_plain(const tr_sum *op, const int8_t *a, const int8_t *b, int8_t *out);
void tr_sub_scaled(const tr_sum *op, const int8_t *a, const int8_t *b, int8_t *out);
void tr_mul(const tr_product *op, const int8_t *a, const int8_t *b, int8_t *out);
void tr_mul_plain(const tr_product *op, const int8_t *a, const int8_t *b, int8_t *out);
void tr_reshape(const tr_bytes *op, const int8_t *in, int8_t *out);
void tr_gather(const tr_walk *op, const int8_t *in, int8_t *out);
void tr_pad(const tr_border *op, const int8_t *in, int8_t *out);
void tr_concat(const tr_parts *op, const int8_t *const *inputs, int8_t *out);
void tr_resize_nearest(const tr_resize *op, const int8_t *in, int8_t *out);
void tr_lookup(const tr_function *op, const int8_t *in, int8_t *out);
void tr_softmax(const tr_distribution *op, const int8_t *in, int8_t *out);
void tr_reduce_mean(const tr_reduction *op, const int8_t *in, int8_t *out);
void tr_reduce_mean_plain(const tr_reduction *op, const int8_t *in, int8_t *out);

#endif
