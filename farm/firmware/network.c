#include "network.h"

#include "cycles.h"
#include "model.h"

#define TRIALS 16u

static int8_t input[TINYRACK_INPUT_BYTES] __attribute__((aligned(8)));
static int8_t output[TINYRACK_OUTPUT_BYTES] __attribute__((aligned(8)));

const struct network_shape network_shape = {
    TINYRACK_INPUT_BYTES, TINYRACK_OUTPUT_BYTES, TINYRACK_ARENA_BYTES, TINYRACK_LAYER_COUNT,
};

static struct {
    uint32_t first, count;
    uint32_t *cycles;
    uint32_t last; /* when the previous layer had been noted */
} trace;

uint8_t *network_input(void) { return (uint8_t *)input; }
const uint8_t *network_output(void) { return (const uint8_t *)output; }

void network_run(void) { tinyrack_invoke(input, output); }

static void note(uint32_t layer) {
    uint32_t spent = cycles_now() - trace.last;
    if (layer - trace.first < trace.count) trace.cycles[layer - trace.first] = spent;
    trace.last = cycles_now();
}

/* What a layer that does nothing would be seen to cost: the call and two readings. */
static uint32_t note_overhead(uint32_t *slot) {
    void (*volatile call)(uint32_t) = note;
    uint32_t least = UINT32_MAX;
    trace.first = 0;
    trace.count = 1;
    trace.cycles = slot;
    trace.last = cycles_now();
    for (uint32_t trial = 0; trial < TRIALS; ++trial) {
        call(0);
        if (*slot < least) least = *slot;
    }
    return least;
}

void network_trace(uint32_t first, uint32_t count, uint32_t *cycles) {
    uint32_t overhead = note_overhead(cycles);
    trace.first = first;
    trace.count = count;
    trace.last = cycles_now();
    tinyrack_trace(input, output, note);
    for (uint32_t index = 0; index < count; ++index) {
        cycles[index] -= cycles[index] < overhead ? cycles[index] : overhead;
    }
}
