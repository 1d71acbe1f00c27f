"""The last stage: the best networks are fine-tuned, quantised and measured until one holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.cmodel import CModel
from engine.graph import Graph
from farm.job import Job
from farm.measure import Measurement
from nas.budget import CycleModel
from nas.candidate import Cost, Limits
from nas.config import SearchConfig
from nas.data import Dataset
from nas.errors import NasError
from nas.export import export
from nas.judge import Judge
from nas.lower import int8_accuracy, quantise
from nas.plain import PlainNet
from nas.rig import Bench, measurable
from nas.run_dir import RunDir
from nas.space import Arch
from nas.supernet import Supernet
from nas.train import (
    Checkpoint,
    Epoch,
    TrainSettings,
    as_tensors,
    evaluate,
    fine_tune,
    restore,
)

CALIBRATION_IMAGES = 512
TRIES = 3
FINE_TUNE_RATE = 0.05

Advance = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Winner:
    """A network that holds what was asked, as measured."""

    arch: Arch
    graph: Graph
    model: CModel
    float_accuracy: float  # on the test images, as is int8_accuracy
    int8_accuracy: float
    results: tuple[Measurement, ...]
    promised: tuple[Cost, ...]

    def to_json(self, limits: Limits, models: Mapping[str, CycleModel]) -> dict[str, object]:
        """The content of winner.json."""
        return {
            "arch": self.arch.to_json(),
            "id": self.arch.id,
            "limits": limits.to_json(),
            "float_accuracy": self.float_accuracy,
            "int8_accuracy": self.int8_accuracy,
            "results": [m.to_json() for m in self.results],
            "promised": {cost.board_type: _promise(cost) for cost in self.promised},
            "layers": [row for m in self.results for row in self._layers(m, models[m.board_type])],
        }

    def _layers(self, m: Measurement, model: CycleModel) -> list[dict[str, object]]:
        """Layer by layer: cycles as the calibrated model foresaw them, and as measured."""
        layers = self.model.layers
        foreseen = model.layer_cycles(layers)
        return [
            {
                "board_type": m.board_type,
                "name": layer.name,
                "kind": layer.kind,
                "kernel": layer.kernel,
                "macs": layer.macs,
                "predicted_cycles": predicted,
                "measured_cycles": measured,
            }
            for layer, predicted, measured in zip(layers, foreseen, m.layer_cycles, strict=True)
        ]


def _promise(cost: Cost) -> dict[str, float]:
    """What was foreseen before a board was asked."""
    latency = cost.predicted["latency_ms"]
    return {
        "peak_sram_bytes": cost.predicted["sram_bytes"].value,
        "flash_bytes": cost.predicted["flash_bytes"].value,
        "latency_ms": latency.value,
        "upper_latency_ms": min(latency.high, 1e12),
        "cycles": cost.cycles.value,
    }


@dataclass(frozen=True, eq=False)
class Finisher:
    """What finishing a network needs."""

    config: SearchConfig
    dataset: Dataset
    net: Supernet
    run_dir: RunDir
    manager: Bench
    board_types: tuple[str, ...]

    def finish(self, judge: Judge, ranked: Sequence[Arch], advance: Advance) -> Winner:
        """The best network that keeps within the limits and stays accurate in int8.

        Raises NasError (exit code 1) if the first few do not: a bounded search may end so.
        """
        broken = []
        for arch in judge.feasible(ranked)[:TRIES]:
            promised = judge.promises.get(arch) or judge.costs(arch)
            plain, graph = self._trained(arch, advance)
            trouble = self._accuracy_trouble(plain, graph)
            if not trouble:
                winner = self._measured(arch, plain, graph, promised)
                trouble = over_limits(winner.results, self.config.limits)
                if not trouble:
                    return winner
            broken.append(f"{arch.id}: {trouble}")
        error = NasError(f"no network kept its promises ({'; '.join(broken) or 'none was found'})")
        error.exit_code = 1
        raise error

    def _trained(self, arch: Arch, advance: Advance) -> tuple[PlainNet, Graph]:
        """Fine-tuned under the eyes of the largest network, or as the run kept it."""
        data = self.dataset.at(arch.resolution)
        train, stage = as_tensors(data.train), f"finished-{arch.id}"
        plain = self.net.extract(arch, as_tensors(data.train.head(CALIBRATION_IMAGES)).images)
        arrays = self.run_dir.load_arrays(stage)
        if arrays is not None:
            restore(plain, Checkpoint(0, arrays))
            plain.recalibrate(train.images)
        else:
            self._fine_tune(plain, arch, stage, advance)
        images = data.train.head(CALIBRATION_IMAGES).images
        return plain, quantise(plain, f"net_{arch.id}", images)

    def _fine_tune(self, plain: PlainNet, arch: Arch, stage: str, advance: Advance) -> None:
        last: list[Epoch] = []

        def after(epoch: Epoch) -> None:
            last[:] = [epoch]
            advance(f"loss {epoch.loss:.3f}")

        space = self.net.space
        train = as_tensors(self.dataset.at(arch.resolution).train)
        statistics = self.net.recalibrate(train.images, space.max_arch)
        epochs = self.config.fine_tune_epochs
        fine_tune(
            plain,
            lambda x: self.net(x, space.max_arch, statistics),
            train,
            TrainSettings(epochs, learning_rate=FINE_TUNE_RATE),
            self.config.seed,
            after,
        )
        self.run_dir.save(stage, {"epochs": epochs}, last[0].checkpoint().arrays)

    def _accuracy_trouble(self, plain: PlainNet, graph: Graph) -> str:
        """Judged on val: the test images choose nothing."""
        val = self.dataset.at(plain.specs[0].in_size).val
        lost = evaluate(plain, as_tensors(val)).accuracy - int8_accuracy(graph, val)
        points = 100 * lost
        if points <= self.config.accuracy_points:
            return ""
        return f"loses {points:.1f} points of accuracy in int8"

    def _measured(
        self, arch: Arch, plain: PlainNet, graph: Graph, promised: tuple[Cost, ...]
    ) -> Winner:
        test = self.dataset.at(arch.resolution).test
        model, (x, expected) = measurable(graph)
        jobs = [
            Job(model.name, model, each, x, expected, purpose="final") for each in self.board_types
        ]
        results = tuple(self.manager.measure(jobs))
        if not over_limits(results, self.config.limits):
            export(graph, self.run_dir.path)
        return Winner(
            arch,
            graph,
            model,
            evaluate(plain, as_tensors(test)).accuracy,
            int8_accuracy(graph, test),
            results,
            promised,
        )


def over_limits(results: Sequence[Measurement], limits: Limits) -> str:
    """Which measurement breaks which limit, in words; empty if none does."""
    for m in results:
        if m.status != "ok":
            return f"{m.status} on {m.board or m.board_type}: {m.message}"
        taken = {
            "sram_bytes": m.peak_sram_bytes,
            "flash_bytes": m.flash_bytes,
            "latency_ms": m.latency_ms,
        }
        for name, limit in limits.items():
            if taken[name] > limit:
                return f"{name} is {taken[name]:g} on {m.board}, over {limit:g}"
    return ""
