#include "cycles.h"

#include "board.h"

#define DWT_UNLOCK 0xC5ACCE55u
#define DEMCR_TRACE_ENABLE (1u << 24)
#define DWT_COUNT_CYCLES 1u
#define TRIALS 16u

static uint32_t overhead;

void cycles_enable(void) {
    DEMCR |= DEMCR_TRACE_ENABLE;
    /* An M7 does not count until it is unlocked, if no debugger has done so. */
    if (BOARD_HAS_DWT_LOCK) DWT_LAR = DWT_UNLOCK;
    DWT_CTRL |= DWT_COUNT_CYCLES;
    core_barrier();
}

void cycles_start(void) {
    cycles_enable();
    overhead = UINT32_MAX;
    for (uint32_t trial = 0; trial < TRIALS; ++trial) {
        uint32_t before = cycles_now();
        uint32_t spent = cycles_now() - before;
        if (spent < overhead) overhead = spent;
    }
}

uint32_t cycles_overhead(void) { return overhead; }
