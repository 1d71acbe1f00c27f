"""One golden run on a board that this process may use."""

from collections.abc import Callable

from farm.errors import BenchError
from farm.golden.baseline import baseline
from farm.golden.image import golden_job
from farm.golden.verdict import judge
from farm.measure import Measurement
from farm.rack.board import Board
from farm.runner import run_job


def run_golden(
    board: Board, deadline_s: float, on_stage: Callable[[str], None] = lambda _: None
) -> Measurement:
    """Measure the golden image; BenchError when the bench fails."""
    return run_job(board, golden_job(board.type.name), deadline_s, on_stage)


def check(board: Board, deadline_s: float) -> str:
    """What was seen; BenchError when the board is not in order, by its table alone."""
    m = run_golden(board, deadline_s)
    verdict = judge(m, baseline(m, ()))
    if not verdict.ok:
        raise BenchError(verdict.why, board.id)
    return verdict.why
