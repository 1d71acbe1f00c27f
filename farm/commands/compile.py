"""`tinyrack compile`: a network as a C library, with what it will cost before any board ran."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.chooser import select
from engine.cmodel import CModel
from engine.emit import emit
from engine.graph import Graph
from engine.library import LayerCost, layer_costs, library_files
from engine.plan import Plan, plan
from farm.benchmark.flash_split import flash_split
from farm.errors import ImageError, InventoryError
from farm.image import build_image
from farm.mcus import Mcu, load_mcu
from farm.network_file import Network, load_network
from farm.output import note, print_json, print_line, print_table

BENCH_ELF = "bench.elf"  # the library inside the bench harness, for `tinyrack flash`


def run(args: Namespace) -> int:
    """Write the library and the bench image and tell the cost; 1 when it does not fit."""
    mcu = load_mcu(args.mcu)
    network = load_network(Path(args.model), rewritten=not args.no_rewrite)
    graph, chosen = network.graph, select(network.graph, args.mode)
    arena = plan(graph, selection=chosen)
    model = emit(graph, arena, selection=chosen)
    files = {
        name: text.encode() for name, text in library_files(graph, arena, model, chosen).items()
    }
    built = _build(model, mcu, args.compiler)
    files |= {BENCH_ELF: built.pop("elf")} if "elf" in built else {}
    if BENCH_ELF not in files:
        (Path(args.out) / BENCH_ELF).unlink(missing_ok=True)  # of an earlier network
    costs = layer_costs(graph, arena, model.layers, chosen)
    row = {
        **_row(network, arena, model, args.mcu),
        "mode": args.mode,
        **built,
        "layers": [_layer(cost) for cost in costs],
        "files": write_files(files, Path(args.out)),
    }
    if args.json:
        print_json({"results": [row]})
    else:
        _show(row, costs)
    return 0 if row["fits"] else 1


def _build(model: CModel, mcu: Mcu, compiler: str) -> dict[str, Any]:
    """Sizes of the bench image, and its ELF if it fits the microcontroller."""
    try:
        image = build_image(model, mcu, mcu.name, compiler)
        code_bytes = flash_split(image, model.files).code_bytes
    except ImageError as error:
        if not error.too_big:
            raise
        note(f"tinyrack: {error}")
        return {
            "flash_bytes": error.flash_bytes,
            "static_ram_bytes": error.static_ram_bytes,
            "fits": False,
        }
    return {
        "flash_bytes": image.flash_bytes,
        "static_ram_bytes": image.static_ram_bytes,
        "code_bytes": code_bytes,
        "fits": True,
        "elf": image.elf,
    }


def write_files(files: Mapping[str, bytes], folder: Path) -> list[str]:
    """Write files by name, each whole or not at all; return their paths."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InventoryError(f"{folder}: not a folder, there is a file") from error
    for name, data in files.items():
        draft = folder / f".{name}.new"
        draft.write_bytes(data)
        draft.replace(folder / name)
    return [str(folder / name) for name in files]


def _row(network: Network, arena: Plan, model: CModel, mcu: str) -> dict[str, Any]:
    return {
        "name": model.name,
        "mcu": mcu,
        "arena_bytes": arena.peak_bytes,
        "arena_lower_bound_bytes": arena.lower_bound_bytes,
        "order_is_best": arena.order_is_best,
        "input_bytes": model.input_bytes,
        "output_bytes": model.output_bytes,
        "const_bytes": model.const_bytes,
        "macs": network.graph.macs,
        "macs_as_given": network.given.macs,
        "weight_bytes": _weight_bytes(network.graph),
        "weight_bytes_as_given": _weight_bytes(network.given),
        "rewrites": dict(network.rewrites),
        "model_sha256": model.sha256,
    }


def _weight_bytes(graph: Graph) -> int:
    return sum(op.weights.size for op in graph.ops if op.weights is not None)


def _layer(cost: LayerCost) -> dict[str, Any]:
    layer = cost.layer
    keys = ("index", "name", "kind", "macs")
    shapes = {key: list(getattr(layer, key)) for key in ("input_shape", "output_shape")}
    costs = {key: getattr(cost, key) for key in ("kernel", "const_bytes", "live_bytes")}
    return {key: getattr(layer, key) for key in keys} | shapes | costs


def _show(row: Mapping[str, Any], costs: Sequence[LayerCost]) -> None:
    print_table(f"{row['name']} for {row['mcu']}", _COLUMNS, [_cells(cost) for cost in costs])
    for key, about in _FIGURES.items():
        if key not in row:
            continue
        print_line(f"{key:16} {row[key]:>11,}  {about.format_map(row)}".rstrip())
    applied = [f"{name} ({count})" for name, count in row["rewrites"].items()]
    if applied:
        print_line(f"rewritten, exactly: {', '.join(applied)}")
    folder = Path(row["files"][0]).parent
    print_line(f"in {folder}: {', '.join(Path(file).name for file in row['files'])}")


_FIGURES = {
    "arena_bytes": "all RAM of the library; lower bound {arena_lower_bound_bytes:,} in this order",
    "const_bytes": "tables in flash",
    "weight_bytes": "the file has {weight_bytes_as_given:,}",
    "macs": "the file has {macs_as_given:,}",
    "static_ram_bytes": "of the bench firmware, arena included",
    "code_bytes": "of kernels and model, compiled: mode {mode}",
    "flash_bytes": "of the bench firmware, tables and kernels included",
}
"""What is told of a network -> what it is."""


def _cells(cost: LayerCost) -> tuple[object, ...]:
    layer = cost.layer
    shapes = ("x".join(map(str, shape)) for shape in (layer.input_shape, layer.output_shape))
    sizes = (f"{size:,}" for size in (layer.macs, cost.const_bytes, cost.live_bytes))
    return (layer.index, layer.name, cost.kernel, *shapes, *sizes)


_COLUMNS = (
    *("# ", "layer", "kernel", "input HWC ", "output HWC "),
    *("MACs ", "tables B ", "live B "),
)
