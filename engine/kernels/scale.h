/* SPDX-License-Identifier: Apache-2.0 */
/* Requantisation and clamping: the plain definition, and the short form of the fast kernels. */
#ifndef TINYRACK_SCALE_H
#define TINYRACK_SCALE_H

#include "kernels.h"

/* TFLite's double rounding: half up at 2**31, then half away from zero at 2**shift. */
TR_INLINE int32_t tr_requantize(int32_t acc, int32_t multiplier, int32_t shift)
{
    int32_t left = shift < 0 ? -shift : 0;
    int32_t right = shift > 0 ? shift : 0;
    int32_t value = (int32_t)((uint32_t)acc << left);
    int32_t high = (int32_t)(((int64_t)value * multiplier + (1 << 30)) >> 31);
    uint32_t mask = (1u << right) - 1u;
    uint32_t threshold = (mask >> 1) + (high < 0 ? 1u : 0u);
    return (high >> right) + (((uint32_t)high & mask) > threshold ? 1 : 0);
}

TR_INLINE int32_t tr_clamped(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* The int8 output of one channel, in plain words. Clamped before the zero point is added, since a
 * value of nearly 2**31 has no room for it. */
TR_INLINE int8_t tr_output_plain(const tr_conv *op, const tr_channel *channel, int32_t acc)
{
    int32_t value = tr_requantize(acc, channel->multiplier, channel->shift), zero = op->out_zero;
    return (int8_t)(tr_clamped(value, op->clamp_min - zero, op->clamp_max - zero) + zero);
}

/* The same, saturated only, for abs(acc) < 2**30 and shift 1 .. 22: both roundings are sums.
 * With r = round(acc * multiplier / 2**31), half away from zero at 2**shift is
 * floor((r + 2**(shift - 1) - (r < 0)) / 2**shift), and acc < 0 serves for r < 0: they differ
 * where r is 0, and there the quotient is 0 either way. */
TR_INLINE int32_t tr_output(const tr_channel *channel, int32_t acc)
{
    int32_t sum = tr_high_mla(acc * 2, channel->multiplier, channel->addend);
    return tr_saturate8((sum + (acc >> 31)) >> channel->shift);
}

/* Bytes clamped in place; costs nothing where the clamp is the whole range of int8. */
TR_INLINE void tr_clamp(int8_t *bytes, int32_t count, int32_t low, int32_t high)
{
    if (low <= -128 && high >= 127)
        return;
    for (int32_t i = 0; i < count; i++)
        bytes[i] = (int8_t)tr_clamped(bytes[i], low, high);
}

#endif
