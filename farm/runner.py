"""What a worker does with one job on a real or a virtual board."""

import time
from collections.abc import Callable

from farm.bench import measure_on_board
from farm.errors import ImageError
from farm.image import build_image
from farm.job import Job
from farm.mcus import load_mcu
from farm.measure import Measurement
from farm.rack.inventory import Board
from farm.runs import Trial
from farm.virtual.rack import ensure_up


def run_job(
    board: Board, job: Job, deadline_s: float, on_stage: Callable[[str], None]
) -> Measurement:
    """Build the image, flash it and measure it; an image that is too big is a result."""
    deadline = time.monotonic() + deadline_s
    mcu = load_mcu(board.type.mcu)
    on_stage("build")
    try:
        image = build_image(job.model, mcu, board.type.name, job.compiler)
    except ImageError as error:
        if not error.too_big:
            raise
        return _too_big(board, job, error)
    if board.virtual:
        on_stage("power")
        ensure_up(board)
    left_s = deadline - time.monotonic()
    trial = Trial(job.input, job.expected, job.repeats, job.purpose, job.further)
    return measure_on_board(board, mcu, image, trial, left_s, on_stage)


def _too_big(board: Board, job: Job, error: ImageError) -> Measurement:
    return Measurement(
        name=job.name,
        status="too_big",
        message=str(error),
        board=board.id,
        board_type=board.type.name,
        virtual=board.virtual,
        flash_bytes=error.flash_bytes,
        static_ram_bytes=error.static_ram_bytes,
        peak_sram_bytes=error.static_ram_bytes,
    )
