"""Calibration: a planned set of networks is timed on boards, and a latency model is fitted to it.

The plan is a function of seed, size and engine alone, and the fit sees nothing but the plan. What
the results store already holds is not measured again, so a calibration that was stopped goes on
where it was, and one that is repeated gives the same model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from platformdirs import user_state_path

from engine.cmodel import CModel
from engine.emit import KERNEL_FOLDER, emit
from engine.graph import Graph
from engine.plan import plan as arena_plan
from farm.image import image_key
from farm.job import Job
from farm.mcus import load_mcu
from farm.measure import Measurement
from farm.model_file import expected_output, input_bytes, load_input
from farm.rack.inventory import Rack
from nas.latency import LatencyError, LatencyModel, fit_model
from nas.latency_rows import row_from_measurement
from nas.microbench import (
    heldout_networks,
    layer_images,
    plain_image,
    whole_networks,
)
from nas.row_samples import RowImage, row_images

REPEATS = 3
DEADLINE_S = 1800.0

Progress = Callable[[int, int, str], None]


class Measurer(Protocol):
    """The part of `farm.manager.BoardManager` that a calibration needs."""

    @property
    def rack(self) -> Rack:
        """The boards file, for the board type's microcontroller."""

    def submit(self, job: Job) -> Future[Measurement]:
        """Queue a job."""


@dataclass(frozen=True)
class Size:
    """How many images a calibration measures; every_row: and those of kernels that they lack."""

    layer_images: int
    whole_networks: int
    heldout_networks: int
    every_row: bool = True


FULL = Size(7, 10, 19)  # 19 held-out networks make a bound of 95 %
QUICK = Size(5, 6, 4)  # fewer do not tell all kernels apart
CHAINS = ("layers", "rows")
"""Roles of networks that string layers together for their own sake."""


@dataclass(frozen=True)
class Planned:
    """One network to be timed; `role` is "layers", "rows", "whole" or "heldout"."""

    role: str
    graph: Graph
    model: CModel


@dataclass(frozen=True)
class HeldoutRow:
    """One network that was not fitted on, in cycles of one inference."""

    name: str
    macs: int
    measured_cycles: int
    predicted_cycles: float
    upper_cycles: float
    baseline_cycles: float


@dataclass(frozen=True)
class Calibration:
    """A fitted model and how it does on networks that it never saw."""

    board_type: str
    virtual: bool
    model: LatencyModel
    rows: tuple[HeldoutRow, ...]
    too_big: tuple[str, ...]

    def save(self) -> Path:
        """Keep the model where `load_calibration` finds it."""
        path = calibration_path(self.board_type)
        self.model.save(path)
        return path

    def to_json(self) -> dict[str, Any]:
        """One row of what `tinyrack calibrate --json` prints."""
        model = self.model
        return {
            "board_type": self.board_type,
            "virtual": self.virtual,
            "timing_model": model.timing_model,
            "firmware": model.firmware,
            "networks_fitted": len(model.rows),
            "layers_fitted": sum(len(row.layers) for row in model.rows),
            "margin_percent": round(model.margin * 100, 4),
            "confidence": round(model.confidence, 4),
            "heldout": model.heldout.to_json(),
            "macs_only": model.baseline.to_json(),
            "residual_percent": dict(model.residual_percent),
            "networks": [dict(vars(row)) for row in self.rows],
        }


def calibrate(
    manager: Measurer,
    board_type: str,
    seed: int = 0,
    quick: bool = False,
    progress: Progress = lambda _done, _total, _name: None,
) -> Calibration:
    """Measure the plan on the boards of `board_type` and fit it.

    progress(done, total, name) is called in this thread, behind each network. Raises
    `LatencyError` when a board computes a wrong output or too few networks fit its memories,
    and whatever the manager raises.
    """
    planned = plan(seed, QUICK if quick else FULL)
    measured = _measure(manager, board_type, planned, seed, progress)
    ok = {name: m for name, m in measured.items() if m.status == "ok"}
    rows = [
        (p.role, row_from_measurement(p.model.layers, ok[p.graph.name], chain=p.role in CHAINS))
        for p in planned
        if p.graph.name in ok
    ]
    model = fit_model(
        board_type,
        firmware_hash(manager.rack, board_type),
        next((m.timing_model for m in ok.values()), None),
        [row for role, row in rows if role != "heldout"],
        [row for role, row in rows if role == "heldout"],
    )
    too_big = tuple(sorted(measured.keys() - ok.keys()))
    virtual = any(m.virtual for m in ok.values())
    return Calibration(board_type, virtual, model, _heldout(model), too_big)


