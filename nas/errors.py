"""What can go wrong in a search, by who has to act."""

from __future__ import annotations


class NasError(Exception):
    """The root: one sentence for the user and the exit code that goes with it."""

    exit_code = 2


class DataError(NasError):
    """A data set is missing or malformed; the message says how to get or mend it."""


class SpaceError(NasError):
    """An architecture or a search space is malformed, or the one is not in the other."""


class RunError(NasError):
    """A run directory belongs to another configuration, or was damaged."""


class InfeasibleError(NasError):
    """No network of the space keeps within a limit: a result, not a fault.

    `smallest` is the least value that the space reaches, in the unit of `limit`; both are None
    where not even that was measured, because nothing of the space fits the board.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        constraint: str,
        limit: float | None = None,
        smallest: float | None = None,
    ) -> None:
        self.constraint = constraint
        self.limit = limit
        self.smallest = smallest
        super().__init__(message)


def install_advice(what: str, error: ModuleNotFoundError) -> str:
    """The sentence for `what` that cannot run because the search's packages are not installed."""
    return f'{what} needs {error.name}: python -m pip install "tinyrack[nas]"'
