#include "network.h"

#include "cycles.h"
#include "model.h"

#define TRIALS 16u

/* A section of its own: no RAM of a network outside of this bench. */
#define BENCH __attribute__((section(".bench"), aligned(8)))

static uint8_t input[TINYRACK_INPUT_BYTES] BENCH;
static uint8_t output[TINYRACK_OUTPUT_BYTES] BENCH;
static const uint32_t input_sizes[] = TINYRACK_INPUT_SIZES;
static const uint32_t output_sizes[] = TINYRACK_OUTPUT_SIZES;

const struct network_shape network_shape = {
    TINYRACK_INPUT_BYTES, TINYRACK_OUTPUT_BYTES, TINYRACK_ARENA_BYTES, TINYRACK_LAYER_COUNT,
};

static struct {
    uint32_t first, count;
    uint32_t *cycles;
    uint32_t last; /* when the previous layer had been noted */
} trace;

uint8_t *network_input(void) { return input; }
const uint8_t *network_output(void) { return output; }

static void copy(void *restrict to, const void *restrict from, uint32_t count) {
    uint8_t *out = to;
    const uint8_t *in = from;
    while (count--) *out++ = *in++;
}

void network_load(void) {
    const uint8_t *from = input;
    for (uint32_t index = 0; index < TINYRACK_INPUT_COUNT; from += input_sizes[index++]) {
        copy(tinyrack_input(index), from, input_sizes[index]);
    }
}

void network_run(void) { tinyrack_run(); }

void network_store(void) {
    uint8_t *to = output;
    for (uint32_t index = 0; index < TINYRACK_OUTPUT_COUNT; to += output_sizes[index++]) {
        copy(to, tinyrack_output(index), output_sizes[index]);
    }
}

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
    network_load();
    trace.first = first;
    trace.count = count;
    trace.last = cycles_now();
    tinyrack_trace(note);
    for (uint32_t index = 0; index < count; ++index) {
        cycles[index] -= cycles[index] < overhead ? cycles[index] : overhead;
    }
}
