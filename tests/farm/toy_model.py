"""A network of a few lines of C, whose outputs are the first 20 input bytes plus 1, 2, 3, ...

It has two inputs and two outputs, and a run destroys both inputs, as the API allows.
"""

from engine.cmodel import CModel, Layer, files_sha256

HEADER = """
#include <stdint.h>
#define TINYRACK_INPUT_COUNT 2
#define TINYRACK_INPUT_BYTES 300
#define TINYRACK_INPUT_SIZES {{100, 200}}
#define TINYRACK_OUTPUT_COUNT 2
#define TINYRACK_OUTPUT_BYTES 20
#define TINYRACK_OUTPUT_SIZES {{7, 13}}
#define TINYRACK_ARENA_BYTES {arena}
#define TINYRACK_LAYER_COUNT 2
int8_t *tinyrack_input(uint32_t index);
const int8_t *tinyrack_output(uint32_t index);
void tinyrack_run(void);
void tinyrack_trace(void (*after)(uint32_t layer));
"""
SOURCE = """
#include "model.h"
static int8_t arena[TINYRACK_ARENA_BYTES];
static const int8_t weights[{weights}] = {{1}};
static void spoil(void) {{ {body} for (int i = 20; i < 300; ++i) arena[i] = 0x55; }}
static void sum(void) {{
    for (int i = 0; i < 20; ++i) arena[i] += (int8_t)(i + weights[0] + weights[i + 1]);
}}
int8_t *tinyrack_input(uint32_t index) {{ return arena + 100 * index; }}
const int8_t *tinyrack_output(uint32_t index) {{ return arena + 7 * index; }}
void tinyrack_run(void) {{
    spoil();
    sum();
}}
void tinyrack_trace(void (*after)(uint32_t layer)) {{
    spoil();
    after(0);
    sum();
    after(1);
}}
"""
INPUT = bytes(range(256)) + bytes(44)
OUTPUT = bytes(2 * i + 1 for i in range(20))


def toy(arena: int = 304, weights: int = 256, body: str = "") -> CModel:
    """The network with that much RAM and flash; `body` is C that runs before the first layer."""
    files = {
        "model.h": HEADER.format(arena=arena),
        "model.c": SOURCE.format(weights=weights, body=body),
    }
    layers = tuple(
        Layer(i, f"layer{i}", "add", "toy", (300, 1, 1), (20, 1, 1), 20, {}) for i in range(2)
    )
    return CModel(
        name="toy",
        files=files,
        arena_bytes=arena,
        const_bytes=weights,
        layers=layers,
        sha256=files_sha256(files),
        input_shapes=((100, 1, 1), (200, 1, 1)),
        output_shapes=((7, 1, 1), (13, 1, 1)),
        input_names=("a", "b"),
        output_names=("y", "z"),
    )
