/* From reset to main: vector table, FPU, memories. */
#include "core.h"
#include "fault.h"
#include "harness.h"
#include "memory.h"

void Reset_Handler(void);

typedef void (*vector)(void);

struct vector_table {
    uint32_t *initial_stack;
    vector handlers[15];
};

/* Only exceptions of the core: the harness takes no interrupt. */
__attribute__((section(".vectors"), used)) const struct vector_table vectors = {
    stack_top,
    {
        Reset_Handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler,
        0, 0, 0, 0, fault_handler, fault_handler, 0, fault_handler, fault_handler,
    },
};

__attribute__((section(".image_id"), used)) const volatile uint8_t image_id[IMAGE_ID_BYTES] = {0};

static void enable_fpu(void) {
    SCB_CPACR |= 0xFu << 20; /* CP10 and CP11: full access */
    core_barrier();
}

static void copy(uint32_t *to, const uint32_t *end, const uint32_t *from) {
    while (to < end) *to++ = *from++;
}

static void load_memories(void) {
    copy(hot_start, hot_end, hot_load);
    copy(data_start, data_end, data_load);
    for (uint32_t *to = bss_start; to < bss_end; ++to) *to = 0;
}

void Reset_Handler(void) {
    core_mask_interrupts();
    SCB_VTOR = (uint32_t)(uintptr_t)&vectors; /* an F7 boots through an alias, 0x00200000 */
    enable_fpu();
    load_memories();
    core_barrier(); /* what was copied may be code */
    harness_main();
}
