/* SPDX-License-Identifier: Apache-2.0 */
/* Pointwise convolution of many inputs on a Cortex-M4: tiles of three pixels by two channels.
 *
 * Three pixels leave six registers for words that are loaded: two weight words in one LDM and the
 * inputs of three pixels in another, 17 instructions and 25 cycles for 24 products where four
 * pixels take 19.5 and 24. It is for depths at which the end of a tile is a small part of it, and
 * wastes nothing on maps of three pixels by three. The weights are those of tile.h; x holds a pair
 * of each of three pixels, 12 bytes, for each weight word. A Cortex-M7 issues loads beside products,
 * gains nothing by fewer, and takes tr_pointwise.
 */
#include "scale.h"
#include "tile.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && !TR_CORTEX_M7

/* stride: between pixels of the output; words: of a pixel, 1 or more; threes: of pixels, likewise. */
typedef struct {
    int32_t stride, words, threes;
    tr_word *x;
} tr_threes_run;

/* r0: x; r1: pairs; r2, r3: weight words, then their low bytes; r4 to r6: inputs of three pixels
 * r7 to r9: sums of c0; r10 to r12: those of 256 * c1 + c0; lr: end of x
 * sp + 0: out, 4: stride, 8: x, 12: end of x, 16: where a first round begins, 20: pairs, 24: words,
 * 28: threes left, 32: the next three */
#define INPUTS "ldm r0!, {r4-r6} \n"
#define STEP(w)                                                                                   \
    INPUTS                                                                                        \
    "smlad r10, r4, " w ", r10 \n smlad r11, r5, " w ", r11 \n smlad r12, r6, " w ", r12 \n"      \
    "sxtb16 " w ", " w "       \n"                                                                \
    "smlad r7, r4, " w ", r7   \n smlad r8, r5, " w ", r8   \n smlad r9, r6, " w ", r9   \n"
#define GROUP "ldm r1!, {r2, r3} \n" STEP("r2") STEP("r3")
/* The first of all: the bias of c1 in r2, which holds a sum until r12 is free of a weight word. */
#define FIRST_GROUP                                                                               \
    "ldm r1!, {r3, r12} \n" INPUTS                                                                \
    "smlad r10, r4, r3, r2     \n smlad r11, r5, r3, r2     \n smlad r2, r6, r3, r2      \n"      \
    "sxtb16 r3, r3             \n"                                                                \
    "smuad r7, r4, r3          \n smuad r8, r5, r3          \n smuad r9, r6, r3          \n" INPUTS \
    "smlad r10, r4, r12, r10   \n smlad r11, r5, r12, r11   \n sxtb16 r3, r12            \n"      \
    "smlad r12, r6, r12, r2    \n"                                                                \
    "smlad r7, r4, r3, r7      \n smlad r8, r5, r3, r8      \n smlad r9, r6, r3, r9      \n"

/* As END_ONE of tile_end.h: bias of c0, factor of c0, factor of c1. */
#define PART(c0, c1) "sub " c1 ", " c1 ", " c0 " \n add " c0 ", r2, " c0 ", lsl #8 \n"
#define SCALE(c0, c1) "smmul " c0 ", " c0 ", r3 \n smmul " c1 ", " c1 ", r4 \n"
#define SAT(c0, c1, shift)                                                                        \
    "ssat " c0 ", #8, " c0 ", asr #" shift " \n ssat " c1 ", #8, " c1 ", asr #" shift " \n"       \
    "bfi " c0 ", " c1 ", #8, #8 \n"
#define END(shift)                                                                                \
    "ldm r1!, {r2, r3, r4} \n" PART("r7", "r10") PART("r8", "r11") PART("r9", "r12")              \
    "ldrd r0, r5, [sp]     \n" SCALE("r7", "r10") SCALE("r8", "r11") SCALE("r9", "r12")           \
    SAT("r7", "r10", shift) SAT("r8", "r11", shift) SAT("r9", "r12", shift)                       \
    "ldr r2, [r1], #4      @ before a store, which costs a cycle less behind a load \n"            \
    "strh r8, [r0, r5]     \n strh r9, [r0, r5, lsl #1] \n strh r7, [r0], #2 \n"

