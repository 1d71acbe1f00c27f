"""model.h: what a program needs to know of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine import c_text
from engine.graph import Graph

HEADER = """\
/* {name}: an int8 neural network, made by Tinyrack, not to be edited. */
#ifndef TINYRACK_MODEL_H
#define TINYRACK_MODEL_H

#include <stdint.h>

#define TINYRACK_ARENA_BYTES {arena_bytes} /* all RAM of the network, inputs and outputs too */
#define TINYRACK_LAYER_COUNT {layer_count}

/* Each input and output is int8 [H][W][C] at its offset in the arena, in bytes;
 * real value = scale * (int8 value - zero point). */
{inputs}
{outputs}
#ifdef __cplusplus
extern "C" {{
#endif

/* Where input `index` lies in the arena; 0 beyond the last. Fill every input before every run:
 * a run may write over them. */
int8_t *tinyrack_input(uint32_t index);

/* Where output `index` lies in the arena; 0 beyond the last. It is valid after a run, until the
 * next one or until an input is written. */
const int8_t *tinyrack_output(uint32_t index);

/* One inference in the arena. Not reentrant: there is one arena. */
void tinyrack_run(void);

/* The same, calling after(i) when layer i has run. */
void tinyrack_trace(void (*after)(uint32_t layer));

/* The same on memory of the caller: copies `in` into the arena, runs, copies the result to `out`.
 * `in` is TINYRACK_INPUT_BYTES and `out` TINYRACK_OUTPUT_BYTES long: inputs, and outputs, one
 * after the other. `in` is only read; neither may overlap the arena or the other. */
void tinyrack_invoke(const int8_t *in, int8_t *out);

#ifdef __cplusplus
}}
#endif

#endif
"""

SIDE = """\
#define TINYRACK_{side}_COUNT {count}
#define TINYRACK_{side}_BYTES {total} /* of all together */
#define TINYRACK_{side}_SIZES {{{sizes}}} /* bytes of each, for an array */
{tensors}"""

TENSOR = """\
#define TINYRACK_{side}_{index}_BYTES {size} /* {shape}, {name} */
#define TINYRACK_{side}_{index}_OFFSET {offset}
#define TINYRACK_{side}_{index}_SCALE {scale}
#define TINYRACK_{side}_{index}_ZERO_POINT {zero_point}
"""


def header(graph: Graph, offsets: Mapping[str, int], arena_bytes: int) -> str:
    """The text of model.h; offsets: tensor name -> its place in the arena."""
    return HEADER.format(
        name=c_text.comment(graph.name),
        arena_bytes=arena_bytes,
        layer_count=len(graph.ops),
        inputs=_side(graph, "INPUT", graph.inputs, offsets),
        outputs=_side(graph, "OUTPUT", graph.outputs, offsets),
    )


def _side(graph: Graph, side: str, names: tuple[str, ...], offsets: Mapping[str, int]) -> str:
    sizes = [graph.tensor(name).size for name in names]
    return SIDE.format(
        side=side,
        count=len(names),
        total=sum(sizes),
        sizes=", ".join(map(str, sizes)),
        tensors="".join(_tensors(graph, side, names, offsets)),
    )


def _tensors(
    graph: Graph, side: str, names: tuple[str, ...], offsets: Mapping[str, int]
) -> Iterator[str]:
    for index, name in enumerate(names):
        tensor = graph.tensor(name)
        yield TENSOR.format(
            side=side,
            index=index,
            size=tensor.size,
            shape=c_text.shape(tensor.shape),
            name=c_text.comment(name),
            offset=offsets[name],
            scale=c_text.float_literal(tensor.quant.scale),
            zero_point=c_text.zero_point(tensor.quant.zero_point),
        )
