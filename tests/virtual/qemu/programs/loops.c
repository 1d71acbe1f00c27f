/* Integer loops, IT blocks of every length, flags, shifts and bit fields. */
#include "program.h"

NAKED static u32 blocks(u32 rounds)
{
    __asm volatile("push {r4-r7, lr}\n"
                   "movs r1, #1\n"
                   "1: ands r2, r0, #7\n"
                   "it eq\n"
                   "eoreq r1, r1, r0\n"
                   "lsls r3, r1, #3\n"
                   "itt cs\n"
                   "addcs r1, r1, r3, lsr #7\n"
                   "rorcs r1, r1, #5\n"
                   "cmp r2, #3\n"
                   "itte hi\n"
                   "subhi r1, r1, r2\n"
                   "mvnhi r4, r1\n"
                   "addls r4, r1, r0\n"
                   "cmp r4, r1\n"
                   "ittee lt\n"
                   "eorlt r1, r1, r4\n"
                   "addlt r1, #1\n"
                   "bicge r1, r1, #0x55\n"
                   "orrge r1, r1, r2, ror #9\n"
                   "tst r1, #16\n"
                   "itete mi\n"
                   "ubfxmi r5, r1, #3, #9\n"
                   "sbfxpl r5, r1, #7, #11\n"
                   "adcmi r1, r1, r5\n"
                   "sbcpl r1, r1, r5\n"
                   "it vs\n"
                   "bvs 2f\n"
                   "bfi r1, r0, #4, #6\n"
                   "2: rsb r1, r1, r1, lsl #3\n"
                   "adds r1, r1, r0\n"
                   "subs r0, #1\n"
                   "bne 1b\n"
                   "mov r0, r1\n"
                   "pop {r4-r7, pc}\n");
}

NAKED static u32 returns_early(u32 value)
{
    __asm volatile("cmp r0, #100\n"
                   "itt hi\n"
                   "subhi r0, #100\n"
                   "bxhi lr\n"
                   "lsls r1, r0, #30\n"
                   "it cc\n"
                   "bcc 1f\n"
                   "adds r0, #7\n"
                   "1: cbz r0, 2f\n"
                   "adds r0, #1\n"
                   "2: bx lr\n");
}

static u32 sorted(u32 seed)
{
    static u32 keys[160];
    for (u32 i = 0; i < 160; i++)
        keys[i] = next(&seed) >> 7;
    for (u32 gap = 80; gap; gap /= 2)
        for (u32 i = gap; i < 160; i++)
            for (u32 j = i; j >= gap && keys[j - gap] > keys[j]; j -= gap) {
                u32 key = keys[j];
                keys[j] = keys[j - gap];
                keys[j - gap] = key;
            }
    u32 sum = 0;
    for (u32 i = 0; i < 160; i++)
        sum = mixed(sum, keys[i]);
    return sum;
}

static u32 checked(u32 seed)
{
    u32 crc = ~0u;
    for (u32 i = 0; i < 300; i++) {
        crc ^= next(&seed) >> 24;
        for (u32 bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
    }
    return crc;
}

u32 work(void)
{
    u32 sum = mixed(blocks(2000), sorted(1));
    for (u32 i = 0; i < 200; i++)
        sum = mixed(sum, returns_early(i));
    return mixed(sum, checked(2));
}
