/* SPDX-License-Identifier: Apache-2.0 */
/* The few machine instructions that the kernels are made of.
 *
 * With the Cortex-M DSP extension each function is one or two instructions; without it, portable C
 * that gives the same bits, so that what runs on a host proves what runs on a board.
 */
#ifndef TINYRACK_ARCH_H
#define TINYRACK_ARCH_H

#include <stdint.h>

/* A word in scratch memory, whatever the type that the arena was declared with. */
typedef int32_t __attribute__((may_alias)) tr_word;

#define TR_INLINE static inline __attribute__((always_inline, unused))
#define TR_NO_INLINE __attribute__((noinline))
/* Of what stands in several places and is not in the way: a call where compiled for size. */
#ifdef __OPTIMIZE_SIZE__
#define TR_INLINE_FAST static TR_NO_INLINE __attribute__((unused))
#else
#define TR_INLINE_FAST TR_INLINE
#endif

/* Copy loops shall stay loops: a call of memcpy costs more than the few bytes of a tap.
 * TR_UNROLL stands before a loop whose count, at most 8, is known to the compiler, TR_ROLLED before
 * one that runs a few times and shall stay short. */
#if defined(__clang__)
#define TR_NO_LIBRARY __attribute__((no_builtin))
#define TR_ROLLED _Pragma("clang loop unroll(disable) vectorize(disable)")
#define TR_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TR_UNROLL _Pragma("GCC unroll 8")
#define TR_ROLLED _Pragma("GCC unroll 1")
#define TR_NO_LIBRARY __attribute__((optimize("no-tree-loop-distribute-patterns")))
#endif

/* Whether to use the schedules for a Cortex-M7: as -DTR_CORTEX_M7=1 or =0 says. Without it a
 * double-precision FPU is all that compilers tell of one; an M7 with single precision, as in an
 * STM32F746, needs the flag. */
#ifndef TR_CORTEX_M7
#if defined(__ARM_FP) && (__ARM_FP & 8)
#define TR_CORTEX_M7 1
#else
#define TR_CORTEX_M7 0
#endif
#endif

/* Four bytes from any address: one LDR. */
TR_INLINE int32_t tr_load4(const int8_t *from)
{
    int32_t word;
    __builtin_memcpy(&word, from, 4);
    return word;
}

/* Four bytes to any address: one STR. */
TR_INLINE void tr_store4(int8_t *to, int32_t word)
{
    __builtin_memcpy(to, &word, 4);
}

/* Bytes b0..b3 of one word, b0 lowest. */
TR_INLINE int32_t tr_pack4(int32_t b0, int32_t b1, int32_t b2, int32_t b3)
{
    return (int32_t)((uint32_t)(b0 & 255) | (uint32_t)(b1 & 255) << 8 | (uint32_t)(b2 & 255) << 16 |
                     (uint32_t)b3 << 24);
}

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* Bytes 0 and 2, sign-extended to two halves. */
TR_INLINE int32_t tr_even(int32_t word)
{
    int32_t halves;
    __asm__("sxtb16 %0, %1" : "=r"(halves) : "r"(word));
    return halves;
}

/* Bytes 1 and 3, sign-extended to two halves. */
TR_INLINE int32_t tr_odd(int32_t word)
{
    int32_t halves;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(halves) : "r"(word));
    return halves;
}

/* acc with bytes 0 and 2 added to its halves. */
TR_INLINE int32_t tr_add_even(int32_t acc, int32_t word)
{
    __asm__("sxtab16 %0, %0, %1" : "+r"(acc) : "r"(word));
    return acc;
}

/* acc with bytes 1 and 3 added to its halves. */
TR_INLINE int32_t tr_add_odd(int32_t acc, int32_t word)
{
    __asm__("sxtab16 %0, %0, %1, ror #8" : "+r"(acc) : "r"(word));
    return acc;
}

