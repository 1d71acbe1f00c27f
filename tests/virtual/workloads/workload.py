"""The networks of MLPerf Tiny, layer by layer, with kernels of our own on a virtual board."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from elftools.elf.elffile import ELFFile

from engine import toolchain
from farm.board_header import board_header
from farm.image import RUNTIME_FLAGS
from farm.mcus import load_mcu
from farm.virtual.machine import Machine
from farm.virtual.parts import load_part

TABLE_AT = 0x4000  # of flash: the layers and behind them their constants
_HERE = Path(__file__).parent
_FIRMWARE = Path(toolchain.__file__).parents[1] / "farm" / "firmware"
_HEADERS = ("core.h", "cache.h", "clock.h", "step.h", "memory.h")
_SOURCES = ("cache.c", "clock.c", "step.c", "runtime.c")
_KINDS = ("convolution", "pointwise", "depthwise", "dense", "pool", "add")
_ACTIVATION_BYTES = 49152  # of main.c
_SLICE, _SLICES = 20_000_000, 4000


@dataclass(frozen=True)
class Layer:
    """One layer; sizes in pixels and channels."""

    kind: str
    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    weights: np.ndarray[Any, Any] | None = None  # int8 [out][k_h][k_w][in]; depthwise [k_h][k_w][c]
    bias: tuple[int, ...] = ()

    @property
    def macs(self) -> int:
        """Multiplications of an inference."""
        pixels = self.out_shape[0] * self.out_shape[1]
        each = self.kernel[0] * self.kernel[1] * self.out_shape[2]
        inputs = 1 if self.kind == "depthwise" else self.in_shape[2]
        return pixels * each * inputs if self.kind not in ("pool", "add") else 0

    @property
    def padding(self) -> tuple[int, int]:
        """Rows above and columns to the left."""
        both = zip(self.in_shape, self.out_shape, self.kernel, strict=False)
        top, left = (max((o - 1) * self.stride + k - i, 0) // 2 for i, o, k in both)
        return top, left


@dataclass(frozen=True)
class Run:
    """What a board took for one inference, in core cycles."""

    part: str
    timing_model: str
    clock_hz: int
    layer_cycles: tuple[int, ...]
    cycles: int
    output: bytes
    instructions: int  # of all inferences and the start
    machine: Machine


def network_names() -> tuple[str, ...]:
    """Names of the networks."""
    return tuple(_networks())


@lru_cache
def _networks() -> dict[str, Any]:
    networks: dict[str, Any] = yaml.safe_load((_HERE / "networks.yaml").read_text())
    return networks


def macs(name: str) -> int:
    """Of the published file."""
    return int(_networks()[name]["macs"])


def network(name: str, seed: int = 7) -> tuple[Layer, ...]:
    """A network's layers with random weights."""
    rng = np.random.default_rng(seed)
    return tuple(_filled(layer, rng) for layer in _layers(_networks()[name]))