#define THREES(end)                                                                               \
    ".syntax unified                                    \n"                                       \
    "push {r4-r11, lr}                                  \n"                                       \
    "sub sp, sp, #36                                    \n"                                       \
    "ldm r3, {r4-r7}            @ stride, words, threes, x \n"                                    \
    "strd r2, r4, [sp]                                  \n"                                       \
    "add r8, r5, r5, lsl #1                             \n"                                       \
    "add r8, r7, r8, lsl #3     @ 24 bytes a word       \n"                                       \
    "strd r7, r8, [sp, #8]                              \n"                                       \
    "sub r9, r5, #1                                     \n"                                       \
    "and r9, r9, #7             @ groups of a first round \n"                                     \
    "adr.w r10, 6f                                      \n"                                       \
    "adr.w r11, 5f                                      \n"                                       \
    "sub r11, r10, r11          @ bytes of a group      \n"                                       \
    "mls r10, r9, r11, r10                              \n"                                       \
    "orr r10, r10, #1                                   \n"                                       \
    "strd r10, r1, [sp, #16]                            \n"                                       \
    "strd r5, r6, [sp, #24]                             \n"                                       \
    "1:                         @ three pixels          \n"                                       \
    "ldr r3, [sp, #8]                                   \n"                                       \
    "ldr r2, [sp, #24]                                  \n"                                       \
    "add r12, r0, r2, lsl #2                            \n"                                       \
    "add lr, r12, r2, lsl #2                            \n"                                       \
    "2:                         @ a word of each, even bytes, then odd ones \n"                   \
    "ldr r4, [r0], #4 \n ldr r5, [r12], #4 \n ldr r6, [lr], #4 \n"                                \
    "sxtb16 r7, r4 \n sxtb16 r8, r5 \n sxtb16 r9, r6 \n"                                          \
    "sxtb16 r4, r4, ror #8 \n sxtb16 r5, r5, ror #8 \n sxtb16 r6, r6, ror #8 \n"                  \
    "subs r2, r2, #1                                    \n"                                       \
    "stm r3!, {r7-r9}                                   \n"                                       \
    "stm r3!, {r4-r6}                                   \n"                                       \
    "bne 2b                                             \n"                                       \
    "str lr, [sp, #32]                                  \n"                                       \
    "mov lr, r3                                         \n"                                       \
    "ldr r1, [sp, #20]                                  \n"                                       \
    "ldr r2, [r1], #4                                   \n"                                       \
    "3:                         @ two channels          \n"                                       \
    "ldr r0, [sp, #8]                                   \n" FIRST_GROUP                           \
    "ldr pc, [sp, #16]                                  \n"                                       \
    ".balign 4                                          \n"                                       \
    "4: \n" GROUP GROUP GROUP GROUP GROUP GROUP GROUP "5: \n" GROUP "6: \n"                       \
    "cmp r0, lr                                         \n"                                       \
    "bne.w 4b                                           \n" end                                   \
    "str r0, [sp]                                       \n"                                       \
    "cmp r2, #0x80000000                                \n"                                       \
    "bne.w 3b                                           \n"                                       \
    "ldr r2, [sp, #28]                                  \n"                                       \
    "add r5, r0, r5, lsl #1     @ behind the last of three \n"                                    \
    "ldr r0, [sp, #32]                                  \n"                                       \
    "str r5, [sp]                                       \n"                                       \
    "subs r2, r2, #1                                    \n"                                       \
    "str r2, [sp, #28]                                  \n"                                       \
    "bne.w 1b                                           \n"                                       \
    "add sp, sp, #36                                    \n"                                       \
    "pop {r4-r11, pc}                                   \n"

__attribute__((naked, noinline, aligned(4))) static void
tr_threes_12(__attribute__((unused)) const int8_t *in, __attribute__((unused)) const int32_t *pairs,
             __attribute__((unused)) int8_t *out, __attribute__((unused)) const tr_threes_run *run)
{
    __asm__ volatile(THREES(END("12")));
}

/* in_c: a multiple of 4; out_c: even; pixels: a multiple of 3; scratch: 8 * in_c + 8 bytes, and
 * those of `kept`. */
void tr_pointwise_threes(const tr_tiled *op, const int8_t *in, int8_t *out, void *scratch)
{
    int32_t pixels = op->conv.out_h * op->conv.out_w;
    const tr_threes_run run = {op->conv.out_c, op->conv.in_c >> 2, pixels / 3, scratch};
    tr_threes_12(in, tr_kept(op, (int32_t *)scratch + 2 * op->conv.in_c + 2), out, &run);
    tr_clamp(out, pixels * op->conv.out_c, op->conv.clamp_min, op->conv.clamp_max);
}

#else

void tr_pointwise_threes(const tr_tiled *op, const int8_t *in, int8_t *out, void *scratch)
{
    tr_pointwise(op, in, out, scratch);
}

#endif
