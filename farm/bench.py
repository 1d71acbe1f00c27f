"""One image measured on one board: flash, verify, reset, banner, inferences, stack, clock.

Real and virtual boards take the same way. The one difference: the emulated time of a virtual
board is not the host's, so its clock cannot be held against the host's.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from farm import bench_facts
from farm.banner import Banner, check_banner
from farm.board_clock import CLOCK_MARKS, check_clock_hz, checked_clock_hz, spacing_cycles
from farm.errors import BenchError
from farm.image import Image
from farm.link import EXCHANGE_S, Link, StackDepth
from farm.mcus import Mcu
from farm.measure import Measurement, Scalar, latency_ms
from farm.probe import Flashed, open_probe
from farm.rack.inventory import Board
from farm.recipe import RECIPES
from farm.runs import Runs, Trial, run
from farm.samples import iqr, median, outliers, spread_percent
from farm.serial_port import open_port
from farm.stages import Stages
from farm.virtual import rack

INTACT_LIMIT_BYTES = 64  # fewer, and something may have jumped over the paint
BANNER_S = 10.0
CLOCK_STAGE_S = 10.0
VIRTUAL_PATIENCE = 4  # a virtual board on a busy machine takes its time; a dead one hangs up


def measure_on_board(
    board: Board,
    mcu: Mcu,
    image: Image,
    trial: Trial,
    deadline_s: float,
    on_stage: Callable[[str], None] = lambda _: None,
) -> Measurement:
    """The image's cost on the board.

    A wrong output is a result (status), not an error. Raises BenchError, naming board and stage,
    when the bench fails or `deadline_s` is over.
    """
    stages = Stages(board, deadline_s, on_stage)
    try:
        flashed, said = _program(board, mcu, image, stages)
        stages.enter("console")
        with open_port(board, mcu.uart.baud) as port:
            patience = VIRTUAL_PATIENCE if board.virtual else 1
            link = Link(port, board.id, EXCHANGE_S * patience)
            banner = link.banner(min(BANNER_S * patience, stages.enter("banner")))
            check_banner(board, mcu, image, banner)
            for given in ((trial.input, trial.expected), *trial.further):
                _check_sizes(board, banner, *given)
            runs = run(board, mcu, link, banner, trial, stages)
            window_s = RECIPES[trial.purpose].clock_window_s
            left_s = min(CLOCK_STAGE_S * patience + window_s, stages.enter("clock"))
            spacing = spacing_cycles(board, mcu, window_s)
            clock_hz = checked_clock_hz(
                board, mcu, link.clock(CLOCK_MARKS, spacing, left_s), spacing
            )
            daemon = _daemon(board, mcu)
        stages.enter("result")
        facts = bench_facts.of_runs(mcu, banner, runs, trial.purpose) | stages.seconds | said
        facts |= bench_facts.of_bench(board, image, link)
        facts |= bench_facts.of_flash(board, mcu, flashed)
        if daemon and daemon.faults:
            facts["faults"] = "; ".join(daemon.faults)
        found = _measurement(board, mcu, image, trial, runs, clock_hz, facts)
        doubt = runs.contradiction()
        if found.status == "wrong_output" or doubt or RECIPES[trial.purpose].verified_again:
            _check_flash_again(board, mcu, image, stages)
        if doubt:
            raise BenchError(doubt, board.id)
        return replace(found, timing_model=daemon.timing_model) if daemon else found
    except BenchError as error:
        raise stages.named(error) from error


def _program(
    board: Board, mcu: Mcu, image: Image, stages: Stages
) -> tuple[Flashed, dict[str, Scalar]]:
    """Flash, verify, reset; then let go of the probe, so that nothing halts the timed core.

    What was programmed, and what probe and chip say of themselves.
    """
    stages.enter("connect")
    with open_probe(board, mcu) as probe:
        said: dict[str, Scalar] = {**probe.facts()}
        stages.enter("flash")
        flashed = probe.flash(image)
        stages.enter("verify")
        probe.verify(image)
        stages.enter("reset")
        probe.reset()
    return flashed, said


def _check_flash_again(board: Board, mcu: Mcu, image: Image, stages: Stages) -> None:
    """BenchError if flash has changed since it was verified: then no figure is the network's."""
    stages.enter("verify again")
    with open_probe(board, mcu) as probe:
        probe.verify(image)


def _check_sizes(board: Board, banner: Banner, job_input: bytes, expected: bytes) -> None:
    sizes = (len(job_input), len(expected))
    if sizes != (banner.input_bytes, banner.output_bytes):
        raise BenchError(
            f"the job has {sizes[0]} input and {sizes[1]} output bytes, its network takes "
            f"{banner.input_bytes} and gives {banner.output_bytes}",
            board.id,
        )


def _measurement(
    board: Board,
    mcu: Mcu,
    image: Image,
    trial: Trial,
    runs: Runs,
    clock_measured_hz: float | None,
    provenance: dict[str, Scalar],
) -> Measurement:
    stack_bytes = _stack_bytes(board, runs.stacks)
    outputs = (runs.cold.output, *runs.further_outputs)
    untimed = Measurement(
        name=image.name,
        status="wrong_output",
        board=board.id,
        board_type=board.type.name,
        virtual=board.virtual,
        image_sha256=image.image_sha256,
        image_key=image.image_key,
        input_sha256=trial.input_sha256,
        expected_sha256=trial.expected_sha256,
        output_sha256=hashlib.sha256(b"".join(outputs)).hexdigest(),
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
    for number, (output, expected) in enumerate(zip(outputs, trial.outputs, strict=True)):
        if output != expected:
            which = f"input {number + 1} of {len(outputs)}: " if trial.further else ""
            return replace(untimed, message=which + _difference(output, expected))
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


def _timed(untimed: Measurement, runs: Runs) -> Measurement:
    cycles = median(runs.samples)
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
        iqr_cycles=iqr(runs.samples),
        outliers=outliers(runs.samples),
        input_cycles=runs.input_cycles,
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
