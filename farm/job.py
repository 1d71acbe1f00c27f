"""Job: one network to be measured on one type of board; Event: what became of it so far."""

import hashlib
from collections.abc import Mapping
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
    job with that id is measured once, and its attempts count, whoever hands it in again.
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

    def __post_init__(self) -> None:
        for what, data, size in (
            ("input", self.input, self.model.input_bytes),
            ("expected output", self.expected, self.model.output_bytes),
        ):
            if len(data) != size:
                raise ValueError(f"{self.name}: {what} has {len(data)} bytes, the model {size}")
        if not 1 <= self.repeats <= MAX_REPEATS:
            raise ValueError(f"{self.name}: repeats is {self.repeats}, not 1 to {MAX_REPEATS}")
        if self.purpose not in PRIORITIES:
            allowed = ", ".join(get_args(Purpose))
            raise ValueError(f"{self.name}: purpose is {self.purpose!r}, not one of {allowed}")

    @property
    def input_sha256(self) -> str:
        """SHA-256 of the input bytes."""
        return hashlib.sha256(self.input).hexdigest()

    @property
    def expected_sha256(self) -> str:
        """SHA-256 of the expected output bytes."""
        return hashlib.sha256(self.expected).hexdigest()

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
    """The job as JSON values and the bytes of input and expected output behind each other."""
    header = {
        "name": job.name,
        "board_type": job.board_type,
        "repeats": job.repeats,
        "compiler": job.compiler,
        "purpose": job.purpose,
        "tags": dict(job.tags),
        "id": job.id,
        "input_bytes": len(job.input),
        "model": _shallow(job.model)
        | {
            "files": dict(job.model.files),
            "flags": dict(job.model.flags),
            "layers": [_shallow(v) | {"features": dict(v.features)} for v in job.model.layers],
        },
    }
    return header, job.input + job.expected


def job_from_message(header: Mapping[str, Any], blob: bytes) -> Job:
    """Inverse of job_to_message."""
    model = dict(header["model"])
    model |= {key: tuple(model[key]) for key in ("input_names", "output_names")}
    model |= {key: tuple(map(tuple, model[key])) for key in ("input_shapes", "output_shapes")}
    model["flags"] = {name: tuple(more) for name, more in model["flags"].items()}
    model["layers"] = tuple(_layer(row) for row in model["layers"])
    size = header["input_bytes"]
    return Job(
        header["name"],
        CModel(**model),
        header["board_type"],
        blob[:size],
        blob[size:],
        header["repeats"],
        header["compiler"],
        header["purpose"],
        header["tags"],
        header["id"],
    )


def _shallow(value: CModel | Layer) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _layer(row: Mapping[str, Any]) -> Layer:
    shapes = {key: tuple(row[key]) for key in ("input_shape", "output_shape")}
    return Layer(**(dict(row) | shapes))
