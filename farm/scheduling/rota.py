"""The boards of one manager: who is in service, who drives each, and which can do which job.

The manager locks it; nothing here waits for a board.
"""

import logging
from collections.abc import Iterable, Sequence

from farm.errors import BenchError, FarmError, InventoryError, NoBoardError
from farm.job import Job
from farm.leases.quarantine import quarantine_reason
from farm.rack.inventory import Board
from farm.scheduling.roles import Crew, Desk, Hand
from farm.scheduling.schedule import Group, Schedule
from farm.scheduling.tickets import Ticket

_LOG = logging.getLogger(__name__)
_LOOK_AGAIN_S = 1.0  # how often it is asked whether a quarantine was lifted
_OUT = "quarantined: "
_Kind = tuple[str, frozenset[tuple[str, str]], str]  # type, tags, the one board if any


class Rota:
    """Boards, their drivers, and the schedule that both follow."""

    def __init__(self, boards: Iterable[Board], crew: Crew, desk: Desk) -> None:
        self.board = {board.id: board for board in boards}
        self.schedule: Schedule[Ticket] = Schedule(self.board, crew.now_s)
        self.aside: dict[str, str] = {}
        self.hands: dict[str, Hand] = {}
        self._crew, self._desk = crew, desk
        self._groups: dict[_Kind, Group[Ticket]] = {}
        self._looked_s = crew.now_s()
        for board_type in {board.type.name for board in self.board.values()}:
            self._refuse_mixed(board_type)

    def group(self, job: Job, on: str) -> Group[Ticket]:
        """The boards that can do a job; NoBoardError when none was selected."""
        kind = (job.board_type, frozenset(job.tags.items()), on)
        if kind not in self._groups:
            group = self.schedule.group(board.id for board in self._able(job, on))
            for seat in group.seats:
                self._check_in(self.board[seat.board])
            self._groups[kind] = group  # only now: who did not check in is never woken
        return self._groups[kind]

    def put(self, ticket: Ticket) -> None:
        """Queue a ticket, and wake the board that should take it."""
        woken = self.schedule.put(ticket, ticket.group)
        self.wake([] if woken is None else [woken])

    def wake(self, boards: Sequence[str]) -> None:
        """Let boards look for work; those that nobody drives yet get a driver."""
        for board in boards:
            if board not in self.hands:
                self.hands[board] = self._crew.hire(self.board[board], self._desk)
            self.hands[board].wake()

    def remove(self, board: Board, why: str) -> list[Ticket]:
        """Take a board out of service; the tickets that nobody can do any more."""
        self.aside.setdefault(board.id, why)
        stranded, woken = self.schedule.remove_board(board.id)
        self.wake(woken)
        return stranded

    def look_for_lifted_quarantines(self) -> None:
        """Use boards again that a person has put back into service."""
        now_s = self._crew.now_s()
        if not self.aside or now_s - self._looked_s < _LOOK_AGAIN_S:
            return
        self._looked_s = now_s
        try:
            out = [board for board, why in self.aside.items() if why.startswith(_OUT)]
            back = [board for board in out if quarantine_reason(self.board[board]) is None]
        except FarmError as error:  # the others can go on
            _LOG.warning("whether boards were put back into service is not known: %s", error)
            return
        for board in back:
            del self.aside[board]
            self.schedule.restore_board(board)
            if self.schedule.has_work(board):
                self.wake([board])

    def none_left(self, ticket: Ticket) -> FarmError:
        """Why no board is left that could do it: a matter of the operator, or of the bench."""
        boards = [seat.board for seat in ticket.group.seats]
        reasons = [self.aside.get(board, "") for board in boards]
        why = "; ".join(f"{b} {r}" for b, r in zip(boards, reasons, strict=True) if r)
        what = ticket.only or f"{ticket.job.board_type} board"
        message = f"{ticket.job.name}: no {what} is left in service ({why})"
        quarantined = all(reason.startswith(_OUT) for reason in reasons)
        return NoBoardError(message) if quarantined else BenchError(message)

    def _able(self, job: Job, on: str) -> list[Board]:
        of_type = [b for b in self.board.values() if b.type.name == job.board_type]
        if not of_type:
            have = ", ".join(dict.fromkeys(b.type.name for b in self.board.values())) or "none"
            raise NoBoardError(f"no board of type {job.board_type!r} is selected (have: {have})")
        tagged = [b for b in of_type if job.tags.items() <= b.tags.items()]
        if not tagged:
            wanted = ",".join(f"{key}={value}" for key, value in job.tags.items())
            raise NoBoardError(f"no selected {job.board_type} board has the tags {wanted}")
        able = [board for board in tagged if on in ("", board.id)]
        if not able:
            raise NoBoardError(f"{job.name}: no {on} is left in service (not selected)")
        return able

    def _check_in(self, board: Board) -> None:
        """Let a board wait for work, unless it is out of service."""
        if board.id in self.hands or board.id in self.aside:
            return
        reason = quarantine_reason(board)
        if reason is not None:
            self.remove(board, _OUT + reason)
        else:
            self.schedule.has_work(board.id)

    def _refuse_mixed(self, board_type: str) -> None:
        kinds = {board.virtual for board in self.board.values() if board.type.name == board_type}
        if len(kinds) > 1:
            raise InventoryError(
                f"the selected {board_type} boards are both real and virtual; select one kind, "
                "because their results must not mix"
            )
