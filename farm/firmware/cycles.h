/* The core's cycle counter (DWT CYCCNT), 32 bits wide. */
#ifndef CYCLES_H
#define CYCLES_H

#include <stdint.h>

#include "core.h"

/* Switches the counter on and measures the overhead of reading it. */
void cycles_start(void);

/* Switches it on again: a debugger that lets go of the core switches it off. */
void cycles_enable(void);

/* What two readings with nothing between them differ by. */
uint32_t cycles_overhead(void);

/* Now; barriers on both sides keep work from moving across the reading. */
static inline uint32_t cycles_now(void) {
    core_barrier();
    uint32_t now = DWT_CYCCNT;
    core_barrier();
    return now;
}

#endif
