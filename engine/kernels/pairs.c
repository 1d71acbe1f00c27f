/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of pixels to words of pairs for 3x3 kernels: assembly for cores with the DSP extension, and
 * the same in C for all others. See sweep.h.
 */
#include "slots.h"
#include "sweep.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* Four channels at a time.
 * r0: from, r2: to; r3: down, r4: right, r5: pixels left, r6: zeros, r7: mask
 * r8, r9: four channels of the upper and of the lower row */
#define TAKE_BOTH "ldr r8, [r0] \n ldr r9, [r0, r3] \n add r0, r0, r4 \n"
#define TAKE_UPPER "ldr r8, [r0] \n add r0, r0, r4 \n"
#define TAKE_LOWER "ldr r9, [r0] \n add r0, r0, r4 \n"
#define PAIR_UP(slots, widen)                                                                     \
    "pkhbt r10, r8, r9, lsl #16 \n pkhtb r11, r9, r8, asr #16 \n" widen                           \
    "str r10, [r2, #" CHANNEL_##slots(1) "] \n str lr, [r2, #" CHANNEL_##slots(2) "] \n"          \
    "str r11, [r2, #" CHANNEL_##slots(3) "] \n str r12, [r2], #" COLUMN_##slots " \n"
#define LOW_256(to, from) "and " to ", r7, " from ", lsl #8 \n"
#define HIGH_256(word) "and " word ", r7, " word " \n"
#define LOW_1(to, from) "sxtb16 " to ", " from " \n"
#define HIGH_1(word) "sxtb16 " word ", " word ", ror #8 \n"
#define WIDEN_256 LOW_256("r12", "r10") HIGH_256("r10") LOW_256("lr", "r11") HIGH_256("r11")
#define WIDEN_1 LOW_1("r12", "r10") HIGH_1("r10") LOW_1("lr", "r11") HIGH_1("r11")
/* Two pairs, one below the other, of rows r8 to r11; r6: three times down. */
#define TAKE_FOUR(slots, unit)                                                                    \
    "ldr r8, [r0] \n ldr r9, [r0, r3] \n ldr r10, [r0, r3, lsl #1] \n ldr r11, [r0, r6] \n"       \
    "add r0, r0, r4 \n pkhbt r12, r8, r9, lsl #16 \n pkhtb lr, r9, r8, asr #16 \n"                \
    "pkhbt r8, r10, r11, lsl #16 \n pkhtb r9, r11, r10, asr #16 \n"                               \
    LOW_##unit("r10", "lr") LOW_##unit("r11", "r9")                                               \
    "strd r10, r11, [r2, #" CHANNEL_##slots(2) "] \n" HIGH_##unit("lr") HIGH_##unit("r9")         \
    "strd lr, r9, [r2, #" CHANNEL_##slots(3) "] \n" LOW_##unit("r10", "r12")                      \
    LOW_##unit("r11", "r8") HIGH_##unit("r12") HIGH_##unit("r8")                                  \
    "strd r12, r8, [r2, #" CHANNEL_##slots(1) "] \n strd r10, r11, [r2], #" COLUMN_##slots " \n"
/* Four columns a turn, those before them one by one; for size, all of them. */
#if defined(__OPTIMIZE_SIZE__)
#define COLUMNS(column) "1: \n" column "subs r5, r5, #1 \n bgt 1b \n"
#else
#define COLUMNS(column)                                                                           \
    "ands r1, r5, #3            \n beq 2f                     \n"                                 \
    "1:                         \n" column                                                        \
    "subs r1, r1, #1            \n bne 1b                     \n"                                 \
    "2: subs r5, r5, #4         \n blt 6f                     \n .p2align 2       \n"             \
    "5:                         \n" column column column column                                   \
    "subs r5, r5, #4            \n bge.w 5b                   \n"                                 \
    "6:                         \n"
#define COLUMNS_OF_FOUR(column)                                                                   \
    "tst r5, #1                 \n beq 2f                     \n" column                          \
    "2: lsrs r5, r5, #1         \n beq 6f                     \n .p2align 2       \n"             \
    "5:                         \n" column column                                                 \
    "subs r5, r5, #1            \n bgt.w 5b                   \n"                                 \
    "6:                         \n"
#endif

/* A pair of which one row is outside; all pairs that are inside, two at a time and the last one.
 * For size, one loop of each.
 * sp: from, to, pixels, pairs left. */
#if defined(__OPTIMIZE_SIZE__)
#define EDGES(pair_up)                                                                            \
    "3: 4:                      \n cmp r1, #1                 \n ite eq             \n"           \
    "ldreq r8, [r0]             \n ldrne r9, [r0]             \n add r0, r0, r4     \n" pair_up   \
    "subs r5, r5, #1            \n bgt 3b                     \n pop {r4-r11, pc}   \n"
