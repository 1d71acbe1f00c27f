"""The golden program as a model that jobs can carry, with its input and the output to expect."""

from functools import lru_cache
from importlib.resources import files

from engine.cmodel import CModel, Layer, files_sha256
from engine.compilers import DEFAULT
from farm.job import Job

NAME = "golden"
INPUTS, OUTPUTS, WEIGHTS = 256, 64, 4096
ARENA_BYTES = INPUTS + OUTPUTS
_HEADER = """/* The golden program's sizes and weights; see farm/golden/image.py. */
#include <stdint.h>
#define TINYRACK_INPUT_COUNT 1
#define TINYRACK_INPUT_BYTES {inputs}
#define TINYRACK_INPUT_SIZES {{{inputs}}}
#define TINYRACK_OUTPUT_COUNT 1
#define TINYRACK_OUTPUT_BYTES {outputs}
#define TINYRACK_OUTPUT_SIZES {{{outputs}}}
#define TINYRACK_ARENA_BYTES {arena}
#define TINYRACK_LAYER_COUNT 2
#define GOLDEN_WEIGHTS {weights}
int8_t *tinyrack_input(uint32_t index);
const int8_t *tinyrack_output(uint32_t index);
void tinyrack_run(void);
void tinyrack_trace(void (*after)(uint32_t layer));
static const int8_t golden_weights[GOLDEN_WEIGHTS] = {{{values}}};
"""


def golden_job(board_type: str) -> Job:
    """The golden program for a type of boards.

    Always of the default compiler, whatever builds the networks between two runs: its cycles are
    told apart from what they were by one image, and that must be the same.
    """
    given, expected = golden_input(), golden_output()
    return Job(NAME, model(), board_type, given, expected, 3, compiler=DEFAULT, purpose="golden")


@lru_cache(maxsize=1)
def model() -> CModel:
    """The program as C; the same bytes on every call."""
    sizes = {"inputs": INPUTS, "outputs": OUTPUTS, "arena": ARENA_BYTES, "weights": WEIGHTS}
    values = ", ".join(map(str, weights()))
    texts = {
        "model.h": _HEADER.format(values=values, **sizes),
        "model.c": (files("farm.golden") / "golden.c").read_text(encoding="utf-8"),
    }
    macs = (INPUTS * OUTPUTS, 0)
    layers = tuple(
        Layer(at, name, name, name, (INPUTS, 1, 1), (OUTPUTS, 1, 1), macs[at], {})
        for at, name in enumerate(("products", "mix"))
    )
    return CModel(
        name=NAME,
        files=texts,
        arena_bytes=ARENA_BYTES,
        const_bytes=WEIGHTS,
        layers=layers,
        sha256=files_sha256(texts),
        input_shapes=((INPUTS, 1, 1),),
        output_shapes=((OUTPUTS, 1, 1),),
        input_names=("input",),
        output_names=("output",),
    )


def weights() -> tuple[int, ...]:
    """Numbers from -128 to 127 that follow no short rule."""
    return tuple((at * at * 31 + at * 17 + 5) // 8 % 256 - 128 for at in range(WEIGHTS))


def golden_input() -> bytes:
    """Every byte value once."""
    return bytes(at * 73 % 256 for at in range(INPUTS))


@lru_cache(maxsize=1)
def golden_output() -> bytes:
    """What golden.c computes of that input."""
    table, given = weights(), [_signed(byte) for byte in golden_input()]
    state, out = 1, bytearray()
    for o in range(OUTPUTS):
        total = sum(table[(61 * o + i) % WEIGHTS] * x for i, x in enumerate(given))
        state = (state * 1664525 + ((total >> 7) & 0xFF)) & 0xFFFF_FFFF
        out.append(state >> 24)
    return bytes(out)


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte
