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

    `smallest` is the least value that the space reaches, in the unit of `limit`.
    """

    exit_code = 1

    def __init__(
        self, constraint: str, limit: float, smallest: float, unit: str, board_type: str
    ) -> None:
        self.constraint = constraint
        self.limit = limit
        self.smallest = smallest
        self.unit = unit
        self.board_type = board_type
        super().__init__(
            f"{constraint} cannot be met on {board_type}: the limit is {limit:g} {unit}, but the "
            f"smallest network of the space needs {smallest:g} {unit}; raise the limit"
        )
