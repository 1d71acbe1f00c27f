"""What the store knows of a job that is handed in: its result, its end, or how often it failed."""

from farm.rack.board import Board
from farm.scheduling import ledger
from farm.scheduling.outcome import Outcome, given_up
from farm.scheduling.tickets import Ticket
from farm.store import Store


def answer(store: Store, ticket: Ticket, board: Board, *, again: bool) -> Outcome | None:
    """What the store answers; an unfinished job gets its earlier failures.

    board: one that could do it; again: only a result of this very job counts.
    """
    job = ticket.job
    if job.id:
        past = ledger.past(store, job.id)
        if past.result is not None:
            return past.result
        if past.given_up:
            last = past.failures[-1]
            return given_up(job, last.message, len(past.failures), last.board)
        ticket.failures = [m.message for m in past.failures]
    if again:
        return None
    of_these = [seat.board for seat in ticket.group.seats] if job.tags else []
    key, virtual = ticket.key, board.virtual
    return ledger.stored(store, job, key, board.type, virtual=virtual, boards=of_these)
