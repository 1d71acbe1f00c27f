"""`tinyrack compile`: a network as a C library, with what it will cost before any board ran."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.cmodel import CModel, Layer
from engine.emit import emit
from farm.errors import ImageError
from farm.image import build_image
from farm.mcus import load_mcu
from farm.model_file import load_model
from farm.output import note, print_json, print_line, print_table

BENCH_ELF = "bench.elf"  # the library inside the bench harness, for `tinyrack flash`


def run(args: Namespace) -> int:
    """Write the C files and the bench image and tell the cost; 1 when it does not fit."""
    mcu = load_mcu(args.mcu)
    model = emit(load_model(Path(args.model)))
    files = {name: text.encode() for name, text in model.files.items()}
    fits, flash_bytes, static_ram_bytes = True, 0, 0
    try:
        image = build_image(model, mcu, args.mcu)
        flash_bytes, static_ram_bytes = image.flash_bytes, image.static_ram_bytes
        files[BENCH_ELF] = image.elf
    except ImageError as error:
        if not error.too_big:
            raise
        note(f"tinyrack: {error}")
        fits, flash_bytes, static_ram_bytes = False, error.flash_bytes, error.static_ram_bytes
    row = _row(model, args.mcu) | {
        "flash_bytes": flash_bytes,
        "static_ram_bytes": static_ram_bytes,
        "fits": fits,
        "files": write_files(files, Path(args.out)),
    }
    if args.json:
        print_json({"results": [row]})
    else:
        _show(model, row)
    return 0 if fits else 1


def write_files(files: Mapping[str, bytes], folder: Path) -> list[str]:
    """Write files by name, each whole or not at all; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        draft = folder / f".{name}.new"
        draft.write_bytes(data)
        draft.replace(folder / name)
    return [str(folder / name) for name in files]


def _row(model: CModel, mcu: str) -> dict[str, Any]:
    return {
        "name": model.name,
        "mcu": mcu,
        "arena_bytes": model.arena_bytes,
        "const_bytes": model.const_bytes,
        "macs": sum(layer.macs for layer in model.layers),
        "model_sha256": model.sha256,
        "layers": [_layer(layer) for layer in model.layers],
    }


def _layer(layer: Layer) -> dict[str, Any]:
    keys = ("index", "name", "kind", "kernel", "macs")
    shapes = {key: list(getattr(layer, key)) for key in ("input_shape", "output_shape")}
    return {key: getattr(layer, key) for key in keys} | shapes


def _show(model: CModel, row: dict[str, Any]) -> None:
    shape = "x".join
    cells = [
        (
            v.index,
            v.name,
            v.kernel,
            shape(map(str, v.input_shape)),
            shape(map(str, v.output_shape)),
            f"{v.macs:,}",
        )
        for v in model.layers
    ]
    print_table(f"{model.name} for {row['mcu']}", _COLUMNS, cells)
    for key in ("arena_bytes", "flash_bytes", "static_ram_bytes", "macs"):
        print_line(f"{key:17} {row[key]:,}")
    print_line(f"written: {', '.join(row['files'])}")


_COLUMNS = ("# ", "layer", "kernel", "input HWC ", "output HWC ", "MACs ")
