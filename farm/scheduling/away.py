"""Boards in service that cannot be used just now: why, and what becomes of jobs that wait for them.

A probe that is not plugged in, a console that another program has open, a board that somebody else
holds, a database that cannot be written: none is a sick board, so none costs a rung of the ladder.
The driver of such a board looks again, at a bounded pace, while there is work for it.
"""

import math

from engine.errors import EngineError
from farm.errors import BenchError, BoardsBusyError, FarmError, InventoryError
from farm.scheduling.schedule import Group
from farm.scheduling.tickets import Ticket

AWAY_S = 10.0
"""How long a job waits for boards all of which are away: a probe may be about to come back."""
_LEAST_PAUSE_S, _MOST_PAUSE_S = 0.5, 5.0  # between two looks at a board that is away
_OURS = (FarmError, EngineError)
_HOPELESS = (InventoryError, EngineError)  # a person has to correct something first


class Away:
    """The boards of one manager that are away or held by others; the manager locks it."""

    def __init__(self) -> None:
        self._why: dict[str, Exception] = {}

    def note(self, board: str, error: Exception) -> bool:
        """Remember why the board cannot be used; whether that is news."""
        known, self._why[board] = self._why.get(board), error
        return str(known) != str(error)

    def forget(self, board: str) -> bool:
        """The board could be used; whether it was away."""
        return self._why.pop(board, None) is not None

    def held(self, board: str) -> None:
        """The board is nobody else's any more."""
        if isinstance(self._why.get(board), BoardsBusyError):
            del self._why[board]

    def reasons(self) -> dict[str, str]:
        """Why, by board, without those that somebody else holds."""
        away = self._why.items()
        return {b: str(why) for b, why in away if not isinstance(why, BoardsBusyError)}

    def patience_s(self, group: Group[Ticket]) -> float:
        """How long jobs of that group wait: less when no board of it is there at all."""
        errors = self._of(group)
        if len(errors) < group.in_service or any(isinstance(e, BoardsBusyError) for e in errors):
            return math.inf
        return 0.0 if all(isinstance(error, _HOPELESS) for error in errors) else AWAY_S

    def error(self, ticket: Ticket) -> Exception:
        """Why no board did that job: of the kind that all of them share, or that one is held."""
        errors = self._of(ticket.group)
        reasons = "; ".join(dict.fromkeys(map(str, errors)))
        message = f"{ticket.job.name}: {reasons}"
        if any(isinstance(error, BoardsBusyError) for error in errors):
            return BoardsBusyError(message)
        kinds = {type(error) for error in errors}
        kind = kinds.pop() if len(kinds) == 1 else BenchError
        return kind(message) if issubclass(kind, _OURS) else BenchError(message)

    def _of(self, group: Group[Ticket]) -> list[Exception]:
        """Why the boards of a group that are in service are away; less than those if some work."""
        boards = (seat.board for seat in group.seats if seat.in_service)
        return [self._why[board] for board in boards if board in self._why]


class Absence:
    """How long a board has been away, so that it is told of once and looked at ever more rarely."""

    def __init__(self) -> None:
        self.climbed = False  # what may bring its probe back
        self._why = ""
        self._pause_s = 0.0

    def begins(self, error: Exception) -> bool:
        """Note why; whether it is news."""
        known, self._why = self._why, str(error)
        return known != self._why

    def pause_s(self) -> float:
        """Until the next look: twice as long each time, to a bound."""
        self._pause_s = min(_MOST_PAUSE_S, 2 * self._pause_s or _LEAST_PAUSE_S)
        return self._pause_s

    def over(self) -> bool:
        """The board has been reached; whether it was away."""
        was, self._why, self._pause_s, self.climbed = bool(self._why), "", 0.0, False
        return was
