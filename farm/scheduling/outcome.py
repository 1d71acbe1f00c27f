"""How a job ended: a completed Measurement, a bench failure, and who is told."""

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any

from farm.errors import AwayError, BenchError, BoardsBusyError, FarmError
from farm.job import Event, Job
from farm.measure import Measurement
from farm.rack.inventory import Board
from farm.scheduling.ledger import FINAL, JOB_ID
from farm.scheduling.tickets import Ticket

Outcome = Measurement | Exception


class Teller:
    """Tells the progress display and those who wait; one call of the display at a time."""

    def __init__(self, progress: Callable[[Event], None] | None) -> None:
        self._progress = progress
        self._lock = threading.RLock()

    def emit(self, event: Event) -> None:
        """Show an event."""
        if self._progress is not None:
            with self._lock:
                self._progress(event)

    def close(self) -> None:
        """Show nothing any more."""
        self._progress = None

    def tell(self, name: str, future: "Future[Measurement]", outcome: Outcome) -> None:
        """Give one asker, who calls the network `name`, the result or the error."""
        if isinstance(outcome, Exception):
            event = Event("failed", name, detail=str(outcome))
        else:
            outcome = dataclasses.replace(outcome, name=name)
            event = Event("done", name, outcome.board, outcome.status, outcome)
        if isinstance(outcome, Measurement) and outcome.source == "stored":
            event = dataclasses.replace(event, detail="stored")
        try:
            self.emit(event)
        finally:  # a progress display that fails must not keep the result
            settle(future, outcome)

    def tell_all(self, ticket: Ticket, outcome: Outcome) -> None:
        """Give everyone who waits for a ticket its outcome."""
        with ExitStack() as all_are_told:  # also when a progress display fails at the first
            for name, future in reversed(ticket.waiting):
                all_are_told.callback(self.tell, name, future, outcome)


def settle(future: "Future[Measurement]", outcome: Outcome) -> None:
    """Give a future its result or its error, unless whoever asked has cancelled it."""
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def complete(ticket: Ticket, board: Board, m: Measurement, job_s: float) -> Measurement:
    """Fill in what the manager knows best, and refuse a result that contradicts itself."""
    job = ticket.job
    if m.status == "ok" and m.output_sha256 != job.expected_sha256:
        raise BenchError("reported a right output with a wrong checksum", board.id)
    return dataclasses.replace(
        m,
        **_identity(ticket, board),
        arena_bytes=job.model.arena_bytes,
        macs=job.macs,
        cycles_per_mac=m.cycles / job.macs if job.macs else 0.0,
        provenance=dict(m.provenance) | _facts(ticket, job_s),
    )


def failure(
    ticket: Ticket, board: Board, message: str, job_s: float, token: int, *, final: bool
) -> Measurement:
    """The row that says that a board failed a job, for the last time if `final`."""
    facts = _facts(ticket, job_s) | {"probe": board.probe, "lease_token": token}
    return Measurement(
        **_identity(ticket, board),
        status="bench_failure",
        message=message,
        provenance=facts | ({FINAL: 1} if final else {}),
    )


def _facts(ticket: Ticket, job_s: float) -> dict[str, str | int | float]:
    facts: dict[str, str | int | float] = {
        "model_sha256": ticket.job.model.sha256,
        "attempt": len(ticket.failures) + 1,
        "purpose": ticket.job.purpose,
        "queue_s": round(ticket.queue_s, 4),
        "job_s": round(job_s, 4),
    }
    return facts | ({JOB_ID: ticket.job.id} if ticket.job.id else {})


def _identity(ticket: Ticket, board: Board) -> dict[str, Any]:
    image, board_type, input_sha256, expected_sha256 = ticket.key
    return {
        "name": ticket.job.name,
        "board": board.id,
        "board_type": board_type,
        "virtual": board.virtual,
        "image_key": image,
        "input_sha256": input_sha256,
        "expected_sha256": expected_sha256,
    }


def given_up(job: Job, why: object, failures: int, board: str) -> BenchError:
    """The error of a job that had all its attempts."""
    advice = f"`tinyrack boards` shows its health (failure {failures})"
    kind = type(why) if isinstance(why, AwayError) else BenchError
    return kind(f"{job.name}: {why}; {advice}", board)


def expired_error(ticket: Ticket) -> FarmError:
    """The error of a job whose deadline came while it waited."""
    if ticket.failures:
        why = f"{ticket.failures[-1]}; its deadline left no time for another attempt"
        return BenchError(f"{ticket.job.name}: {why}")
    return BoardsBusyError(
        f"{ticket.job.name}: no board was free before its deadline; allow more time, or use more "
        "boards"
    )
