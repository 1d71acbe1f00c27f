"""The winner as files that a firmware project takes as they are."""

from __future__ import annotations

from pathlib import Path

from engine.cmodel import CModel
from engine.emit import emit
from engine.graph import Graph
from engine.graph_file import save_graph
from engine.whole_file import replace_file

GRAPH_FILE = "model.tinyrack.npz"
EXAMPLE = """\
/* On a host, in this folder: cc -O2 *.c -o example && ./example */
#include "model.h"
#include <stdio.h>

int main(void)
{{
    /* int8 [{h}][{w}][{c}]: pixels x of -1 to 1 as round(x / {scale:.9g}) + ({zero}), -128..127 */
    int8_t *input = tinyrack_input(0);
    for (int i = 0; i < TINYRACK_INPUT_BYTES; i++)
        input[i] = 0;
    /* A run overwrites its input: fill it before every one. With arrays of your own, which cost
     * RAM beside the arena, tinyrack_invoke(in, out) copies, and leaves `in` as it is. */
    tinyrack_run();
    const int8_t *output = tinyrack_output(0); /* int8 [{classes}]: the largest is the class */
    for (int i = 0; i < TINYRACK_OUTPUT_BYTES; i++)
        printf("%d\\n", output[i]);
    return 0;
}}
"""


def export(graph: Graph, run_path: Path) -> CModel:
    """Write c/ (model.c, model.h, the kernels, an example main.c) and the graph itself.

    The files in c/ depend on nothing but a C compiler; the example, which a firmware project
    leaves out, prints.
    """
    model = emit(graph)
    folder = run_path / "c"
    for name, text in model.files.items():
        replace_file(folder / name, text.encode())
    replace_file(folder / "main.c", example(graph).encode())
    save_graph(graph, run_path / GRAPH_FILE)
    return model


def example(graph: Graph) -> str:
    """A short program that calls the network and prints what it says."""
    source = graph.tensor(graph.input)
    height, width, channels = source.shape
    return EXAMPLE.format(
        h=height,
        w=width,
        c=channels,
        scale=source.quant.scale,
        zero=source.quant.zero_point,
        classes=graph.tensor(graph.output).size,
    )