/* acc + a.low * b.low + a.high * b.high */
TR_INLINE int32_t tr_dot2(int32_t a, int32_t b, int32_t acc)
{
    int32_t sum;
    __asm__("smlad %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(acc));
    return sum;
}

/* acc + a.low * b.low */
TR_INLINE int32_t tr_mla_low(int32_t a, int32_t b, int32_t acc)
{
    int32_t sum;
    __asm__("smlabb %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(acc));
    return sum;
}

/* acc + a.high * b.high */
TR_INLINE int32_t tr_mla_high(int32_t a, int32_t b, int32_t acc)
{
    int32_t sum;
    __asm__("smlatt %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(acc));
    return sum;
}

/* addend + round(a * b / 2**32), half up */
TR_INLINE int32_t tr_high_mla(int32_t a, int32_t b, int32_t addend)
{
    int32_t sum;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(addend));
    return sum;
}

/* acc + (a * b.low >> 16) */
TR_INLINE int32_t tr_wide_low(int32_t a, int32_t b, int32_t acc)
{
    int32_t sum;
    __asm__("smlawb %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(acc));
    return sum;
}

/* acc + (a * b.high >> 16) */
TR_INLINE int32_t tr_wide_high(int32_t a, int32_t b, int32_t acc)
{
    int32_t sum;
    __asm__("smlawt %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(acc));
    return sum;
}

/* (value >> 20) clamped to -128 .. 127 */
TR_INLINE int32_t tr_saturate8_20(int32_t value)
{
    int32_t byte;
    __asm__("ssat %0, #8, %1, asr #20" : "=r"(byte) : "r"(value));
    return byte;
}

/* The low bytes of four values. */
TR_INLINE int32_t tr_join4(int32_t b0, int32_t b1, int32_t b2, int32_t b3)
{
    __asm__("bfi %0, %1, #8, #8" : "+r"(b0) : "r"(b1));
    __asm__("bfi %0, %1, #8, #8" : "+r"(b2) : "r"(b3));
    __asm__("pkhbt %0, %0, %1, lsl #16" : "+r"(b0) : "r"(b2));
    return b0;
}

/* Four bytes from any address, which goes on behind them; volatile, so that it stays one LDR. */
TR_INLINE int32_t tr_take4(const int8_t **from)
{
    int32_t word;
    __asm__ volatile("ldr %0, [%1], #4" : "=r"(word), "+r"(*from) : : "memory");
    return word;
}

/* The bytes 2 of four values. */
TR_INLINE int32_t tr_tops4(int32_t b0, int32_t b1, int32_t b2, int32_t b3)
{
    __asm__("pkhtb %0, %1, %0, asr #16" : "+r"(b0) : "r"(b2));
    __asm__("pkhtb %0, %1, %0, asr #16" : "+r"(b1) : "r"(b3));
    __asm__("uxtb16 %0, %0" : "+r"(b0));
    __asm__("uxtb16 %0, %0" : "+r"(b1));
    return b0 | (int32_t)((uint32_t)b1 << 8);
}

/* value clamped to -128 .. 127 */
TR_INLINE int32_t tr_saturate8(int32_t value)
{
    int32_t byte;
    __asm__("ssat %0, #8, %1" : "=r"(byte) : "r"(value));
    return byte;
}

/* The larger of each two bytes. */
TR_INLINE int32_t tr_max4(int32_t a, int32_t b)
{
    int32_t larger;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(larger) : "r"(a), "r"(b));
    return larger;
}

#else

TR_INLINE int32_t tr_halves(int32_t low, int32_t high)
{
    return (int32_t)(((uint32_t)low & 0xFFFFu) | (uint32_t)high << 16);
}

TR_INLINE int32_t tr_even(int32_t word)
{
    return tr_halves((int8_t)word, (int8_t)(word >> 16));
}

TR_INLINE int32_t tr_odd(int32_t word)
{
    return tr_halves((int8_t)(word >> 8), (int8_t)(word >> 24));
}

TR_INLINE int32_t tr_add_even(int32_t acc, int32_t word)
{
    return tr_halves(acc + (int8_t)word, (acc >> 16) + (int8_t)(word >> 16));
}

TR_INLINE int32_t tr_add_odd(int32_t acc, int32_t word)
{
    return tr_halves(acc + (int8_t)(word >> 8), (acc >> 16) + (int8_t)(word >> 24));
}

TR_INLINE int32_t tr_mla_low(int32_t a, int32_t b, int32_t acc)
{
    return (int32_t)((uint32_t)acc + (uint32_t)((int16_t)a * (int16_t)b));
}

TR_INLINE int32_t tr_mla_high(int32_t a, int32_t b, int32_t acc)
{
    return (int32_t)((uint32_t)acc + (uint32_t)((a >> 16) * (b >> 16)));
}

TR_INLINE int32_t tr_dot2(int32_t a, int32_t b, int32_t acc)
{
    return tr_mla_high(a, b, tr_mla_low(a, b, acc));
}

TR_INLINE int32_t tr_high_mla(int32_t a, int32_t b, int32_t addend)
{
    return addend + (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
}

TR_INLINE int32_t tr_wide_low(int32_t a, int32_t b, int32_t acc)
{
    return (int32_t)((uint32_t)acc + (uint32_t)(((int64_t)a * (int16_t)b) >> 16));
}

TR_INLINE int32_t tr_wide_high(int32_t a, int32_t b, int32_t acc)
{
    return tr_wide_low(a, b >> 16, acc);
}

TR_INLINE int32_t tr_join4(int32_t b0, int32_t b1, int32_t b2, int32_t b3)
{
    return tr_pack4(b0, b1, b2, b3);
}

TR_INLINE int32_t tr_saturate8(int32_t value)
{
    return value < -128 ? -128 : value > 127 ? 127 : value;
}

TR_INLINE int32_t tr_take4(const int8_t **from)
{
    int32_t word = tr_load4(*from);
    *from += 4;
    return word;
}

TR_INLINE int32_t tr_tops4(int32_t b0, int32_t b1, int32_t b2, int32_t b3)
{
    return tr_pack4(b0 >> 16, b1 >> 16, b2 >> 16, b3 >> 16);
}

TR_INLINE int32_t tr_saturate8_20(int32_t value)
{
    return tr_saturate8(value >> 20);
}

TR_INLINE int32_t tr_larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

TR_INLINE int32_t tr_max4(int32_t a, int32_t b)
{
    return tr_pack4(tr_larger((int8_t)a, (int8_t)b), tr_larger((int8_t)(a >> 8), (int8_t)(b >> 8)),
                    tr_larger((int8_t)(a >> 16), (int8_t)(b >> 16)), tr_larger(a >> 24, b >> 24));
}

#endif
#endif
