"""Job: one network to be measured on one type of board; Event: what became of it so far."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from engine.cmodel import CModel, Layer
from engine.compilers import DEFAULT
from farm.measure import Measurement

MAX_REPEATS = 61  # the samples that one frame of the harness holds
Purpose = Literal["search", "calibration", "final", "golden"]
PRIORITIES: Mapping[Purpose, int] = {"search": 0, "calibration": 100, "final": 200, "golden": 300}
MOST_PRIORITY = 99  # what a job may add to that of its purpose, or take from it


@dataclass(frozen=True, eq=False)
class Job:
    """Measure `model` on a board of `board_type`, with `repeats` timed runs.

    `input` and `expected` are the raw int8 bytes, [H, W, C], of the network's inputs and of
    the outputs that the reference computes for them, each behind the one before it. `compiler`
    is a name of `engine.compilers`.
    Only boards with all of the `tags` do the job. `id`, if given, is the job's own for ever: a
    job with that id is measured once (again if that was flagged), and its attempts count, whoever
    hands it in again.
    `further`: more inputs with their outputs, all of which must be right, to see whether the
    cycles depend on the data.
    """

    name: str
    model: CModel
    board_type: str
    input: bytes
    expected: bytes
    repeats: int = 5
    compiler: str = DEFAULT
    purpose: Purpose = "search"
    tags: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    further: tuple[tuple[bytes, bytes], ...] = ()

    def __post_init__(self) -> None:
        for given, expected in self.pairs:
            for what, data, size in (
                ("input", given, self.model.input_bytes),
                ("expected output", expected, self.model.output_bytes),
            ):
                if len(data) != size:
                    raise ValueError(f"{self.name}: {what} has {len(data)} bytes, the model {size}")
        if not 1 <= self.repeats <= MAX_REPEATS:
            raise ValueError(f"{self.name}: repeats is {self.repeats}, not 1 to {MAX_REPEATS}")
        if self.purpose not in PRIORITIES:
            allowed = ", ".join(get_args(Purpose))
            raise ValueError(f"{self.name}: purpose is {self.purpose!r}, not one of {allowed}")

    @property
    def pairs(self) -> tuple[tuple[bytes, bytes], ...]:
        """Every input with the output to expect."""
        return ((self.input, self.expected), *self.further)

    @property
    def input_sha256(self) -> str:
        """SHA-256 of the bytes of all inputs."""
        return hashlib.sha256(b"".join(given for given, _ in self.pairs)).hexdigest()

    @property
    def expected_sha256(self) -> str:
        """SHA-256 of the bytes of all outputs to expect."""
        return hashlib.sha256(b"".join(expected for _, expected in self.pairs)).hexdigest()

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.model.layers)


@dataclass(frozen=True)
class Event:
    """Progress of one job; `board` is empty until one took it.

    detail is the stage's name, or why the job failed or is tried again. Of a board that is being
    "recovered", runs the "golden" program or is set "aside" it says what came of it or why; such
    events have no job.
    """

    kind: Literal[
        "queued", "started", "stage", "done", "failed", "retried", "recovered", "golden", "aside"
    ]
    job: str
    board: str = ""
    detail: str = ""
    measurement: Measurement | None = None


def job_to_message(job: Job) -> tuple[dict[str, Any], bytes]:
    """The job as JSON values and the bytes of inputs and outputs, each pair behind the last."""
    header = {
        "name": job.name,
        "board_type": job.board_type,
        "repeats": job.repeats,
        "compiler": job.compiler,
        "purpose": job.purpose,
        "tags": dict(job.tags),
        "id": job.id,
        "pair_bytes": [len(job.input), len(job.expected)],
        "model": _shallow(job.model)
        | {
            "files": dict(job.model.files),
            "flags": dict(job.model.flags),
            "layers": [_shallow(v) | {"features": dict(v.features)} for v in job.model.layers],
        },
    }
    return header, b"".join(given + expected for given, expected in job.pairs)


def job_from_message(header: Mapping[str, Any], blob: bytes) -> Job:
    """Inverse of job_to_message."""
    model = dict(header["model"])
    model |= {key: tuple(model[key]) for key in ("input_names", "output_names")}
    model |= {key: tuple(map(tuple, model[key])) for key in ("input_shapes", "output_shapes")}
    model["flags"] = {name: tuple(more) for name, more in model["flags"].items()}
    model["layers"] = tuple(_layer(row) for row in model["layers"])
    (given, expected), *further = _pairs(blob, *header["pair_bytes"])
    return Job(
        header["name"],
        CModel(**model),
        header["board_type"],
        given,
        expected,
        header["repeats"],
        header["compiler"],
        header["purpose"],
        header["tags"],
        header["id"],
        tuple(further),
    )


def _pairs(blob: bytes, input_bytes: int, output_bytes: int) -> Iterator[tuple[bytes, bytes]]:
    for at in range(0, len(blob), input_bytes + output_bytes):
        middle = at + input_bytes
        yield blob[at:middle], blob[middle : middle + output_bytes]


def _shallow(value: CModel | Layer) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _layer(row: Mapping[str, Any]) -> Layer:
    shapes = {key: tuple(row[key]) for key in ("input_shape", "output_shape")}
    return Layer(**(dict(row) | shapes))
