#include "cache.h"

#include "board.h"
#include "core.h"
#include "step.h"

#define CCR_DATA_CACHE (1u << 16)
#define CCR_INSTRUCTION_CACHE (1u << 17)

static const struct step cold[] = {BOARD_COLD};

/* A data cache operation by set and way, over the whole data cache: DCISW drops, DCCISW writes
 * back and drops. Ways lie in the topmost bits, sets above the 32-byte line. */
static void for_every_line(volatile uint32_t *operation) {
    SCB_CSSELR = 0; /* the level 1 data cache */
    core_barrier();
    uint32_t shape = SCB_CCSIDR;
    uint32_t last_set = (shape >> 13) & 0x7FFFu;
    uint32_t last_way = (shape >> 3) & 0x3FFu;
    uint32_t way_shift = last_way ? (uint32_t)__builtin_clz(last_way) : 0u;
    for (uint32_t way = 0; way <= last_way; ++way) {
        for (uint32_t set = 0; set <= last_set; ++set) *operation = way << way_shift | set << 5;
    }
    core_barrier();
}

/* No access to 0x60000000..0xDFFFFFFF: nothing is wired there, and a speculative read of the
 * external memory controllers can hang an M7. One region of 4 GiB, outer eighths left out. */
static void fence_external_memory(void) {
    MPU_RNR = 0;
    MPU_RBAR = 0;
    MPU_RASR = 1u << 28 | 1u << 16 | 0x87u << 8 | 31u << 1 | 1u;
    MPU_CTRL = 1u << 2 | 1u; /* elsewhere the default map */
    core_barrier();
}

void cache_start(void) {
    if (!BOARD_HAS_L1_CACHE) return;
    fence_external_memory();
    SCB_ICIALLU = 0; /* the contents are undefined after power-on */
    for_every_line(&SCB_DCISW);
    SCB_CCR |= CCR_INSTRUCTION_CACHE | CCR_DATA_CACHE;
    core_barrier();
}

void cache_empty(void) {
    if (BOARD_HAS_L1_CACHE) {
        for_every_line(&SCB_DCCISW);
        SCB_ICIALLU = 0;
        core_barrier();
    }
    STEPS_RUN(cold);
    core_barrier();
}