def _layers(facts: dict[str, Any]) -> Iterator[Layer]:
    shape = tuple(facts["input"])
    for item in facts["layers"]:
        if isinstance(item, dict):  # depthwise and pointwise in turn
            for channels, out, stride in item["repeat"]:
                middle = (-(-shape[0] // stride), -(-shape[1] // stride), channels)
                yield Layer("depthwise", shape, middle, (3, 3), stride)
                shape = (*middle[:2], out)
                yield Layer("pointwise", middle, shape)
            continue
        layer = _single(shape, *item)
        shape = layer.out_shape
        yield layer


def _single(shape: Any, kind: str, out: int = 0, *facts: int) -> Layer:
    h, w, channels = shape
    if kind == "dense":
        return Layer("dense", (1, 1, h * w * channels), (1, 1, out))
    if kind == "pool":
        return Layer("pool", shape, (1, 1, channels))
    if kind == "add":
        return Layer("add", shape, shape)
    if kind == "shortcut":
        return Layer("convolution", (2 * h, 2 * w, facts[0]), (h, w, out), (1, 1), 2)
    k_h, k_w, stride = facts
    return Layer(kind, shape, (-(-h // stride), -(-w // stride), out), (k_h, k_w), stride)


def _filled(layer: Layer, rng: np.random.Generator) -> Layer:
    if layer.kind in ("pool", "add"):
        return layer
    channels = layer.out_shape[2]
    inputs = 1 if layer.kind == "depthwise" else layer.in_shape[2]
    shape = (*layer.kernel, channels) if inputs == 1 else (channels, *layer.kernel, inputs)
    if layer.kind != "depthwise" and inputs == 1:
        shape = (channels, *layer.kernel, 1)
    weights = rng.integers(-127, 128, shape, dtype=np.int8)
    return replace(layer, weights=weights, bias=tuple(rng.integers(-500, 500, channels).tolist()))


def scale(layer: Layer) -> tuple[int, int]:
    """Multiplier and shift that bring the layer's sums to about -128 to 127."""
    depth = layer.macs // (layer.out_shape[0] * layer.out_shape[1] * layer.out_shape[2] or 1)
    return 0x60000000, max(int(np.log2(max(depth, 1) ** 0.5 * 73 * 73 / 40)), 1)


def run(part: str, layers: tuple[Layer, ...], native: bool = True, model: str = "", runs: int = 2,
        inputs: bytes = b"") -> Run:  # fmt: skip
    """The last of `runs` inferences at the part's full clock; RuntimeError when it fails."""
    mcu, known = load_mcu(part), load_part(part)
    known = replace(known, timing_model=model or known.timing_model)
    image, symbols = _program(part)
    flash = bytearray(b"\xff" * known.flash_bytes)
    flash[: len(image)] = image
    constants = _constants(layers, known.flash_base, runs)
    flash[TABLE_AT : TABLE_AT + len(constants)] = constants
    machine = Machine(known, flash, lambda _: None, native_hook=native)
    machine.write_block(symbols["activations"], inputs)
    for _ in range(_SLICES):
        machine.run(_SLICE)
        if machine.idle or machine.state != "running":
            break
    if not machine.read(symbols["done"], 4):
        raise RuntimeError(f"{part}: the workload did not end ({machine.state})")
    words = [machine.read(symbols["cycles"] + 4 * i, 4) for i in range(len(layers))]
    at = symbols["activations"] + (_ACTIVATION_BYTES if len(layers) % 2 else 0)
    size = int(np.prod(layers[-1].out_shape))
    return Run(
        part, machine.timing_model, mcu.clock_hz, tuple(words), machine.read(symbols["total"], 4),
        machine.read_block(at, size), machine.instructions, machine,
    )  # fmt: skip


def _program(part: str) -> tuple[bytes, dict[str, int]]:
    """The part of the image before the table, and where its variables lie."""
    mcu = load_mcu(part)
    headers = {name: (_FIRMWARE / name).read_text() for name in _HEADERS}
    headers |= {"board.h": board_header(mcu, "workload")}
    own = {"workload.h": (_HERE / "workload.h").read_text()}
    files = [(_FIRMWARE / name, headers) for name in _SOURCES]
    files += [(_HERE / "kernels.c", own), (_HERE / "main.c", headers | own)]
    objects = [
        toolchain.compile_object(path.name, path.read_text(), known, mcu.core, _flags(path.name))
        for path, known in files
    ]
    script = (_HERE / "workload.ld").read_text()
    facts = {"FLASH_BASE": mcu.flash.base, "RAM_BASE": mcu.ram.base, "TABLE_AT": TABLE_AT}
    for key, value in facts.items():
        script = script.replace(f"@{key}@", f"{value:#x}")
    elf = toolchain.link_elf(objects, script, "Reset_Handler", mcu.core)
    file = ELFFile(io.BytesIO(elf))
    section = file.get_section_by_name(".text")
    table = file.get_section_by_name(".symtab")
    return section.data(), {s.name: s["st_value"] for s in table.iter_symbols()}


def _flags(name: str) -> tuple[str, ...]:
    return RUNTIME_FLAGS if name == "runtime.c" else ()


def _constants(layers: tuple[Layer, ...], base: int, runs: int) -> bytes:
    """The table and what it points to."""
    rows, data = bytearray(struct.pack("<2I", runs, len(layers))), bytearray()
    start = TABLE_AT + len(rows) + 18 * 4 * len(layers)
    start += -start % 16
    for layer in layers:
        places = []
        for part in _data(layer):
            data += bytes(-len(data) % 16)
            places.append(base + start + len(data))
            data += part
        h, w, c = layer.in_shape
        rows += struct.pack(
            "<I13i4I", _KINDS.index(layer.kind), h, w, c, *layer.out_shape, *layer.kernel,
            layer.stride, *layer.padding, 3, -5, *places,
        )  # fmt: skip
    return bytes(rows) + bytes(start - TABLE_AT - len(rows)) + bytes(data)


def _data(layer: Layer) -> tuple[bytes, ...]:
    multiplier, shift = scale(layer)
    channels = layer.out_shape[2]
    weights = layer.weights.tobytes() if layer.weights is not None else b""
    words = (layer.bias, (multiplier,) * channels, (shift,) * channels)
    return (weights, *(struct.pack(f"<{len(w)}i", *w) for w in words))
