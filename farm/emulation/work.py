"""What the boards compute while their speed is taken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.benchmarks import kernel_suite
from engine.cmodel import CModel
from engine.emit import emit
from farm.model_file import expected_output, input_bytes, load_input
from farm.network_file import load_network, network_name

_KERNELS = ("conv 3x3 16-16 at 32x32", "pointwise 64-64 at 12x12")


@dataclass(frozen=True)
class Work:
    """A network as C, its inputs and what it must answer."""

    name: str
    model: CModel
    given: bytes
    expected: bytes


def works(files: list[str]) -> list[Work]:
    """The networks of these files; without files, kernels of the suite."""
    if files:
        loaded = [(network_name(Path(file)), load_network(Path(file))) for file in files]
        pairs = [(name, network.given, network.graph) for name, network in loaded]
    else:
        pairs = [(each.name, each, each) for each in kernel_suite() if each.name in _KERNELS]
    found = []
    for name, given, graph in pairs:
        inputs = load_input(given, None, 0)
        io = input_bytes(given, inputs), expected_output(given, inputs)
        found.append(Work(name, emit(graph), *io))
    return found
