"""What can go wrong in a search, by who has to act."""

from __future__ import annotations

from dataclasses import dataclass


class NasError(Exception):
    """The root: one sentence for the user and the exit code that goes with it."""

    exit_code = 2


class DataError(NasError):
    """A data set is missing or malformed; the message says how to get or mend it."""


class SpaceError(NasError):
    """An architecture or a search space is malformed, or the one is not in the other."""


class RunError(NasError):
    """A run directory belongs to another configuration, or was damaged."""


@dataclass(frozen=True)
class BrokenLimit:
    """A limit, and the least that the space reaches on a board type, in the same unit."""

    constraint: str  # as in `nas.candidate.Limits`
    board_type: str
    limit: float
    smallest: float
    virtual: bool = False  # on an emulated board: a latency is then of its cycle model


class InfeasibleError(NasError):
    """No network of the space keeps within a limit: a result, not a fault.

    `broken` names every limit that the smallest network breaks; it is empty where not even that
    one was measured, because nothing of the space fits the board.
    """

    exit_code = 1

    def __init__(self, message: str, broken: tuple[BrokenLimit, ...] = ()) -> None:
        self.broken = broken
        super().__init__(message)


def install_advice(what: str, error: ModuleNotFoundError) -> str:
    """The sentence for `what` that cannot run because the search's packages are not installed."""
    return f'{what} needs {error.name}: python -m pip install "tinyrack[nas]"'
