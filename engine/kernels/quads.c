/* SPDX-License-Identifier: Apache-2.0 */
/* Pointwise convolution of few inputs on a Cortex-M4: the tiles of tile.h, their inputs on the stack.
 *
 * Inputs that stand at constant distances of SP need no register that points to them. With it a
 * tile has all four pixels of a step in registers: five loads one behind another, in six cycles,
 * and 15 cycles for 16 products. The steps of 64 inputs stand one behind another, without a loop,
 * entered so late that they end with the last; the four pixels are widened, and all channels of all
 * pixels made, without leaving the function. A Cortex-M7 gains nothing by this and takes
 * tr_pointwise, which has the same constants.
 */
#include "scale.h"
#include "tile.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && !TR_CORTEX_M7

/* Where outputs go, as tr_slots; words: of a pixel, 1 to 16; quads: fours of pixels, 1 or more. */
typedef struct {
    int32_t stride, last, words, quads;
} tr_run;

#define END_LOADS "ldm r1!, {r2, r3, r4} \n"
#define END_0 "r2"
#define END_1 "r3"
#define END_2 "r4"
/* As that of tile_end.h, with the bias of the next two channels loaded before the first store, which
 * costs a cycle less behind a load. */
#define STORE(s, l)                                                                               \
    "bfi r9, lr, #8, #8  \n bfi r7, r11, #8, #8 \n bfi r8, r12, #8, #8 \n bfi r6, r10, #8, #8 \n" \
    "ldr lr, [r1], #4    \n strh r7, [r0, " s "] \n strh r8, [r0, " s ", lsl #1] \n"               \
    "strh r9, [r0, " l "] \n strh r6, [r0], #2 \n"
#include "tile_end.h"

/* r0: in, then pixels 3; r1: pairs; r2, r3, r5: pixels 0 to 2; r4: a weight word, then its low bytes
 * r6 to r12, lr: sums, see tile_end.h
 * sp + 0: out, 4: stride, 8: last, 12: where steps begin, 16: bytes of all this, 20: pairs,
 * 24: words, 28: quads left, 32: the next quad, 40: pairs of inputs, the first at the bottom, the
 * second at the top and all others below it */
#define LOADS(at)                                                                                 \
    "ldr.w r4, [r1], #4 \n"                                                                       \
    "ldr.n r2, [sp, #" at "] \n ldr.n r3, [sp, #" at "+4] \n"                                     \
    "ldr.n r5, [sp, #" at "+8] \n ldr.n r0, [sp, #" at "+12] \n"
#define FIRST_STEP                                                                                \
    LOADS("40")                                                                                   \
    "smlad r10, r2, r4, lr \n smlad r11, r3, r4, lr \n"                                           \
    "smlad r12, r5, r4, lr \n smlad lr, r0, r4, lr  \n sxtb16 r4, r4 \n"                          \
    "smuad r6, r2, r4 \n smuad r7, r3, r4 \n smuad r8, r5, r4 \n smuad r9, r0, r4 \n"
#define STEP(at)                                                                                  \
    LOADS(at)                                                                                     \
    "smlad r10, r2, r4, r10 \n smlad r11, r3, r4, r11 \n"                                         \
    "smlad r12, r5, r4, r12 \n smlad lr, r0, r4, lr   \n sxtb16 r4, r4 \n"                        \
    "smlad r6, r2, r4, r6 \n smlad r7, r3, r4, r7 \n smlad r8, r5, r4, r8 \n smlad r9, r0, r4, r9 \n"
#define STEP_BYTES "48"
#define FOUR(at) STEP(at "+48") STEP(at "+32") STEP(at "+16") STEP(at)
/* Pairs from the top to the one above the bottom. */
#define STEPS                                                                                     \
    FOUR("40+16*28") FOUR("40+16*24") FOUR("40+16*20") FOUR("40+16*16") FOUR("40+16*12")          \
    FOUR("40+16*8") FOUR("40+16*4") STEP("40+16*3") STEP("40+16*2") STEP("40+16*1")

/* A word of each pixel to halves: even bytes to r8 to r11, odd ones to r4 to r7. */
#define WIDEN                                                                                     \
    "ldr r4, [r0], #4 \n ldr r5, [r12], #4 \n ldr r6, [lr], #4 \n ldr r7, [r1], #4 \n"            \
    "sxtb16 r8, r4 \n sxtb16 r9, r5 \n sxtb16 r10, r6 \n sxtb16 r11, r7 \n"                       \
    "sxtb16 r4, r4, ror #8 \n sxtb16 r5, r5, ror #8 \n"                                           \
    "sxtb16 r6, r6, ror #8 \n sxtb16 r7, r7, ror #8 \n subs r2, r2, #1 \n"

