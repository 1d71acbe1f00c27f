"""What a harness is asked for on one network: cold, traced, warm and painted inferences."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from farm import samples as judge
from farm.banner import Banner
from farm.errors import BenchError
from farm.link import WORDS_LIMIT, Link, Run, StackDepth
from farm.mcus import Mcu
from farm.rack.inventory import Board
from farm.recipe import RECIPES
from farm.stages import Stages

WARM_RUNS = 1  # behind the cold inference, which warms the caches too
MOST_WARM_RUNS = 16  # the harness runs no more at once
MOST_SERIES = 40
FURTHER_SAMPLES = 3
FURTHER_PERCENT = 0.5
MOST_LAYERS = 2  # a whole inference takes no longer than so many times its layers together,
APART_CYCLES = 5_000  # and what no layer counts


@dataclass(frozen=True)
class Trial:
    """What is to be measured: bytes of inputs and of the outputs that the reference gives.

    samples: timed inferences asked for (1..61); purpose: of a row in farm.recipe;
    further: more inputs with their outputs, to see whether the cycles depend on the data.
    """

    input: bytes
    expected: bytes
    samples: int
    purpose: str = "search"
    further: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def outputs(self) -> tuple[bytes, ...]:
        """Those to expect, of all inputs."""
        return (self.expected, *(expected for _, expected in self.further))

    @property
    def input_sha256(self) -> str:
        """SHA-256 of the bytes of all inputs."""
        inputs = (self.input, *(data for data, _ in self.further))
        return hashlib.sha256(b"".join(inputs)).hexdigest()

    @property
    def expected_sha256(self) -> str:
        """SHA-256 of the bytes of all outputs to expect."""
        return hashlib.sha256(b"".join(self.outputs)).hexdigest()


@dataclass(frozen=True)
class Runs:
    """Everything that the harness gave.

    warm_runs: before the first sample; unsettled: samples of series before which the board had not
    warmed up; further_outputs, input_cycles: of further inputs, the cycles with the first input's.
    """

    cold: Run
    samples: tuple[int, ...]
    warm_runs: int
    unsettled: tuple[int, ...]
    layer_cycles: tuple[int, ...]
    stacks: tuple[StackDepth, StackDepth]
    further_outputs: tuple[bytes, ...]
    input_cycles: tuple[int, ...]

    def contradiction(self) -> str:
        """What is wrong when inferences take much longer than their layers together; else ""."""
        whole, layers = judge.median(self.samples), sum(self.layer_cycles)
        if whole <= MOST_LAYERS * layers + APART_CYCLES:
            return ""
        return (
            f"its inferences take {whole} cycles and their layers {layers} together; its code or "
            "its cycle counter has changed, measure again"
        )


def run(board: Board, mcu: Mcu, link: Link, banner: Banner, trial: Trial, stages: Stages) -> Runs:
    """All of a trial's inferences; BenchError when the board or its counter cannot be believed.

    The cycle counter has 32 bits; whole inferences are unwrapped by the sum of their layers.
    """
    stages.enter("load")
    link.load(trial.input)
    cold = link.run(banner.output_bytes, stages.enter("cold"), cold=True)
    layer_cycles = link.trace(banner.layer_count, stages.enter("trace"))
    near = sum(layer_cycles)
    watch = _Watch(board, mcu, link, near)
    samples, warm_runs, unsettled = _samples(watch, trial, stages.enter("time"))
    stacks = link.stack(stages.enter("stack"))
    outputs, medians = _further(watch, banner, trial, stages)
    return Runs(
        cold=Run(judge.unwrapped(cold.cycles, near), cold.output),
        samples=samples,
        warm_runs=warm_runs,
        unsettled=unsettled,
        layer_cycles=layer_cycles,
        stacks=stacks,
        further_outputs=outputs,
        input_cycles=(judge.median(samples), *medians) if medians else (),
    )


def depends_on_data(runs: Runs) -> bool:
    """Whether other inputs take 0.5 % more or fewer cycles."""
    cycles = runs.input_cycles
    return bool(cycles) and (max(cycles) - min(cycles)) * 100 > FURTHER_PERCENT * min(cycles)


@dataclass(frozen=True)
class _Watch:
    """Times series of inferences and holds them against the host's clock."""

    board: Board
    mcu: Mcu
    link: Link
    near: int

    def series(self, count: int, warm: int, left_s: float) -> tuple[int, ...]:
        """Cycles of `count` inferences, unwrapped."""
        if left_s <= 0:
            raise BenchError("its time was over between two series; allow more", self.board.id)
        began_s = time.monotonic()
        words = self.link.time(count, left_s, warm=warm)
        took_s = time.monotonic() - began_s
        found = tuple(judge.unwrapped(word, self.near) for word in words)
        self._check(found, warm, took_s)
        return found

    def _check(self, found: Sequence[int], warm: int, took_s: float) -> None:
        """A virtual board's time is not the host's, and its layers are short."""
        wrap_s = judge.WRAP / self.mcu.clock_hz
        counted_s = sum(found) / self.mcu.clock_hz * (len(found) + warm) / len(found)
        if not self.board.virtual and took_s - counted_s > wrap_s / 2 * len(found):
            raise BenchError(
                f"{len(found)} inferences took {took_s:.1f} s, {counted_s:.1f} s by its cycle "
                f"counter: that wraps every {wrap_s:.1f} s, and more than once in one layer",
                self.board.id,
            )


def _samples(
    watch: _Watch, trial: Trial, left_s: float
) -> tuple[tuple[int, ...], int, tuple[int, ...]]:
    """Samples until there are enough, warm runs before them, and those of series too cold."""
    recipe, ends_s = RECIPES[trial.purpose], time.monotonic() + left_s
    count = min(WORDS_LIMIT, max(trial.samples, recipe.samples))
    warm = WARM_RUNS
    kept: tuple[int, ...] = ()
    unsettled: tuple[int, ...] = ()
    for _ in range(MOST_SERIES):
        found = watch.series(count, warm, ends_s - time.monotonic())
        if not kept and not judge.is_steady(found) and warm < MOST_WARM_RUNS:
            unsettled += found
            warm = min(MOST_WARM_RUNS, 4 * warm)
            continue
        kept += found
        hurry = watch.board.virtual or not recipe.on_device_s
        enough = recipe.is_enough(kept, trial.samples, 0 if hurry else watch.mcu.clock_hz)
        if enough and not (judge.scatter(kept) and len(kept) == len(found)):
            break
    if judge.scatter(kept):
        raise BenchError(
            f"{len(judge.outliers(kept))} of {len(kept)} samples are far from their median of "
            f"{judge.median(kept)} cycles ({min(kept)} to {max(kept)}); something else runs on it",
            watch.board.id,
        )
    return kept, warm, unsettled


def _further(
    watch: _Watch, banner: Banner, trial: Trial, stages: Stages
) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
    """Outputs and median cycles of the further inputs."""
    outputs, medians = [], []
    for data, _ in trial.further:
        left_s = stages.enter("further input")
        watch.link.load(data)
        outputs.append(watch.link.run(banner.output_bytes, left_s, cold=False).output)
        medians.append(judge.median(watch.series(FURTHER_SAMPLES, WARM_RUNS, left_s)))
    return tuple(outputs), tuple(medians)
