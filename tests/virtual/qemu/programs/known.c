/* Counted by hand: the control for both ways of counting. */
#include "program.h"

NAKED static u32 counted(u32 rounds)
{
    __asm volatile("movs r1, #0\n" /* 1 */
                   "loop: adds r1, #3\n"
                   "tst r0, #1\n"
                   "ite eq\n"
                   "addeq r1, #5\n"
                   "subne r1, #1\n"
                   "subs r0, #1\n"
                   "bne loop\n" /* 7 a round, of which one is skipped */
                   "mov r0, r1\n"
                   "bx lr\n"); /* 2 */
}

u32 work(void) { return counted(1000); }
