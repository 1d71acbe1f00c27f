/* What compiled code expects of a C library, since none is linked. Built with -fno-builtin, so
 * that no loop here becomes a call to itself. Word accesses may be unaligned on an Armv7-M. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memmove(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);
void __aeabi_memset(void *to, size_t count, int value);

typedef struct {
    uint32_t value;
} __attribute__((packed, may_alias)) word;

static void copy_up(uint8_t *out, const uint8_t *in, size_t count) {
    for (; count >= 16; count -= 16, out += 16, in += 16) {
        uint32_t a = ((const word *)in)[0].value, b = ((const word *)in)[1].value;
        uint32_t c = ((const word *)in)[2].value, d = ((const word *)in)[3].value;
        ((word *)out)[0].value = a;
        ((word *)out)[1].value = b;
        ((word *)out)[2].value = c;
        ((word *)out)[3].value = d;
    }
    for (; count >= 4; count -= 4, out += 4, in += 4) {
        ((word *)out)->value = ((const word *)in)->value;
    }
    while (count--) *out++ = *in++;
}

void *memcpy(void *restrict to, const void *restrict from, size_t count) {
    copy_up(to, from, count);
    return to;
}

void *memmove(void *to, const void *from, size_t count) {
    uint8_t *out = to;
    const uint8_t *in = from;
    if ((uintptr_t)out - (uintptr_t)in >= count) { /* upwards overwrites nothing unread */
        while (count--) *out++ = *in++;
    } else {
        while (count--) out[count] = in[count];
    }
    return to;
}

void *memset(void *to, int value, size_t count) {
    uint8_t *out = to;
    uint32_t four = (uint8_t)value * 0x01010101u;
    for (; count >= 16; count -= 16, out += 16) {
        ((word *)out)[0].value = four;
        ((word *)out)[1].value = four;
        ((word *)out)[2].value = four;
        ((word *)out)[3].value = four;
    }
    while (count--) *out++ = (uint8_t)value;
    return to;
}

/* The run-time ABI's names for the same (RTABI 4.3.4): memset with its arguments swapped. */
void __aeabi_memset(void *to, size_t count, int value) { memset(to, value, count); }
void __aeabi_memclr(void *to, size_t count) { memset(to, 0, count); }

#define SAME_AS(name) __attribute__((alias(#name)))
void __aeabi_memcpy(void *to, const void *from, size_t count) SAME_AS(memcpy);
void __aeabi_memcpy4(void *to, const void *from, size_t count) SAME_AS(memcpy);
void __aeabi_memcpy8(void *to, const void *from, size_t count) SAME_AS(memcpy);
void __aeabi_memmove(void *to, const void *from, size_t count) SAME_AS(memmove);
void __aeabi_memmove4(void *to, const void *from, size_t count) SAME_AS(memmove);
void __aeabi_memmove8(void *to, const void *from, size_t count) SAME_AS(memmove);
void __aeabi_memset4(void *to, size_t count, int value) SAME_AS(__aeabi_memset);
void __aeabi_memset8(void *to, size_t count, int value) SAME_AS(__aeabi_memset);
void __aeabi_memclr4(void *to, size_t count) SAME_AS(__aeabi_memclr);
void __aeabi_memclr8(void *to, size_t count) SAME_AS(__aeabi_memclr);