#define PAIRS(slots, unit)                                                                        \
    "7:                         \n" COLUMNS(TAKE_BOTH PAIR_UP(slots, WIDEN_##unit))               \
    "ldm sp, {r0, r2, r5, lr}   \n add r0, r0, r3, lsl #1     \n add r2, r2, #4     \n"           \
    "strd r0, r2, [sp]          \n subs lr, lr, #1            \n str lr, [sp, #12]  \n"           \
    "bgt 7b                     \n"
#else
#define EDGES(pair_up)                                                                            \
    "3:                         \n" TAKE_UPPER pair_up                                            \
    "subs r5, r5, #1            \n bgt 3b                     \n pop {r4-r11, pc}   \n"           \
    "4:                         \n" TAKE_LOWER pair_up                                            \
    "subs r5, r5, #1            \n bgt 4b                     \n pop {r4-r11, pc}   \n"
#define PAIRS(slots, unit)                                                                        \
    "subs lr, lr, #2            \n str lr, [sp, #12]          \n blt.w 7f           \n"           \
    "add r6, r3, r3, lsl #1     \n"                                                               \
    "8:                         \n" COLUMNS_OF_FOUR(TAKE_FOUR(slots, unit))                       \
    "ldm sp, {r0, r2, r5, lr}   \n add r0, r0, r3, lsl #2     \n add r2, r2, #8     \n"           \
    "strd r0, r2, [sp]          \n subs lr, lr, #2            \n str lr, [sp, #12]  \n"           \
    "bge.w 8b                   \n"                                                               \
    "7: adds lr, lr, #1         \n blt.w 9f                   \n"                                 \
    COLUMNS(TAKE_BOTH PAIR_UP(slots, WIDEN_##unit))                                               \
    "9:                         \n"
#endif
#define TAKE(slots, unit)                                                                         \
    ".syntax unified            \n"                                                               \
    "push {r4-r11, lr}          \n"                                                               \
    "cmp r1, #1                 \n ldr lr, [r3, #20]         \n"                                  \
    "ldm r3, {r3, r4, r5, r6}   \n"                                                               \
    "mov r7, #0xFF00FF00        \n"                                                               \
    "mov r8, r6                 \n mov r9, r6                 \n"                                 \
    "beq.w 3f                   \n bhi.w 4f                   \n"                                 \
    "push {r0, r2, r5, lr}      \n" PAIRS(slots, unit)                                            \
    "add sp, sp, #16            \n pop {r4-r11, pc}           \n"                                 \
    EDGES(PAIR_UP(slots, WIDEN_##unit))

#define TR_TAKE_ARGUMENTS                                                                         \
    __attribute__((unused)) const int8_t *from, __attribute__((unused)) int32_t inside,           \
        __attribute__((unused)) tr_word *to, __attribute__((unused)) const tr_row *row

#define TR_TAKE(name, text)                                                                       \
    __attribute__((naked, noinline, aligned(4))) void name(TR_TAKE_ARGUMENTS)                     \
    {                                                                                             \
        __asm__ volatile(text);                                                                   \
    }

TR_TAKE(tr_take_7_256, TAKE(7, 256))
TR_TAKE(tr_take_3_256, TAKE(3, 256))
TR_TAKE(tr_take_14_256, TAKE(14, 256))
TR_TAKE(tr_take_7_1, TAKE(7, 1))
TR_TAKE(tr_take_3_1, TAKE(3, 1))
TR_TAKE(tr_take_14_1, TAKE(14, 1))

#else

TR_INLINE int32_t tr_times(int32_t low, int32_t high, int32_t unit)
{
    return (int32_t)((uint32_t)(low * unit & 0xFFFF) | (uint32_t)(high * unit) << 16);
}

TR_INLINE void tr_take(const int8_t *from, int32_t inside, tr_word *to, const tr_row *row,
                       int32_t slots, int32_t unit)
{
    const int8_t *zeros = (const int8_t *)&row->zeros;
    for (int32_t left = row->count; left > 0; left--, from += row->right, to += 4 * slots) {
        const int8_t *upper = inside == TR_LOWER ? zeros : from;
        const int8_t *below = inside == TR_LOWER ? from : from + row->down;
        const int8_t *lower = inside == TR_UPPER ? zeros : below;
        for (int32_t c = 0; c < 4; c++)
            to[slots * c] = tr_times(upper[c], lower[c], unit);
    }
}

#define TR_TAKE(name, slots, unit)                                                                \
    void name(const int8_t *from, int32_t inside, tr_word *to, const tr_row *row)                 \
    {                                                                                             \
        for (int32_t pair = 0; pair < row->pairs; pair++, from += 2 * row->down)                  \
            tr_take(from, inside, to + pair, row, slots, unit);                                   \
    }

TR_TAKE(tr_take_7_256, 7, 256)
TR_TAKE(tr_take_3_256, 3, 256)
TR_TAKE(tr_take_14_256, 14, 256)
TR_TAKE(tr_take_7_1, 7, 1)
TR_TAKE(tr_take_3_1, 3, 1)
TR_TAKE(tr_take_14_1, 14, 1)

#endif
