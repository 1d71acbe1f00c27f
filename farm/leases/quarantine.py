"""Quarantine: boards out of service until a person has looked at them."""

from farm.errors import NoBoardError
from farm.leases import lock_files
from farm.leases.lease_rows import opened
from farm.measure import utc_now
from farm.rack.inventory import Board, normal_uid


def quarantine(board: Board, reason: str) -> None:
    """Put a board out of service until `restore`; running work on it goes on."""
    why = " ".join(reason.split()) or "no reason given"
    values = (normal_uid(board.probe), board.id, why, utc_now())
    with opened(lock_files.place_of(board)) as rows, rows.changing() as db:
        db.execute("INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?, ?)", values)


def restore(board: Board) -> bool:
    """Put a quarantined board back into service; False when it was not quarantined."""
    with opened(lock_files.place_of(board)) as rows, rows.changing() as db:
        found = db.execute("DELETE FROM quarantine WHERE uid = ?", (normal_uid(board.probe),))
        return found.rowcount > 0


def quarantine_reason(board: Board) -> str | None:
    """Why the board is out of service, or None when it is not."""
    query = "SELECT reason FROM quarantine WHERE uid = ?"
    with opened(lock_files.place_of(board)) as rows:
        found = rows.rows(query, (normal_uid(board.probe),))
    return str(found[0]["reason"]) if found else None


def refuse_quarantined(board: Board) -> None:
    """Raise NoBoardError when the board is quarantined."""
    if (reason := quarantine_reason(board)) is not None:
        advice = f"`tinyrack boards restore {board.id}` puts it back"
        raise NoBoardError(f"{board.id} is quarantined ({reason}); {advice}")