@cache
def plan(seed: int, size: Size) -> tuple[Planned, ...]:
    """The networks of a calibration, generated as C; they run every row of the kernel table."""
    graphs: Mapping[str, Sequence[Graph]] = {
        "layers": layer_images(seed, size.layer_images),
        "whole": whole_networks(seed, size.whole_networks),
        "heldout": heldout_networks(seed, size.heldout_networks),
    }
    planned = [Planned(role, g, emit(g)) for role, group in graphs.items() for g in group]
    plain = plain_image(seed)
    planned.append(Planned("layers", plain, emit(plain, plain=True)))
    seen = (*graphs["layers"], *graphs["whole"])
    rest = row_images(seed, seen) if size.every_row else []
    return (*planned, *map(_of_rows, rest))


def _of_rows(image: RowImage) -> Planned:
    """Operators side by side: a search for their least arena would take seconds."""
    arena = arena_plan(image.graph, selection=image.selection, least=False)
    return Planned("rows", image.graph, emit(image.graph, arena, selection=image.selection))


def firmware_hash(rack: Rack, board_type: str) -> str:
    """A hash of all that is built into an image but the network: harness, kernels, compiler, MCU.

    It is the key of an image that would hold every kernel.
    """
    return image_key(_every_kernel(), load_mcu(rack.types[board_type].mcu), board_type)


@cache
def _every_kernel() -> CModel:
    paths = sorted(KERNEL_FOLDER.glob("*.[ch]"))
    files = {path.name: path.read_text(encoding="utf-8") for path in paths}
    return replace(emit(plain_image(0)), files=files)


def calibration_path(board_type: str) -> Path:
    """Where the model of a board type is kept."""
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in board_type)
    return user_state_path("tinyrack") / "calibration" / f"{safe}.json"


def load_calibration(rack: Rack, board_type: str) -> LatencyModel | None:
    """The kept model of a board type; None when there is none, or when it is of other firmware."""
    path = calibration_path(board_type)
    if not path.exists():
        return None
    model = LatencyModel.load(path)
    same = (model.board_type, model.firmware) == (board_type, firmware_hash(rack, board_type))
    return model if same else None


def _measure(
    manager: Measurer, board_type: str, planned: Sequence[Planned], seed: int, progress: Progress
) -> dict[str, Measurement]:
    """By name of the network; all are queued at once, so that every board of the type works."""
    futures = {manager.submit(_job(p, board_type, seed)): p.graph.name for p in planned}
    measured: dict[str, Measurement] = {}
    try:
        for future in as_completed(futures, timeout=DEADLINE_S):
            name = futures[future]
            measured[name] = _checked(future.result())
            progress(len(measured), len(planned), name)
    finally:
        for future in futures:
            future.cancel()
    return measured


def _job(planned: Planned, board_type: str, seed: int) -> Job:
    inputs = load_input(planned.graph, None, seed)
    io = (input_bytes(planned.graph, inputs), expected_output(planned.graph, inputs))
    return Job(f"calibrate-{planned.graph.name}", planned.model, board_type, *io, REPEATS)


def _checked(m: Measurement) -> Measurement:
    if m.status not in ("ok", "too_big"):
        raise LatencyError(f"{m.name} on {m.board} cannot be used, it is {m.status}: {m.message}")
    return m


def _heldout(model: LatencyModel) -> tuple[HeldoutRow, ...]:
    foreseen = [(row, model.predict_row(row)) for row in model.heldout_rows]
    return tuple(
        HeldoutRow(
            row.name,
            row.macs,
            row.cycles,
            f.cycles,
            f.upper_cycles,
            model.predict_by_macs(row.macs),
        )
        for row, f in sorted(foreseen, key=lambda pair: pair[0].name)
    )
