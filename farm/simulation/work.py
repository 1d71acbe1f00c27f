"""The rack and the jobs of a simulation: many boards of few types, many inputs of few images."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.cmodel import CModel, Layer
from farm.job import Job, Purpose
from farm.measure import Measurement
from farm.rack.inventory import Board, Rack
from farm.virtual.parts import load_part

IMAGES = 40  # networks that are asked for, of each type of board
_CYCLES = 1000


@dataclass(frozen=True)
class Order:
    """A job as it is handed in."""

    job: Job
    submitter: str
    purpose: Purpose


def simulated_rack(source: Rack, boards: int) -> Rack:
    """So many virtual boards of the source's types; every tenth of a type has the tag `probe`."""
    types = list(source.types.values())
    made = []
    for number in range(boards):
        kind = types[number % len(types)]
        tags = {"probe": "yes"} if number // len(types) % 10 == 0 else {}
        made.append(Board(f"sim-{number:04}", kind, f"virtual:SIM-{number:04}", tags=tags))
    return Rack(Path("simulated"), source.types, tuple(made))


def orders(rack: Rack, seed: int = 1) -> Iterator[Order]:
    """Jobs without end, all different: one in twenty needs the tag, one in ten is a final one."""
    draw = random.Random(seed)
    kinds = list(dict.fromkeys(board.type for board in rack.boards))
    models = [_model(number) for number in range(IMAGES)]
    for number in itertools.count():
        kind, model = draw.choice(kinds), draw.choice(models)
        data = number.to_bytes(4, "little")
        tags = {"probe": "yes"} if draw.random() < 0.05 else {}
        job = Job(f"job {number}", model, kind.name, data, data, tags=tags)
        purpose: Purpose = "final" if draw.random() < 0.1 else "search"
        yield Order(job, draw.choice(("anna", "berta", "carl")), purpose)


def measurement_of(job: Job, board: Board) -> Measurement:
    """What a board would answer."""
    return Measurement(
        name=job.name,
        status="ok",
        board=board.id,
        board_type=board.type.name,
        virtual=True,
        output_ok=True,
        output_sha256=job.expected_sha256,
        samples=(_CYCLES,) * job.repeats,
        cycles=_CYCLES,
        cold_cycles=_CYCLES,
        layer_cycles=(_CYCLES,),
        clock_hz=10**8,
        latency_ms=0.01,
        timing_model=load_part(board.type.mcu).timing_model,
        provenance={"probe": board.probe, "lease_token": 1},
    )


def _model(number: int) -> CModel:
    layer = Layer(0, "l", "add", "add_s8", (1, 1, 4), (1, 1, 4), 8, {"n": 4.0})
    return CModel(
        name=f"net {number}",
        files={"model.c": f"/* {number} */", "model.h": ""},
        arena_bytes=64,
        const_bytes=0,
        layers=(layer,),
        sha256=f"{number:064x}",
        input_shapes=((1, 1, 4),),
        output_shapes=((1, 1, 4),),
        input_names=("x",),
        output_names=("y",),
    )
