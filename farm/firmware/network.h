/* The network under test and its input and output; the only part that knows model.h. */
#ifndef NETWORK_H
#define NETWORK_H

#include <stdint.h>

struct network_shape {
    uint32_t input_bytes, output_bytes, arena_bytes, layer_count;
};

extern const struct network_shape network_shape;

uint8_t *network_input(void);
const uint8_t *network_output(void);

/* One inference. */
void network_run(void);

/* One inference; the cycles of layers first .. first + count - 1, less the cost of looking. */
void network_trace(uint32_t first, uint32_t count, uint32_t *cycles);

#endif
