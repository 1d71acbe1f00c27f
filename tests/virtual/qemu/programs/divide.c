/* Divisions by every size of operand, by zero, of the least number by -1, and of 64 bits. */
#include "program.h"

NAKED static u32 quotients(u32 a, u32 b)
{
    __asm volatile("udiv r2, r0, r1\n"
                   "mls r3, r2, r1, r0\n"
                   "sdiv r12, r0, r1\n"
                   "cmp r3, r12\n"
                   "ite lt\n"
                   "sdivlt r2, r12, r3\n"
                   "udivge r2, r3, r12\n"
                   "add r0, r2, r3\n"
                   "eor r0, r0, r12\n"
                   "bx lr\n");
}

NOINLINE static uint64_t divided(uint64_t a, uint64_t b)
{
    uint64_t rest = 0, found = 0;
    for (u32 i = 0; i < 64; i++) {
        rest = rest << 1 | a >> 63;
        a <<= 1;
        found <<= 1;
        if (rest >= b) {
            rest -= b;
            found |= 1;
        }
    }
    return found ^ rest;
}

u32 work(void)
{
    u32 sum = 0, state = 13;
    for (u32 i = 0; i < 32; i++)
        for (u32 j = 0; j < 32; j += 3)
            sum = mixed(sum, quotients(next(&state) >> i, next(&state) >> j));
    sum = mixed(sum, quotients(0x80000000, 0xFFFFFFFF) + quotients(5, 0) + quotients(0, 0));
    for (u32 i = 0; i < 40; i++) {
        uint64_t a = (uint64_t)next(&state) << 32 | next(&state), b = next(&state) >> (i & 15);
        uint64_t c = divided(a, b | 1);
        sum = mixed(sum, (u32)c ^ (u32)(c >> 32));
    }
    return sum;
}
