"""What an ordeal has measured: few images, so that boards are quick, and many jobs of each."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.benchmarks import kernel_suite
from engine.cmodel import CModel
from engine.emit import emit
from engine.graph import Graph
from farm.job import Job, Purpose
from farm.model_file import expected_output, input_bytes, load_input
from farm.rack.inventory import Rack

_INPUTS = 2  # of each network
_REPEATS = 3
_MACS = range(20_000, 100_000)  # in less time, a few cycles more or less are many
_PURPOSE: Purpose = "calibration"  # as quick as a search, and flash is verified again behind it
EXPECTED = "expected-"  # begins the ids of the jobs that say what each network costs


@dataclass(frozen=True)
class Ordeal:
    """Everything that a life of a manager must know; times in seconds."""

    rack: str  # its file
    log: str  # where faults and kills are written down
    jobs: int
    networks: int = 3
    rate: float = 0.05  # of the steps, that meet a fault
    retries: int = 2
    seed: int = 1

    def save(self, path: Path) -> None:
        """Write it for `load`."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Ordeal:
        """Inverse of save."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Given:
    """One network with one of its inputs."""

    name: str
    model: CModel
    input: bytes
    expected: bytes

    def job(self, job_id: str, board_type: str) -> Job:
        """It as a job; the id is also its name."""
        io = (self.input, self.expected)
        return Job(job_id, self.model, board_type, *io, _REPEATS, id=job_id, purpose=_PURPOSE)


def given(networks: int) -> list[Given]:
    """The small kernels of the suite that have least to send, with two inputs each.

    Bytes on the console cost an emulated board more than its inferences do.
    """
    timed = [graph for graph in kernel_suite() if graph.macs in _MACS]
    models = [(graph, emit(graph)) for graph in sorted(timed, key=_io_bytes)[:networks]]
    return [
        Given(f"{graph.name} {seed}", model, *_io(graph, seed))
        for graph, model in models
        for seed in range(_INPUTS)
    ]


def _io_bytes(graph: Graph) -> int:
    return sum(math.prod(graph.tensor(name).shape) for name in (*graph.inputs, *graph.outputs))


def _io(graph: Graph, seed: int) -> tuple[bytes, bytes]:
    inputs = load_input(graph, None, seed)
    return input_bytes(graph, inputs), expected_output(graph, inputs)


def expecting(rack: Rack, work: Sequence[Given]) -> list[Job]:
    """A job for each thing that a result of the ordeal may be of."""
    kinds = dict.fromkeys(board.type.name for board in rack.boards)
    return [
        each.job(f"{EXPECTED}{number}-{kind}", kind)
        for number, each in enumerate(work)
        for kind in kinds
    ]


def jobs(rack: Rack, work: Sequence[Given], count: int) -> Iterator[Job]:
    """The jobs of an ordeal, the same in every life; ids from job-00000."""
    kinds = list(dict.fromkeys(board.type.name for board in rack.boards))
    for number in range(count):
        kind = kinds[number % len(kinds)]
        yield work[number // len(kinds) % len(work)].job(f"job-{number:05}", kind)
