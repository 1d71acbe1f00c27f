/* Branches through tables of bytes and halfwords, loads into the PC, switches. */
#include "program.h"

NAKED static u32 bytes(u32 which)
{
    __asm volatile("tbb [pc, r0]\n"
                   "1: .byte (2f - 1b) / 2, (3f - 1b) / 2, (4f - 1b) / 2, (5f - 1b) / 2\n"
                   "2: movs r0, #11\n"
                   "bx lr\n"
                   "3: movs r0, #22\n"
                   "4: adds r0, #33\n"
                   "5: adds r0, #44\n"
                   "bx lr\n");
}

NAKED static u32 halfwords(u32 which)
{
    __asm volatile("tbh [pc, r0, lsl #1]\n"
                   "1: .hword (2f - 1b) / 2, (3f - 1b) / 2, (4f - 1b) / 2, (5f - 1b) / 2\n"
                   "2: eor r0, r0, #0x1000\n"
                   "3: adds r0, #5\n"
                   "bx lr\n"
                   ".space 600\n"
                   "4: movs r0, #6\n"
                   "5: adds r0, #7\n"
                   "bx lr\n");
}

NAKED static u32 words(u32 which)
{
    __asm volatile("adr r1, 1f\n"
                   "ldr pc, [r1, r0, lsl #2]\n"
                   ".align 2\n"
                   "1: .word 2f + 1, 3f + 1, 4f + 1, 5f + 1\n"
                   "2: adds r0, #9\n"
                   "3: adds r0, #8\n"
                   "bx lr\n"
                   "4: push {r0, lr}\n"
                   "pop {r0, pc}\n"
                   "5: ldr r1, [r1]\n"
                   "mov r0, r1\n"
                   "mov pc, lr\n");
}

NOINLINE static u32 chosen(u32 value)
{
    switch (value & 15) {
    case 0: return value + 3;
    case 1: return value * 7;
    case 2: return value ^ 0x5A5A;
    case 3: return value >> 3;
    case 4: return ~value;
    case 5: return value - 99;
    case 7: return value * value;
    case 9: return value << 7;
    case 12: return value / 3;
    default: return value + (value >> 5);
    }
}

u32 work(void)
{
    u32 sum = 0, state = 5;
    for (u32 i = 0; i < 600; i++) {
        u32 which = next(&state) >> 30;
        sum = mixed(sum, bytes(which) + halfwords(3 - which));
        sum = mixed(sum, which == 3 ? which : words(which));
        sum = mixed(sum, chosen(sum >> 9));
    }
    return sum;
}
