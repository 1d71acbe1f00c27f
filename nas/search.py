"""The whole loop of one search, stage by stage, each kept in the run directory."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine.graph import Graph
from farm.manager import BoardManager
from farm.rack.inventory import Board, Rack, load_rack
from farm.rack.rack_checks import selected
from nas.budget import Budget
from nas.calibrate import calibrate, firmware_hash, load_calibration
from nas.candidate import Score
from nas.config import SearchConfig, default_name
from nas.console import Stages
from nas.data import Dataset, load_dataset
from nas.errors import RunError
from nas.evolve import evolve
from nas.finish import CALIBRATION_IMAGES, Finisher
from nas.floor import measured_budget
from nas.judge import Judge
from nas.latency import LatencyError, LatencyModel
from nas.lower import quantise
from nas.rig import Bench, BoardRig
from nas.run_dir import RunDir, checked_name, open_run, read_json, write_json
from nas.shape import shape_graph
from nas.shrink import Shrunk, progressive_shrinking
from nas.space import Arch
from nas.supernet import Supernet
from nas.train import (
    Checkpoint,
    Epoch,
    TrainSettings,
    as_tensors,
    evaluate_subnet,
    make_deterministic,
    restore,
    train_supernet,
)

CHECKPOINT_EPOCHS = 6
DAMAGE = (KeyError, IndexError, TypeError, ValueError, AttributeError, LatencyError)


@dataclass(frozen=True)
class Outcome:
    """A finished search: its directory and what winner.json holds."""

    path: Path
    winner: Mapping[str, Any]


OpenBench = Callable[[Rack, Sequence[Board]], AbstractContextManager[Bench]]


def search(
    config: SearchConfig,
    runs_dir: Path,
    name: str | None,
    fresh: bool,
    stages: Stages,
    open_bench: OpenBench | None = None,
) -> Outcome:
    """Run or resume the search of `config` and return its winner, measured within the limits.

    Raises InfeasibleError, RunError, DataError, or what boards and inventory raise; a search
    that was stopped at any point goes on with the same call.
    """
    if name is not None:
        checked_name(name)
    make_deterministic()
    rack = load_rack(config.boards_file)
    boards = selected(rack, config.boards)
    board_types = tuple(sorted({board.type.name for board in boards}))
    dataset = load_dataset(config.data, config.data_dir, config.data_limit)
    firmware = {each: firmware_hash(rack, each) for each in board_types}
    identity = config.identity(firmware, dataset.fingerprint())
    with open_run(
        runs_dir / (default_name(identity) if name is None else name), identity, fresh
    ) as run:
        if not (run.path / "winner.json").is_file():
            open_bench = open_bench or partial(BoardManager, progress=stages.event)
            with open_bench(rack, boards) as manager:
                Search(config, dataset, board_types, run, manager, stages).run()
        write_report = importlib.import_module("nas.report").write_report
        write_report(run.path)
        return Outcome(run.path, read_winner(run.path))


def read_winner(path: Path) -> Mapping[str, Any]:
    """winner.json of a finished run."""
    value = read_json(path / "winner.json")
    if not isinstance(value, dict):
        raise RunError(f"{path / 'winner.json'} is damaged; start over with --fresh")
    return value


def calibrated_model(manager: Bench, board_type: str, stages: Stages) -> LatencyModel:
    """The user's calibration of a board type, or a quick one, which is then the user's."""
    model = load_calibration(manager.rack, board_type)
    if model is not None:
        return model
    with stages.counted(f"calibrate {board_type}") as progress:
        result = calibrate(manager, board_type, quick=True, progress=progress)
    result.save()
    return result.model


@contextmanager
def _undamaged(path: Path) -> Iterator[None]:
    """What a run kept of itself is as it was written, or the run cannot go on."""
    try:
        yield
    except DAMAGE as error:
        raise RunError(
            f"{path} cannot be used ({error}); mend that, or start over with --fresh"
        ) from error


class Search:
    """The stages of one search over an open run directory and open boards."""

    def __init__(
        self,
        config: SearchConfig,
        dataset: Dataset,
        board_types: Sequence[str],
        run: RunDir,
        manager: Bench,
        stages: Stages,
    ) -> None:
        self.config, self.dataset, self.run_dir = config, dataset, run
        self.board_types, self.manager, self.stages = tuple(board_types), manager, stages
        self.space = config.space_of(dataset)
        self.train, self.val = as_tensors(dataset.train), as_tensors(dataset.val)
        self.calibration = self.train.images[:CALIBRATION_IMAGES]
        self.scores = self._load_scores()

    def run(self) -> None:
        """All stages; the limits are checked before anything is trained."""
        models = {each: self.latency_model(each) for each in self.board_types}
        budget = self.budget(models)
        net = self.supernet()
        judge, ranked = self.shrink_and_evolve(net, budget)
        finisher = Finisher(
            self.config, self.dataset, net, self.run_dir, self.manager, self.board_types
        )
        steps = self.config.fine_tune_epochs + 1  # and the measurement
        with self.stages.stage("finish", steps) as advance:
            winner = finisher.finish(judge, ranked, advance)
            advance("measured within the limits")
        write_json(self.run_dir.path / "winner.json", winner.to_json(self.config.limits, models))

    def latency_model(self, board_type: str) -> LatencyModel:
        """The calibration of a board type: that of the run, else the user's, else a quick one."""
        path = self.run_dir.path / "state" / f"latency-{board_type}.json"
        if path.is_file():
            with _undamaged(path):
                return LatencyModel.load(path)
        calibrated_model(self.manager, board_type, self.stages).save(path)
        return LatencyModel.load(path)

    def budget(self, models: Mapping[str, LatencyModel]) -> Budget:
        """Costs that rest on measured networks; InfeasibleError where a limit cannot be met."""
        with self.stages.stage("floor", 1) as advance:
            rig = BoardRig(self.manager, self.board_types, lambda a: shape_graph(self.space, a))
            budget = measured_budget(self.space, rig, models, self.config.limits)
            advance("the limits can be met")
        return budget

    def supernet(self) -> Supernet:
        """The trained supernet, from where the run left it."""
        net = Supernet(self.space, self.config.seed)
        epochs = self.config.supernet_epochs(len(self.train))
        start = self._checkpoint("supernet")
        with self.stages.stage("supernet", epochs) as advance:
            for _ in range(start.epochs if start else 0):
                advance("resumed")
            train_supernet(
                net,
                self.train,
                TrainSettings(epochs, random_nets=3),
                self.config.seed,
                lambda epoch: self._after_epoch(epoch, advance),
                start,
            )
        if start is not None and start.epochs >= epochs:
            restore(net, start)
        return net

    def _after_epoch(self, epoch: Epoch, advance: Callable[[str], None]) -> None:
        done = epoch.index + 1
        if done % CHECKPOINT_EPOCHS == 0 or done == epoch.epochs:
            checkpoint = epoch.checkpoint()
            self.run_dir.save("supernet", {"epochs": done}, checkpoint.arrays)
        advance(f"loss {epoch.loss:.3f}")

    def _checkpoint(self, stage: str) -> Checkpoint | None:
        value, arrays = self.run_dir.load(stage), self.run_dir.load_arrays(stage)
        if value is None or arrays is None:
            return None
        with _undamaged(self.run_dir.path / "state" / f"{stage}.json"):
            return Checkpoint(int(value["epochs"]), arrays)

    def shrink_and_evolve(self, net: Supernet, budget: Budget) -> tuple[Judge, list[Arch]]:
        """The judge and all networks, best first, the leading ones measured."""
        config = self.config
        rng = np.random.default_rng([config.seed, 1])
        with self.stages.stage("shrink", 2) as advance:
            rig = BoardRig(self.manager, self.board_types, lambda arch: self._graph(net, arch))
            judge = Judge(budget, config.limits, lambda a: self._score(net, a), rig, config.quota)
            shrunk = progressive_shrinking(judge, self.space, config.shrink, rng, advance)
            self._keep(judge, shrunk)
        with self.stages.stage("evolve", config.evolve.children) as advance:
            ranked = evolve(
                judge,
                shrunk.space,
                shrunk.best,
                config.evolve,
                rng,
                lambda _: advance(f"{len(judge.budget.measured)} measured"),
            )
            self._keep(judge, shrunk)
        return judge, ranked

    def _graph(self, net: Supernet, arch: Arch) -> Graph:
        plain = net.extract(arch, self.calibration)
        images = self.dataset.at(arch.resolution).train.head(CALIBRATION_IMAGES).images
        return quantise(plain, f"net_{arch.id}", images)

    def _score(self, net: Supernet, arch: Arch) -> Score:
        """From the run's memory, or measured on the validation images."""
        if arch.id not in self.scores:
            self.scores[arch.id] = evaluate_subnet(net, arch, self.calibration, self.val)
        return self.scores[arch.id]

    def _keep(self, judge: Judge, shrunk: Shrunk) -> None:
        """What the search has looked at so far, for the report and for the next start."""
        values = {key: [score.accuracy, score.loss] for key, score in self.scores.items()}
        self.run_dir.save("scores", {"scores": values, "space": shrunk.space.to_json()})
        rows = [r for c in judge.candidates() for r in c.rows(self.config.limits)]
        self.run_dir.write_lines("candidates.jsonl", rows)

    def _load_scores(self) -> dict[str, Score]:
        kept = self.run_dir.load("scores")
        if kept is None:
            return {}
        with _undamaged(self.run_dir.path / "state" / "scores.json"):
            scores = kept["scores"].items()
            return {key: Score(float(value[0]), float(value[1])) for key, value in scores}
