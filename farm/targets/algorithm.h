/* A flash algorithm as pyOCD calls it: each function runs with interrupts as the reset left them
 * and returns 0, or the error bits of the flash controller. Nothing here has data or calls out, so
 * the code runs at any address. The host bounds every wait: it stops an algorithm that hangs. */
#ifndef ALGORITHM_H
#define ALGORITHM_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define UNLOCK_1 0x45670123u
#define UNLOCK_2 0xCDEF89ABu

/* Written bytes are in the cells, and seen there, before anything behind is done. */
static inline void barrier(void) { __asm volatile("dsb" ::: "memory"); }

uint32_t algorithm_init(uint32_t address, uint32_t clock_hz, uint32_t operation);
uint32_t algorithm_uninit(uint32_t operation);
uint32_t algorithm_erase_all(void);
uint32_t algorithm_erase_sector(uint32_t address);
uint32_t algorithm_program_page(uint32_t address, uint32_t bytes, const uint32_t *data);

#endif
