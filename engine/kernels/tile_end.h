/* SPDX-License-Identifier: Apache-2.0 */
/* Assembly of how a tile of four pixels by two channels ends: macros of strings.
 *
 * r6 to r9: sums of c0 of the four pixels; r10, r11, r12, lr: those of 256 * c1 + c0; r5 is free.
 * Whoever includes this defines END_LOADS, which brings the three words behind the weights into
 * END_0, END_1 and END_2, and has out, stride and last at the bottom of the stack.
 */
#ifndef TINYRACK_TILE_END_H
#define TINYRACK_TILE_END_H

/* Bytes of c0 and c1, side by side, to the four pixels; r0: out, s: stride, l: last. */
#ifndef STORE
#define STORE(s, l)                                                                               \
    "bfi r7, r11, #8, #8           \n bfi r8, r12, #8, #8 \n strh r7, [r0, " s "] \n"              \
    "bfi r9, lr, #8, #8            \n strh r8, [r0, " s ", lsl #1]                \n"              \
    "bfi r6, r10, #8, #8           \n strh r9, [r0, " l "]                        \n"              \
    "strh r6, [r0], #2             \n"
#endif

/* Ends with bias of c0, factor of c0, factor of c1: see engine/requantise.py. */
#define PART(c0, c1)                                                                              \
    "sub " c1 ", " c1 ", " c0 " \n add " c0 ", " END_0 ", " c0 ", lsl #8 \n"
#define SCALE_C0(a) "smmul " a ", " a ", " END_1 " \n"
#define SCALE_C1(a) "smmul " a ", " a ", " END_2 " \n"
#define END_ONE(shift)                                                                            \
    END_LOADS PART("r6", "r10") PART("r7", "r11") PART("r8", "r12") PART("r9", "lr")              \
    "ldm sp, {r0, " END_0 ", r5} \n"                                                              \
    SCALE_C0("r7") SCALE_C1("r11") SCALE_C0("r8") SCALE_C1("r12")                                 \
    SAT("r7", shift) SCALE_C0("r9") SAT("r11", shift) SCALE_C1("lr")                              \
    SAT("r8", shift) SCALE_C0("r6") SAT("r12", shift) SCALE_C1("r10")                             \
    SAT("r9", shift) SAT("lr", shift) SAT("r6", shift) SAT("r10", shift) STORE(END_0, "r5")
#define SAT(a, shift) "ssat " a ", #8, " a ", asr #" shift " \n"

#endif
