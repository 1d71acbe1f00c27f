"""The programs, built once for each core: QEMU and a virtual board run the same bytes.

engine_nets, of tests/engine, must be on the module path.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from elftools.elf.elffile import ELFFile
from engine_nets import seeded

from engine import toolchain
from engine.benchmarks import kernel_suite
from engine.emit import emit
from engine.graph import Graph
from farm.image import RUNTIME_FLAGS, load_segments

HERE = Path(__file__).parent
RUNTIME = HERE.parents[2] / "farm" / "firmware" / "runtime.c"
CORES = ("cortex-m4", "cortex-m7")
DRIVER = "network.c"


def _layer(name: str) -> Graph:
    return next(graph for graph in kernel_suite() if graph.name == name)


NETWORKS: Mapping[str, Callable[[], Graph]] = {
    "convolution": partial(_layer, "conv 3x3 d2 16-16 at 16x16"),
    "depthwise": partial(_layer, "depthwise 3x3 at 24x24x19"),
    "pointwise": partial(_layer, "pointwise 64-64 at 12x12"),
    "fully connected": partial(_layer, "fully connected 640-128"),
    **{f"network {seed}": partial(seeded, seed) for seed in range(1, 7)},
}
"""Run by programs/network.c with the kernels of the engine."""

PROGRAMS = (
    *sorted(path.stem for path in (HERE / "programs").glob("*.c") if path.name != DRIVER),
    *NETWORKS,
)


@dataclass(frozen=True)
class Program:
    """One program for one core."""

    name: str
    core: str
    elf: bytes

    @property
    def segments(self) -> list[tuple[int, bytes]]:
        return load_segments(self.elf)

    def symbol(self, name: str) -> int:
        """The address of a function or a variable."""
        table = ELFFile(io.BytesIO(self.elf)).get_section_by_name(".symtab")
        return int(table.get_symbol_by_name(name)[0]["st_value"]) & ~1


def built(name: str, core: str) -> Program:
    """A program of PROGRAMS."""
    model = dict(emit(NETWORKS[name]()).files) if name in NETWORKS else {}
    main = DRIVER if name in NETWORKS else f"{name}.c"
    sources = {"start.c": HERE / "start.c", main: HERE / "programs" / main}
    texts = {file: path.read_text() for file, path in sources.items()}
    texts |= {file: text for file, text in model.items() if file.endswith(".c")}
    headers = {file: text for file, text in model.items() if file.endswith(".h")}
    headers["program.h"] = (HERE / "program.h").read_text()
    objects = [toolchain.compile_object(file, text, headers, core) for file, text in texts.items()]
    runtime = RUNTIME.read_text()
    objects.append(toolchain.compile_object("runtime.c", runtime, {}, core, RUNTIME_FLAGS))
    script = (HERE / "link.ld").read_text()
    return Program(name, core, toolchain.link_elf(objects, script, "Reset_Handler", core))
