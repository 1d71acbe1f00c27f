"""The stages of one measurement: named to whoever watches, timed, and under one deadline."""

import time
from collections.abc import Callable

from farm.errors import AwayError, BenchError
from farm.rack.inventory import Board


class Stages:
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
        """The same error, saying in which stage it came unless that says nothing."""
        what = str(error).removeprefix(f"{self._board.id}: ")
        where = "" if isinstance(error, AwayError) else f"in stage {self._stage}: "
        return type(error)(f"{self._board.id}: {where}{what}", self._board.id)
