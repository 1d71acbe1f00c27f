"""Boards that answered on a slow debug clock only: they are used on it for some hours.

Kept beside the leases of the host that the board hangs off, so that it outlives the process that
found out; a board that needs it for good should say so in boards.yaml (`swd_hz`).
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from farm.leases.lease_rows import opened
from farm.leases.lock_files import place_of
from farm.measure import utc_now
from farm.rack.board import Board, normal_uid

SLOW_SWD_HZ = 400_000
KEPT = timedelta(hours=6)


def slower(board: Board) -> Board:
    """The board on a tenth of the debug clock, for long or bad wires."""
    return replace(board, connect_mode="under-reset", swd_hz=min(SLOW_SWD_HZ, board.swd_hz))


def keep_slow(board: Board) -> None:
    """Use the board on a slow debug clock from now on, for `KEPT`."""
    values = (normal_uid(board.probe), utc_now())
    with opened(place_of(board)) as rows, rows.changing() as db:
        db.execute("INSERT OR REPLACE INTO slow_wires VALUES (?, ?)", values)


def slow_until(board: Board) -> datetime | None:
    """Until when the board is used on a slow debug clock; None when it is not."""
    query = "SELECT utc FROM slow_wires WHERE uid = ?"
    with opened(place_of(board)) as rows:
        found = rows.rows(query, (normal_uid(board.probe),))
    if not found:
        return None
    since, now = datetime.fromisoformat(found[0]["utc"]), datetime.now(UTC)
    return since + KEPT if since <= now < since + KEPT else None  # a stepped clock ends it


def full_speed(board: Board) -> None:
    """Use the board as boards.yaml says again."""
    with opened(place_of(board)) as rows, rows.changing() as db:
        db.execute("DELETE FROM slow_wires WHERE uid = ?", (normal_uid(board.probe),))


def as_used(board: Board) -> Board:
    """The board on the debug clock that it is used with now."""
    return slower(board) if slow_until(board) else board
