"""Care: golden runs and recoveries of the boards of one manager, stored and told."""

import logging
from collections.abc import Mapping

from farm.errors import ClockError, FarmError
from farm.golden.health import Finding, Health, put_out_of_service
from farm.golden.image import golden_job
from farm.job import Event, Job
from farm.measure import Measurement
from farm.rack.board import Board
from farm.scheduling.outcome import Teller
from farm.store import Store
from farm.store.history import recovery

_LOG = logging.getLogger(__name__)
_LEVELS: Mapping[Finding, int] = {
    "good": logging.INFO,
    "again": logging.WARNING,
    "bad": logging.ERROR,
}


class Care:
    """What drivers ask about the health of their boards; safe for threads.

    checked: whether boards show now and then that they are in order (farm.golden).
    """

    def __init__(self, store: Store, teller: Teller, *, checked: bool) -> None:
        self._store, self._teller = store, teller
        self._health = Health(store) if checked else None
        self._closed = False

    def close(self) -> None:
        """Store no recovery any more: what is tried from now on fails because all is ended."""
        self._closed = True

    def measured(self, board: Board) -> None:
        """The board measured something."""
        if self._health is not None:
            self._health.measured(board)

    def doubt(self, board: Board) -> None:
        """The board was away, or at a wrong clock: it runs the golden program before all else."""
        if self._health is not None:
            self._health.doubt(board)

    def golden_job(self, board: Board) -> Job | None:
        """The golden program, if the board has to run it before its next job."""
        due = self._health is not None and self._health.is_due(board)
        return golden_job(board.type.name) if due else None

    def golden(self, board: Board, m: Measurement) -> tuple[Finding, str]:
        """Judge and store a golden run: it may go on, has to run it again, or is quarantined."""
        assert self._health is not None
        return self._told(board, *self._health.found(board, m))

    def golden_off(self, board: Board, error: ClockError, token: int) -> tuple[Finding, str]:
        """The same of a run that ended at a wrong clock."""
        assert self._health is not None
        return self._told(board, *self._health.off(board, str(error), token))

    def quarantine(self, board: Board, why: str) -> None:
        """Put a board out of service that no rung helped, until a person puts it back."""
        put_out_of_service(self._store, board, why)

    def recovered(
        self, board: Board, rung: str, seconds: float, outcome: str, token: int | None
    ) -> None:
        """Store and tell of a rung of the ladder that was tried; nothing when closing."""
        if self._closed:
            return
        try:
            self._store.add_recovery(recovery(board.id, rung, seconds, outcome, token))
        except FarmError as error:  # the board may well work again: that is no reason to stop
            _LOG.error("%s: its recovery was not stored: %s", board.id, error)
        self._teller.emit(Event("recovered", "", board.id, f"{rung}, {seconds:.1f} s: {outcome}"))

    def _told(self, board: Board, finding: Finding, why: str) -> tuple[Finding, str]:
        _LOG.log(_LEVELS[finding], "golden run: %s%s", finding, f": {why}" if why else "")
        self._teller.emit(Event("golden", "", board.id, f"{finding}: {why}"))
        return finding, why
