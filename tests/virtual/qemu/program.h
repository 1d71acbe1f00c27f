#ifndef PROGRAM_H
#define PROGRAM_H

#include <stddef.h>
#include <stdint.h>

typedef uint32_t u32;
typedef uint16_t u16;
typedef uint8_t u8;
typedef void (*handler)(void);

#define R(address) (*(volatile u32 *)(address))
#define NOINLINE __attribute__((noinline))
#define NAKED __attribute__((naked, noinline))

extern handler table[16]; /* the vectors, in RAM */
u32 work(void);           /* a program: its checksum */

static inline u32 mixed(u32 sum, u32 value) { return (sum << 5 | sum >> 27) * 0x9E3779B1u + value; }

static inline u32 next(u32 *state) { return *state = *state * 1664525u + 1013904223u; }

#endif
