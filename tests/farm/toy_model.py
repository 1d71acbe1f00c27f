"""A network of a few lines of C, whose output is the first 20 inputs plus 1, 2, 3, ..."""

from engine.cmodel import CModel, Layer, files_sha256

HEADER = """
#include <stdint.h>
#define TINYRACK_INPUT_BYTES 300
#define TINYRACK_OUTPUT_BYTES 20
#define TINYRACK_ARENA_BYTES {arena}
#define TINYRACK_LAYER_COUNT 2
void tinyrack_invoke(const int8_t *in, int8_t *out);
void tinyrack_trace(const int8_t *in, int8_t *out, void (*after)(uint32_t layer));
"""
SOURCE = """
#include <string.h>
#include "model.h"
static int8_t arena[TINYRACK_ARENA_BYTES];
static const int8_t weights[{weights}] = {{1}};
static void copy(const int8_t *in) {{ {body} memcpy(arena, in, 20); }}
static void sum(int8_t *out) {{
    for (int i = 0; i < 20; ++i) out[i] = (int8_t)(arena[i] + i + weights[0] + weights[i + 1]);
}}
void tinyrack_invoke(const int8_t *in, int8_t *out) {{
    copy(in);
    sum(out);
}}
void tinyrack_trace(const int8_t *in, int8_t *out, void (*after)(uint32_t layer)) {{
    copy(in);
    after(0);
    sum(out);
    after(1);
}}
"""
INPUT = bytes(range(256)) + bytes(44)
OUTPUT = bytes(2 * i + 1 for i in range(20))


def toy(arena: int = 64, weights: int = 256, body: str = "") -> CModel:
    """The network with that much RAM and flash; `body` is C that runs before the first layer."""
    files = {
        "model.h": HEADER.format(arena=arena),
        "model.c": SOURCE.format(weights=weights, body=body),
    }
    shapes = ((300, 1, 1), (20, 1, 1))
    layers = tuple(Layer(i, f"layer{i}", "add", "toy", *shapes, 20, {}) for i in range(2))
    return CModel("toy", files, arena, weights, 300, 20, layers, files_sha256(files), *shapes)
