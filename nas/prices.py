"""`python -m nas.prices`: measure what kernels cost, for engine/prices.jsonl.

Every case of the kernel suite with every kernel that takes it, images of every row of the table,
and chains of small layers, on one board type a core; all that once compiled as ever, and once for
size. Code is that of the compiled objects. Run it again when a kernel or a row of the table is new
or has changed. It takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import toolchain
from engine.benchmarks import kernel_suite
from engine.cmodel import CModel
from engine.dispatch import KERNELS, candidates, first
from engine.emit import KERNEL_FOLDER, emit
from engine.errors import EngineError
from engine.graph import Graph
from engine.kernel_row import KernelRow
from engine.plan import plan
from engine.prices import CORES, FILE, LEVELS, SMALL
from engine.selection import SMALL_FLAGS, Selection
from engine.whole_file import replace_file
from farm.benchmark.code_pieces import code_pieces
from farm.benchmark.measuring import Group, one_group_a_core
from farm.cli import EXIT_INTERRUPTED, exit_code
from farm.errors import FarmError
from farm.job import Job
from farm.manager import BoardManager
from farm.mcus import load_mcu
from farm.model_file import expected_output, input_bytes, load_input
from farm.output import note
from farm.rack.inventory import load_rack
from farm.rack.rack_checks import selected
from nas.errors import NasError
from nas.latency_fit import fit
from nas.latency_rows import NetworkRow, row_from_measurement
from nas.microbench import layer_images
from nas.row_samples import row_images

SEED = 0
DEADLINE_S = 3600.0
FEW_LAYERS = 4
"""Of a network whose cycles as a whole count; longer ones are chains of layers."""
MOST_OTHERS = 3
"""Kernels of one layer that are measured beside the first."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A network with one choice of kernels, compiled one way; chain: many layers in a row."""

    level: str
    chain: bool
    graph: Graph
    model: CModel

    def job(self, board_type: str) -> Job:
        """One measurement, its output held against the reference."""
        inputs = load_input(self.graph, None, SEED)
        io = (input_bytes(self.graph, inputs), expected_output(self.graph, inputs))
        return Job(self.graph.name, self.model, board_type, *io, 1)


def samples() -> Iterator[Sample]:
    """All that is measured on each core."""
    chains = [(graph, first(graph)) for graph in layer_images(SEED)]
    rows = [(image.graph, image.selection) for image in row_images(SEED, rows=priced_rows())]
    single = [(graph, chosen) for graph in kernel_suite() for chosen in choices(graph)]
    for graph, chosen in (*single, *rows, *chains):
        arena = plan(graph, selection=chosen)
        for level in LEVELS:
            model = emit(graph, arena, selection=Selection(chosen.rows, _small(chosen, level)))
            yield Sample(level, len(graph.ops) > FEW_LAYERS, graph, model)


def priced_rows() -> list[KernelRow]:
    """All rows but plain twins of others."""
    fast = {row.kind for row in KERNELS if not row.plain}
    return [row for row in KERNELS if not row.plain or row.kind not in fast]


def choices(graph: Graph) -> list[Selection]:
    """The first kernel of each operator, then the second where there is one, and so on."""
    every = [candidates(graph, op) for op in graph.ops]
    found = [tuple(rows[min(at, len(rows) - 1)] for rows in every) for at in range(MOST_OTHERS + 1)]
    return [Selection(rows) for rows in dict.fromkeys(found)]


def _small(chosen: Selection, level: str) -> frozenset[str]:
    files = {name for row in chosen.rows for name in row.files if name.endswith(".c")}
    return frozenset(files if level == SMALL else ())


def code_rows(core: str, level: str) -> Iterator[dict[str, Any]]:
    """One row a C function of the engine."""
    headers = {path.name: path.read_text(encoding="utf-8") for path in KERNEL_FOLDER.glob("*.h")}
    flags = SMALL_FLAGS if level == SMALL else ()
    objects = {
        path.name: toolchain.compile_object(
            path.name, path.read_text(encoding="utf-8"), headers, core, flags
        ).read_bytes()
        for path in sorted(KERNEL_FOLDER.glob("*.c"))
    }
    for piece in code_pieces(objects):
        place = {"core": core, "level": level, "function": piece.name, "source": piece.source}
        yield place | {"bytes": piece.byte_count, "calls": list(piece.calls)}


def cycle_rows(core: str, level: str, rows: Sequence[NetworkRow]) -> Iterator[dict[str, Any]]:
    """One row a kernel: cycles of a unit of each of its counts."""
    kernels: dict[str, dict[str, float]] = {}
    for column, cycles in fit(rows).items():
        kernel, _, count = column.partition(".")
        kernels.setdefault(kernel, {})[count] = float(f"{cycles:.5g}")
    for kernel, counts in sorted(kernels.items()):
        if kernel != "network":
            yield {"core": core, "level": level, "kernel": kernel, "cycles": counts}


def measured(
    manager: BoardManager, groups: Sequence[Group]
) -> dict[tuple[str, str], list[NetworkRow]]:
    """What the boards of each core said, by core and level."""
    found: dict[tuple[str, str], list[NetworkRow]] = {}
    made = list(samples())
    cores = {group[0].type.name: load_mcu(group[0].type.mcu).core for group in groups}
    wanted = {
        manager.submit(sample.job(board_type)): (sample, core)
        for board_type, core in cores.items()
        for sample in made
    }
    try:
        for done, future in enumerate(as_completed(wanted, timeout=DEADLINE_S), 1):
            sample, core = wanted[future]
            result = future.result()
            if result.status != "too_big":
                row = row_from_measurement(sample.model.layers, result, chain=sample.chain)
                found.setdefault((core, sample.level), []).append(row)
            if done % 20 == 0:
                note(f"prices: {done} of {len(wanted)} measured")
    finally:
        for future in wanted:
            future.cancel()
    return found


def written(found: dict[tuple[str, str], list[NetworkRow]], path: Path) -> None:
    """Replace the file: what made it, then kernels, then functions."""
    head = {"made by": "python -m nas.prices", "compiler": toolchain.compiler_version()}
    places = [(core, level) for core in CORES for level in LEVELS]
    rows = [head]
    rows += [row for core, level in places for row in cycle_rows(core, level, found[core, level])]
    rows += [row for core, level in places for row in code_rows(core, level)]
    replace_file(path, "".join(f"{json.dumps(row)}\n" for row in rows).encode())


def main(words: list[str] | None = None) -> int:
    """0 when the file is written; else the farm's exit codes."""
    parser = argparse.ArgumentParser(prog="python -m nas.prices", description=__doc__)
    parser.add_argument("--boards", default="all", metavar="SELECTOR")
    parser.add_argument("--boards-file", default=None, metavar="FILE")
    parser.add_argument("--out", default=FILE, type=Path, metavar="FILE")
    args = parser.parse_args(words)
    try:
        rack = load_rack(args.boards_file)
        groups = one_group_a_core(selected(rack, args.boards))
        boards = [board for group in groups for board in group]
        with BoardManager(rack, boards) as manager:
            written(measured(manager, groups), args.out)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except (FarmError, EngineError, NasError, OSError) as error:
        note(f"prices: {error}")
        return exit_code(error)
    note(f"prices: wrote {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