#define QUADS(end)                                                                                \
    ".syntax unified                                    \n"                                       \
    "push {r4-r11, lr}                                  \n"                                       \
    "ldm r3, {r4-r7}            @ stride, last, words, quads \n"                                  \
    "lsl r8, r6, #5                                     \n"                                       \
    "add r8, r8, #40                                    \n"                                       \
    "sub sp, sp, r8                                     \n"                                       \
    "stm sp, {r2, r4, r5}                               \n"                                       \
    "adr.w r9, 5f               @ two steps a word, but for the first \n"                         \
    "add r9, r9, #" STEP_BYTES " + 1                    \n"                                       \
    "mov r10, #2*" STEP_BYTES "                         \n"                                       \
    "mls r9, r6, r10, r9                                \n"                                       \
    "strd r9, r8, [sp, #12]                             \n"                                       \
    "strd r1, r6, [sp, #20]                             \n"                                       \
    "str r7, [sp, #28]                                  \n"                                       \
    ".balign 4                                          \n"                                       \
    "1:                         @ four pixels           \n"                                       \
    "ldrd r3, r1, [sp, #16]                             \n"                                       \
    "ldr r2, [sp, #24]                                  \n"                                       \
    "add r3, sp, r3             @ the top               \n"                                       \
    "add r12, r0, r2, lsl #2                            \n"                                       \
    "add lr, r12, r2, lsl #2                            \n"                                       \
    "add r1, lr, r2, lsl #2                             \n" WIDEN                                 \
    "strd r8, r9, [sp, #40]                             \n"                                       \
    "strd r10, r11, [sp, #48]                           \n"                                       \
    "stmdb r3!, {r4-r7}                                 \n"                                       \
    "beq 3f                                             \n"                                       \
    "2:                                                 \n" WIDEN                                 \
    "stmdb r3!, {r8-r11}                                \n"                                       \
    "stmdb r3!, {r4-r7}                                 \n"                                       \
    "bne 2b                                             \n"                                       \
    "3:                                                 \n"                                       \
    "str r1, [sp, #32]                                  \n"                                       \
    "ldr r1, [sp, #20]                                  \n"                                       \
    "ldr lr, [r1], #4                                   \n"                                       \
    ".balign 4                                          \n"                                       \
    "4:                         @ two channels          \n" FIRST_STEP                            \
    "ldr pc, [sp, #12]                                  \n"                                       \
    ".balign 16                                         \n" STEPS "5: \n" end                     \
    "str r0, [sp]                                       \n"                                       \
    "cmp lr, #0x80000000                                \n"                                       \
    "bne.w 4b                                           \n"                                       \
    "ldr r2, [sp, #28]                                  \n"                                       \
    "add r5, r5, r0             @ behind the last of four \n"                                     \
    "ldr r0, [sp, #32]                                  \n"                                       \
    "str r5, [sp]                                       \n"                                       \
    "subs r2, r2, #1                                    \n"                                       \
    "str r2, [sp, #28]                                  \n"                                       \
    "bne.w 1b                                           \n"                                       \
    "ldr r2, [sp, #16]                                  \n"                                       \
    "add sp, sp, r2                                     \n"                                       \
    "pop {r4-r11, pc}                                   \n"

__attribute__((naked, noinline, aligned(4))) static void
tr_quads_12(__attribute__((unused)) const int8_t *in, __attribute__((unused)) const int32_t *pairs,
            __attribute__((unused)) int8_t *out, __attribute__((unused)) const tr_run *run)
{
    __asm__ volatile(QUADS(END_ONE("12")));
}

/* Of the last one to three pixels, copied to where four may be read. */
static TR_NO_INLINE TR_NO_LIBRARY void tr_last_pixels(const tr_tiled *op, const int32_t *pairs,
                                                      const int8_t *in, int32_t count, int8_t *out,
                                                      int8_t *patch)
{
    int32_t in_c = op->conv.in_c, out_c = op->conv.out_c;
    const tr_run run = {count > 2 ? out_c : 0, count == 2 ? out_c : 0, in_c >> 2, 1};
    TR_ROLLED
    for (int32_t i = 0; i < count * in_c; i += 4)
        tr_store4(patch + (count == 2 && i >= in_c ? i + 2 * in_c : i), tr_load4(in + i));
    tr_quads_12(patch, pairs, out, &run);
}

/* in_c: a multiple of 4 up to 64; out_c: even; scratch: 8 * in_c + 8 bytes, and those of `kept`. */
void tr_pointwise_quads(const tr_tiled *op, const int8_t *in, int8_t *out, void *scratch)
{
    int32_t in_c = op->conv.in_c, out_c = op->conv.out_c;
    int32_t pixels = op->conv.out_h * op->conv.out_w, fours = pixels & ~3;
    const tr_run run = {out_c, 3 * out_c, in_c >> 2, pixels >> 2};
    const int32_t *pairs = tr_kept(op, (int32_t *)scratch + 2 * in_c + 2);
    if (run.quads > 0)
        tr_quads_12(in, pairs, out, &run);
    if (pixels > fours)
        tr_last_pixels(op, pairs, in + fours * in_c, pixels - fours, out + fours * out_c, scratch);
    tr_clamp(out, pixels * out_c, op->conv.clamp_min, op->conv.clamp_max);
}

#else

void tr_pointwise_quads(const tr_tiled *op, const int8_t *in, int8_t *out, void *scratch)
{
    tr_pointwise(op, in, out, scratch);
}

#endif
