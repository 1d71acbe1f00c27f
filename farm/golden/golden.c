/* SPDX-License-Identifier: Apache-2.0 */
/* A program that never changes, so that its cycles only change with the board: products of weights
 * in flash and of inputs in RAM, then a mix of what came out. farm/golden/image.py computes the
 * same. */
#include "model.h"

static int8_t arena[TINYRACK_ARENA_BYTES];

static void products(void)
{
    for (uint32_t o = 0; o < TINYRACK_OUTPUT_BYTES; ++o) {
        int32_t sum = 0;
        for (uint32_t i = 0; i < TINYRACK_INPUT_BYTES; ++i)
            sum += golden_weights[(61 * o + i) % GOLDEN_WEIGHTS] * arena[i];
        arena[TINYRACK_INPUT_BYTES + o] = (int8_t)(sum >> 7);
    }
}

static void mix(void)
{
    uint32_t state = 1;
    for (uint32_t o = 0; o < TINYRACK_OUTPUT_BYTES; ++o) {
        state = state * 1664525u + (uint8_t)arena[TINYRACK_INPUT_BYTES + o];
        arena[TINYRACK_INPUT_BYTES + o] = (int8_t)(state >> 24);
    }
}

int8_t *tinyrack_input(uint32_t index)
{
    return arena + index;
}

const int8_t *tinyrack_output(uint32_t index)
{
    return arena + TINYRACK_INPUT_BYTES + index;
}

void tinyrack_run(void)
{
    products();
    mix();
}

void tinyrack_trace(void (*after)(uint32_t layer))
{
    products();
    after(0);
    mix();
    after(1);
}
