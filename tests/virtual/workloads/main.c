/* Reset, full clock, caches, and a network's layers, each timed, until the core sleeps. */
#include "workload.h"

#include "cache.h"
#include "clock.h"
#include "core.h"

#define LAYERS 48
#define ACTIVATION_BYTES 49152
#define SCRATCH_VALUES 2560

/* Read and written by the bench: no bss is cleared here. */
uint32_t cycles[LAYERS], total, done;
int8_t activations[2][ACTIVATION_BYTES] __attribute__((aligned(8)));
static int16_t scratch[SCRATCH_VALUES] __attribute__((aligned(8)));

extern const uint32_t table[]; /* runs, layers, struct layer ... */

static void step(const struct layer *l, const int8_t *in, int8_t *out) {
    switch (l->kind) {
    case CONVOLUTION: convolution(l, in, out, scratch); break;
    case POINTWISE: pointwise(l, in, out); break;
    case DEPTHWISE: depthwise(l, in, out, scratch); break;
    case DENSE: dense(l, in, out); break;
    case POOL: pool(l, in, out); break;
    default: add(l, in, out); break;
    }
}

static void infer(void) {
    const struct layer *l = (const struct layer *)(table + 2);
    uint32_t from = DWT_CYCCNT;
    for (uint32_t i = 0; i < table[1]; ++i, ++l) {
        uint32_t start = DWT_CYCCNT;
        step(l, activations[i & 1], activations[~i & 1]);
        cycles[i] = DWT_CYCCNT - start;
    }
    total = DWT_CYCCNT - from;
}

void Reset_Handler(void);
extern uint32_t stack_top[];
__attribute__((section(".vectors"), used)) const struct {
    uint32_t *stack;
    void (*reset)(void);
} vectors = {stack_top, Reset_Handler};

void Reset_Handler(void) {
    core_mask_interrupts();
    SCB_VTOR = (uint32_t)(uintptr_t)&vectors;
    SCB_CPACR |= 0xFu << 20;
    core_barrier();
    done = 0;
    enum clock_source source = clock_start();
    cache_start();
    DEMCR |= 1u << 24;
    DWT_LAR = 0xC5ACCE55u;
    DWT_CTRL |= 1;
    for (uint32_t run = 0; run < table[0]; ++run) infer();
    done = source;
    for (;;) core_wait_for_interrupt();
}
