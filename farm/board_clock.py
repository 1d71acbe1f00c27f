"""A board's core clock, held against the host's by marks on the console."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from farm.errors import BenchError, ClockError
from farm.mcus import Mcu
from farm.rack.inventory import Board

CLOCK_LIMIT_PERCENT = 2.0
CLOCK_MARKS = 5
VIRTUAL_SPACING_CYCLES = 2_000


@dataclass(frozen=True)
class ClockMark:
    """The harness's cycle count (modulo 2^32) when it sent a mark, and the host's time of it."""

    cycles: int
    host_s: float


def spacing_cycles(board: Board, mcu: Mcu, window_s: float) -> int:
    """Cycles from one of the CLOCK_MARKS marks to the next; few where time is emulated."""
    if board.virtual:
        return VIRTUAL_SPACING_CYCLES
    return int(mcu.clock_hz * window_s / (CLOCK_MARKS - 1))


def checked_clock_hz(
    board: Board, mcu: Mcu, marks: Sequence[ClockMark], spacing: int
) -> float | None:
    """The clock that the marks show, sent every `spacing` cycles; None on a virtual board.

    Raises BenchError when the counter does not count or a clock is more than 2 % off.
    """
    steps = [step for step, _ in _steps(marks)]
    if min(steps) < spacing // 2:
        raise BenchError(f"its cycle counter stands still or jumps: {steps}", board.id)
    if board.virtual:
        return None
    measured_hz = clock_from_marks(marks)
    check_clock_hz(board, mcu, measured_hz)
    return measured_hz


def check_clock_hz(board: Board, mcu: Mcu, measured_hz: float) -> None:
    """Raise ClockError when a clock is more than 2 % off."""
    off_percent = abs(measured_hz / mcu.clock_hz - 1) * 100
    if off_percent > CLOCK_LIMIT_PERCENT:
        raise ClockError(
            f"its clock measures {measured_hz / 1e6:.2f} MHz, {off_percent:.1f} % off the "
            f"{mcu.clock_hz / 1e6:.0f} MHz it should have; check the clock source",
            board.id,
        )


def clock_from_marks(marks: Sequence[ClockMark]) -> float:
    """Cycles a second: the least-squares slope through marks less than a counter wrap apart."""
    cycles, seconds = [0.0], [0.0]
    for step, took_s in _steps(marks):
        cycles.append(cycles[-1] + step)
        seconds.append(seconds[-1] + took_s)
    mean_cycles, mean_s = sum(cycles) / len(cycles), sum(seconds) / len(seconds)
    spread = sum((s - mean_s) ** 2 for s in seconds)
    together = sum((c - mean_cycles) * (s - mean_s) for c, s in zip(cycles, seconds, strict=True))
    return together / spread if spread else float("inf")


def _steps(marks: Sequence[ClockMark]) -> list[tuple[int, float]]:
    """(cycles, seconds) from each mark to the next; the counter has 32 bits."""
    pairs = itertools.pairwise(marks)
    return [((b.cycles - a.cycles) % (1 << 32), b.host_s - a.host_s) for a, b in pairs]
