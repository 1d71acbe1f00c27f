"""How a job ended: a completed Measurement, a bench failure, and who is told."""

import dataclasses
from concurrent.futures import Future
from typing import Any

from farm.errors import BenchError
from farm.inventory import Board
from farm.measure import Measurement
from farm.tickets import Ticket


def settle(future: "Future[Measurement]", outcome: Measurement | Exception) -> None:
    """Give a future its result or its error, unless whoever asked has cancelled it."""
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def complete(ticket: Ticket, board: Board, m: Measurement) -> Measurement:
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
        provenance=dict(m.provenance)
        | {"model_sha256": job.model.sha256, "attempt": len(ticket.failures) + 1},
    )


def failure(ticket: Ticket, board: Board, message: str) -> Measurement:
    """The row that says that a board failed a job."""
    return Measurement(
        **_identity(ticket, board),
        status="bench_failure",
        message=message,
        provenance={
            "model_sha256": ticket.job.model.sha256,
            "attempt": len(ticket.failures) + 1,
        },
    )


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
