"""The library as a folder: what a firmware project takes, and what a person looks at."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.cmodel import CModel, Layer
from engine.dispatch import first
from engine.emit import is_free
from engine.graph import Graph
from engine.memory_map import memory_map_svg
from engine.plan import Plan
from engine.selection import Selection
from engine.tenants import lifetimes

CMAKE = """\
# A static library of one int8 neural network. In a firmware project:
#     add_subdirectory(path/to/this/folder)
#     target_link_libraries(firmware PRIVATE tinyrack_model)
cmake_minimum_required(VERSION 3.13)
project(tinyrack_model C)

add_library(tinyrack_model STATIC
{sources}
)
target_include_directories(tinyrack_model PUBLIC ${{CMAKE_CURRENT_SOURCE_DIR}})
target_compile_features(tinyrack_model PUBLIC c_std_11)

# For a Cortex-M7 whose FPU has single precision, as an STM32F746: nothing else tells it from an M4.
option(TINYRACK_CORTEX_M7 "Schedule kernels for a Cortex-M7 in any case" OFF)
if(TINYRACK_CORTEX_M7)
    target_compile_definitions(tinyrack_model PRIVATE TR_CORTEX_M7=1)
endif()

# The cycles that `tinyrack bench` tells are of -O3; say otherwise before add_subdirectory().
if(NOT CMAKE_BUILD_TYPE)
    target_compile_options(tinyrack_model PRIVATE -O3)
endif()
"""
CMAKE_FLAGS = """
# By the mode of the library: behind the flags of all, so that these hold.
set_source_files_properties({sources}
    PROPERTIES COMPILE_OPTIONS "{flags}")
"""
COLUMNS = (
    "index", "name", "kind", "kernel", "input", "output", "macs", "const_bytes", "live_bytes",
)  # fmt: skip


@dataclass(frozen=True)
class LayerCost:
    """What one layer takes: const_bytes of flash, and what its step keeps live in the arena.

    kernel: "none" where nothing has to be done.
    """

    layer: Layer
    kernel: str
    const_bytes: int
    live_bytes: int


def layer_costs(
    graph: Graph, plan: Plan, layers: Sequence[Layer], selection: Selection | None = None
) -> tuple[LayerCost, ...]:
    """One row a layer, in execution order. selection: of other kernels than the first ones."""
    rows = (selection or first(graph)).rows
    lives = lifetimes(graph, plan.order)
    live = (_live_bytes(graph, plan, lives, step) for step in range(len(plan.order)))
    return tuple(
        LayerCost(layer, "none", 0, live_bytes)
        if is_free(graph.ops[step], plan)
        else LayerCost(
            layer,
            layer.kernel,
            rows[step].describe(graph, graph.ops[step]).const_bytes,
            live_bytes,
        )
        for step, layer, live_bytes in zip(plan.order, layers, live, strict=True)
    )


def library_files(
    graph: Graph, plan: Plan, model: CModel, selection: Selection | None = None
) -> dict[str, str]:
    """Every text file of the folder by name: the C, its CMake file, the table and the map."""
    return {
        **model.files,
        "CMakeLists.txt": cmake_lists(model),
        "layers.csv": layers_csv(layer_costs(graph, plan, model.layers, selection)),
        "memory.svg": memory_map_svg(graph, plan),
    }


def cmake_lists(model: CModel) -> str:
    """A CMake file that makes the C sources a library; other kernels' includes are not sources."""
    sources = sorted(name for name in model.files if name.endswith(".c"))
    text = CMAKE.format(sources="\n".join(f"    {name}" for name in sources))
    return text + "".join(
        CMAKE_FLAGS.format(sources=" ".join(names), flags=";".join(flags))
        for flags, names in _by_flags(model).items()
    )


def _by_flags(model: CModel) -> dict[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], list[str]] = {}
    for name, flags in model.flags.items():
        if name.endswith(".c"):
            found.setdefault(flags, []).append(name)
    return found


def layers_csv(costs: Sequence[LayerCost]) -> str:
    """The table of the layers, one line each under a header; names are quoted where they must."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for cost in costs:
        layer = cost.layer
        shapes = ("x".join(map(str, shape)) for shape in (layer.input_shape, layer.output_shape))
        rows.writerow(
            (layer.index, _cell(layer.name), layer.kind, cost.kernel, *shapes, layer.macs,
             cost.const_bytes, cost.live_bytes)
        )  # fmt: skip
    return text.getvalue()


def _cell(name: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


def _live_bytes(graph: Graph, plan: Plan, lives: Mapping[str, tuple[int, int]], step: int) -> int:
    """Bytes of the arena that hold something at a step; what two tensors share counts once."""
    op = graph.ops[plan.order[step]]
    spans = [
        (plan.offsets[name], plan.offsets[name] + graph.tensor(name).size)
        for name, (first, last) in lives.items()
        if first <= step <= last
    ]
    if op.name in plan.scratch_offsets:
        start = plan.scratch_offsets[op.name]
        spans.append((start, start + plan.scratch_sizes[op.name]))
    return _covered(sorted(spans))


def _covered(spans: Sequence[tuple[int, int]]) -> int:
    total = end = 0
    for start, stop in spans:
        total += max(0, stop - max(start, end))
        end = max(end, stop)
    return total
