"""One image measured on one board: flash, verify, reset, banner, inferences, stack, clock.

Real and virtual boards take the same way. The one difference: the emulated time of a virtual
board is not the host's, so its clock cannot be held against the host's.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

from farm.banner import Banner, ClockSource, check_banner
from farm.board_clock import CLOCK_MARKS, check_clock_hz, checked_clock_hz, spacing_cycles
from farm.errors import BenchError
from farm.image import Image
from farm.inventory import Board
from farm.link import EXCHANGE_S, Link, Run, StackDepth
from farm.mcus import Mcu
from farm.measure import Measurement, latency_ms, median_cycles, spread_percent
from farm.probe import open_probe
from farm.serial_port import open_port
from farm.virtual import rack

SPREAD_LIMIT_PERCENT = 0.5
INTACT_LIMIT_BYTES = 64  # fewer, and something may have jumped over the paint
WARM_RUNS = 1  # behind the cold inference, which warms the caches too
BANNER_S = 10.0
CLOCK_STAGE_S = 10.0
VIRTUAL_PATIENCE = 4  # a virtual board on a busy machine takes its time; a dead one hangs up


@dataclass(frozen=True)
class _Runs:
    """Everything that the harness was asked for on one input."""

    cold: Run
    samples: tuple[int, ...]
    layer_cycles: tuple[int, ...]
    stacks: tuple[StackDepth, StackDepth]


class _Stages:
    """Names each stage to whoever watches and divides one deadline among them."""

    def __init__(self, board: Board, deadline_s: float, on_stage: Callable[[str], None]) -> None:
        self._board, self._on_stage = board, on_stage
        self._deadline_s = deadline_s
        self._started_s = time.monotonic()
        self.seconds: dict[str, float] = {}
        self._stage, self._stage_started_s = "", self._started_s

    def enter(self, stage: str) -> float:
        """Begin a stage; the seconds left for it, BenchError when there are none."""
        now_s = time.monotonic()
        if self._stage:
            self.seconds[f"{self._stage}_s"] = round(now_s - self._stage_started_s, 4)
        left_s = self._deadline_s - (now_s - self._started_s)
        if left_s <= 0:
            raise BenchError(
                f"its {self._deadline_s:.1f} s were over after the stage {self._stage}, before "
                f"{stage}; allow more time",
                self._board.id,
            )
        self._stage, self._stage_started_s = stage, now_s
        self._on_stage(stage)
        return left_s

    def named(self, error: BenchError) -> BenchError:
        """The same error, saying in which stage it came."""
        return BenchError(f"{self._board.id}: in stage {self._stage}: {error}", self._board.id)


def measure_on_board(
    board: Board,
    mcu: Mcu,
    image: Image,
    job_input: bytes,
    expected: bytes,
    repeats: int,
    deadline_s: float,
    on_stage: Callable[[str], None] = lambda _: None,
) -> Measurement:
    """The image's cost on the board for one input, `repeats` (1..61) timed inferences.

    job_input and expected are the bytes of the network's inputs and outputs. A wrong output is a
    result (status), not an error. Raises BenchError, naming board and stage, when the bench
    fails or `deadline_s` is over.
    """
    stages = _Stages(board, deadline_s, on_stage)
    try:
        _program(board, mcu, image, stages)
        with open_port(board, mcu.uart.baud) as port:
            patience = VIRTUAL_PATIENCE if board.virtual else 1
            link = Link(port, board.id, EXCHANGE_S * patience)
            banner = link.banner(min(BANNER_S * patience, stages.enter("banner")))
            check_banner(board, mcu, image, banner)
            _check_sizes(board, banner, job_input, expected)
            runs = _run(link, banner, job_input, repeats, stages)
            left_s = min(CLOCK_STAGE_S * patience, stages.enter("clock"))
            marks = link.clock(CLOCK_MARKS, spacing_cycles(board, mcu), left_s)
            clock_hz = checked_clock_hz(board, mcu, marks)
            daemon = _daemon(board, mcu)
        stages.enter("result")
        facts = _provenance(board, mcu, image, banner, runs, link) | stages.seconds
        if daemon and daemon.faults:
            facts["faults"] = "; ".join(daemon.faults)
        found = _measurement(board, mcu, image, job_input, expected, runs, clock_hz, facts)
        if found.status == "wrong_output":
            _check_flash_again(board, mcu, image, stages)
        return replace(found, timing_model=daemon.timing_model) if daemon else found
    except BenchError as error:
        raise stages.named(error) from error


def _program(board: Board, mcu: Mcu, image: Image, stages: _Stages) -> None:
    """Flash, verify, reset; then let go of the probe, so that nothing halts the timed core."""
    stages.enter("connect")
    with open_probe(board, mcu) as probe:
        stages.enter("flash")
        probe.flash(image)
        stages.enter("verify")
        probe.verify(image)
        stages.enter("reset")
        probe.reset()


def _check_flash_again(board: Board, mcu: Mcu, image: Image, stages: _Stages) -> None:
    """BenchError if flash has changed since it was verified: then the network is not to blame."""
    stages.enter("verify again")
    with open_probe(board, mcu) as probe:
        probe.verify(image)


def _run(link: Link, banner: Banner, job_input: bytes, repeats: int, stages: _Stages) -> _Runs:
    stages.enter("load")
    link.load(job_input)
    cold = link.run(banner.output_bytes, stages.enter("cold"), cold=True)
    samples = link.time(repeats, stages.enter("time"), warm=WARM_RUNS)
    layer_cycles = link.trace(banner.layer_count, stages.enter("trace"))
    return _Runs(cold, samples, layer_cycles, link.stack(stages.enter("stack")))


def _check_sizes(board: Board, banner: Banner, job_input: bytes, expected: bytes) -> None:
    sizes = (len(job_input), len(expected))
    if sizes != (banner.input_bytes, banner.output_bytes):
        raise BenchError(
            f"the job has {sizes[0]} input and {sizes[1]} output bytes, its network takes "
            f"{banner.input_bytes} and gives {banner.output_bytes}",
            board.id,
        )


def _provenance(
    board: Board, mcu: Mcu, image: Image, banner: Banner, runs: _Runs, link: Link
) -> dict[str, str | int | float]:
    flags = [f"spread over {SPREAD_LIMIT_PERCENT} %"] if _is_spread(runs.samples) else []
    if banner.clock_source == ClockSource.INTERNAL:
        flags.append("internal oscillator")
    registers = zip(mcu.checks, banner.checks, strict=True)
    return {
        "compiler": image.compiler,
        "compiler_flags": " ".join(image.flags),
        "pyocd": version("pyocd"),
        "tinyrack": version("tinyrack"),
        "probe": board.probe,
        "mcu": mcu.name,
        "unique_id": banner.unique_id,
        "cpuid": f"{banner.cpuid:#010x}",
        "clock_source": banner.clock_source.name.lower(),
        "timer_overhead_cycles": banner.overhead_cycles,
        "warm_runs": WARM_RUNS,
        "stack_reserved_bytes": banner.stack_bytes,
        "bench_ram_bytes": image.bench_ram_bytes,
        "stack_intact_bytes": min(stack.intact_bytes for stack in runs.stacks),
        "console_retries": link.retries,
        "damaged_frames": link.damaged_frames,
        "flags": ", ".join(flags),
        **{check.name: f"{value:#010x}" for check, value in registers},
    }


def _is_spread(samples: Sequence[int]) -> bool:
    return spread_percent(samples) > SPREAD_LIMIT_PERCENT


def _measurement(
    board: Board,
    mcu: Mcu,
    image: Image,
    job_input: bytes,
    expected: bytes,
    runs: _Runs,
    clock_measured_hz: float | None,
    provenance: dict[str, str | int | float],
) -> Measurement:
    stack_bytes = _stack_bytes(board, runs.stacks)
    output = runs.cold.output
    untimed = Measurement(
        name=image.name,
        status="wrong_output",
        board=board.id,
        board_type=board.type.name,
        virtual=board.virtual,
        image_sha256=image.image_sha256,
        image_key=image.image_key,
        input_sha256=hashlib.sha256(job_input).hexdigest(),
        expected_sha256=hashlib.sha256(expected).hexdigest(),
        output_sha256=hashlib.sha256(output).hexdigest(),
        clock_hz=mcu.clock_hz,
        clock_measured_hz=clock_measured_hz,
        arena_bytes=image.arena_bytes,
        static_ram_bytes=image.static_ram_bytes,
        stack_bytes=stack_bytes,
        peak_sram_bytes=image.static_ram_bytes + stack_bytes,
        flash_bytes=image.flash_bytes,
        macs=image.macs,
        provenance=provenance,
    )
    if output != expected:
        return replace(untimed, message=_difference(output, expected))
    return _timed(untimed, runs)


def _daemon(board: Board, mcu: Mcu) -> rack.DaemonStatus | None:
    """What a virtual board tells of itself; None for a real one.

    Without the name of its cycle table, its cycles could pass for silicon. Its time is not the
    host's, so its clock is what its registers and oscillators give. BenchError when that is
    2 % or more off.
    """
    if not board.virtual:
        return None
    found = rack.find(board.probe_uid)
    if found is None or not found.alive:
        raise BenchError(
            "its daemon went away before it named its cycle table; measure again", board.id
        )
    check_clock_hz(board, mcu, found.core_hz)
    return found


def _timed(untimed: Measurement, runs: _Runs) -> Measurement:
    cycles = median_cycles(runs.samples)
    return replace(
        untimed,
        status="ok",
        message=str(untimed.provenance["flags"]),
        output_ok=True,
        samples=runs.samples,
        cold_cycles=runs.cold.cycles,
        cycles=cycles,
        layer_cycles=runs.layer_cycles,
        latency_ms=latency_ms(cycles, untimed.clock_hz),
        cycles_per_mac=cycles / max(1, untimed.macs),
        spread_percent=spread_percent(runs.samples),
    )


def _stack_bytes(board: Board, stacks: Sequence[StackDepth]) -> int:
    intact_bytes = min(stack.intact_bytes for stack in stacks)
    if intact_bytes < INTACT_LIMIT_BYTES:
        raise BenchError(
            f"only {intact_bytes} bytes of its reserved stack stayed untouched, so the depth is "
            "unknown; raise stack_bytes of the MCU",
            board.id,
        )
    return max(stack.used_bytes for stack in stacks)


def _difference(output: bytes, expected: bytes) -> str:
    wrong = [i for i, pair in enumerate(zip(output, expected, strict=True)) if len(set(pair)) > 1]
    signed = [
        int.from_bytes(data[wrong[0] : wrong[0] + 1], signed=True) for data in (output, expected)
    ]
    return (
        f"{len(wrong)} of {len(expected)} output bytes are wrong, the first at {wrong[0]}: "
        f"{signed[0]} instead of {signed[1]}"
    )
