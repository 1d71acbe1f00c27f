"""Measures networks on the boards of a rack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol

from engine.cmodel import CModel
from engine.emit import emit
from engine.graph import Graph
from farm.job import Job
from farm.measure import Measurement
from farm.model_file import expected_output, input_bytes, load_input
from farm.rack.inventory import Rack
from nas.budget import Measured, Seen, skeleton
from nas.space import Arch

INPUT_SEED = 7  # any input times the same; a random one shows a wrong output best


class Bench(Protocol):
    """The part of `farm.manager.BoardManager` that a search needs."""

    @property
    def rack(self) -> Rack:
        """All boards and their types."""

    def submit(self, job: Job) -> Future[Measurement]:
        """Queue a job."""

    def measure(self, jobs: Sequence[Job]) -> list[Measurement]:
        """One measurement a job, in the order of the jobs."""


class BoardRig:
    """Builds the graph of each network by `graph_of` and measures it on each board type."""

    def __init__(
        self,
        manager: Bench,
        board_types: Sequence[str],
        graph_of: Callable[[Arch], Graph],
    ) -> None:
        self._manager = manager
        self._board_types = tuple(board_types)
        self._graph_of = graph_of

    def measure(self, archs: Sequence[Arch]) -> Measured:
        """Each network on every board type, all boards at work; stored results count."""
        models = {arch: measurable(self._graph_of(arch)) for arch in archs}
        jobs = [
            Job(model.name, model, board_type, *io)
            for model, io in models.values()
            for board_type in self._board_types
        ]
        results = iter(self._manager.measure(jobs))
        return {
            arch: {t: Seen(skeleton(model), next(results)) for t in self._board_types}
            for arch, (model, _) in models.items()
        }


def measurable(graph: Graph) -> tuple[CModel, tuple[bytes, bytes]]:
    """The C library, inputs for it and the outputs that the reference gives."""
    inputs = load_input(graph, None, INPUT_SEED)
    return emit(graph), (input_bytes(graph, inputs), expected_output(graph, inputs))
