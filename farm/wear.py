"""Flash wear: how often each sector of each board was erased, and how near that is to its rating.

Counted on the host that the board hangs off, beside its leases, from what this package programs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from farm.leases.lease_rows import opened
from farm.leases.lock_files import place_of
from farm.rack.board import Board, normal_uid

NEAR_PERCENT = 80.0


@dataclass(frozen=True)
class Wear:
    """erases: of all sectors together; most: of the sector at `sector`, which has the most."""

    erases: int = 0
    most: int = 0
    sector: int = 0

    def percent(self, rated_erases: int) -> float:
        """How much of its rated life the most worn sector has had."""
        return 100.0 * self.most / rated_erases

    def is_near(self, rated_erases: int) -> bool:
        """Whether it is time to think of another board."""
        return self.percent(rated_erases) >= NEAR_PERCENT


def worn_warning(board: Board, percent: float) -> str:
    """One sentence when it is time to think of another board, else ""."""
    if percent < NEAR_PERCENT:
        return ""
    return (
        f"{board.id}: a sector of its flash has had {percent:.0f} % of its rated erases; plan a "
        "new board"
    )


def add_erases(board: Board, sectors: Sequence[int]) -> None:
    """Count one erase of each sector, by its address, as often as it is given."""
    if not sectors:
        return
    uid = normal_uid(board.probe)
    with opened(place_of(board)) as rows, rows.changing() as db:
        for sector in sectors:
            db.execute(
                """INSERT INTO wear VALUES (?, ?, 1)
                   ON CONFLICT (uid, sector) DO UPDATE SET erases = erases + 1""",
                (uid, sector),
            )


def wear_of(board: Board) -> Wear:
    """What the board has had so far."""
    query = "SELECT sector, erases FROM wear WHERE uid = ? ORDER BY erases DESC, sector"
    with opened(place_of(board)) as rows:
        found = rows.rows(query, (normal_uid(board.probe),))
    if not found:
        return Wear()
    return Wear(sum(row["erases"] for row in found), found[0]["erases"], found[0]["sector"])
