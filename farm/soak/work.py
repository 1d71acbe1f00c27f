"""What the boards of a soak are given: kernels of the engine, another image at every turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from engine.benchmarks import kernel_suite
from engine.cmodel import CModel
from engine.emit import emit
from farm.job import Job
from farm.model_file import expected_output, input_bytes, load_input
from farm.rack.inventory import Board

MACS_LIMIT = 120_000  # of the kernels that are used: a turn shall be flashing more than waiting
_REPEATS = 3


@dataclass(frozen=True)
class Network:
    """One kernel as C with an input and what it must answer."""

    name: str
    model: CModel
    input: bytes
    expected: bytes


def networks(limit: int = 100) -> tuple[Network, ...]:
    """The quick kernels of the suite, at most `limit`; the largest fills 84 KB of flash."""
    found: list[Network] = []
    for graph in kernel_suite():
        model = emit(graph)
        if sum(layer.macs for layer in model.layers) <= MACS_LIMIT and len(found) < limit:
            inputs = load_input(graph, None, len(found))
            given, expected = input_bytes(graph, inputs), expected_output(graph, inputs)
            found.append(Network(graph.name, model, given, expected))
    return tuple(found)


def turns(boards: Sequence[Board], given: Sequence[Network]) -> Iterator[tuple[Board, Job]]:
    """Board after board for ever; none gets the image that it had the turn before."""
    for turn in count():
        for at, board in enumerate(boards):
            network = given[(turn + at) % len(given)]
            name = f"{network.name} #{turn}"
            yield (
                board,
                Job(
                    name,
                    network.model,
                    board.type.name,
                    network.input,
                    network.expected,
                    _REPEATS,
                ),
            )
