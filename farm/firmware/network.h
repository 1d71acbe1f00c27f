/* The network under test, and the bench's copies of its input and output; the only part that
 * knows model.h. A run may overwrite the input in the arena, hence the copies. */
#ifndef NETWORK_H
#define NETWORK_H

#include <stdint.h>

struct network_shape {
    uint32_t input_bytes, output_bytes, arena_bytes, layer_count;
};

extern const struct network_shape network_shape;

/* The bench's copies: all inputs, and all outputs, one behind the other. */
uint8_t *network_input(void);
const uint8_t *network_output(void);

/* Copies the input into the arena, as before every run. */
void network_load(void);

/* One inference in the arena, and nothing else. */
void network_run(void);

/* Copies the output out of the arena. */
void network_store(void);

/* The input loaded and one inference; the cycles of layers first .. first + count - 1, less the
 * cost of looking. */
void network_trace(uint32_t first, uint32_t count, uint32_t *cycles);

#endif
