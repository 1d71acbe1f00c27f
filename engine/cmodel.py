"""CModel: a network as a C library that stands alone, and what each of its layers is."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Layer:
    """One call of a kernel.

    index: position in execution order, the argument of ``after`` in tinyrack_trace.
    features: the work of the kernel's loops, all >= 0; inputs of the latency model.
    """

    index: int
    name: str
    kind: str
    kernel: str
    input_shape: Shape
    output_shape: Shape
    macs: int
    features: Mapping[str, float]


@dataclass(frozen=True)
class CModel:
    """C files by name, with no dependency but the compiler's own headers.

    arena_bytes: all static RAM, for inputs, outputs, activations and scratch; const_bytes: tables
    in flash on a 32-bit machine, without code; input_shapes, output_shapes: int8 [H, W, C] each;
    input_names, output_names: those of the tensors, in the same order; flags: of the compiler, by
    file, that some have behind those of all; sha256: of files and flags.
    """

    name: str
    files: Mapping[str, str]
    arena_bytes: int
    const_bytes: int
    layers: tuple[Layer, ...]
    sha256: str
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def input_bytes(self) -> int:
        """Of all inputs, which follow each other without gaps where they are bytes."""
        return sum(map(math.prod, self.input_shapes))

    @property
    def output_bytes(self) -> int:
        """Of all outputs, which follow each other in the same way."""
        return sum(map(math.prod, self.output_shapes))


def files_sha256(files: Mapping[str, str]) -> str:
    """SHA-256 (hex) over names and texts, whatever their order in the mapping."""
    digest = hashlib.sha256()
    for name in sorted(files):
        for text in (name, files[name]):
            data = text.encode("utf-8")
            digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()
