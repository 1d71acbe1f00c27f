"""Overview: the rack at one moment, for tables, the live view and metrics."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from farm import lease
from farm.board import Board
from farm.desks import DeskRow, desks
from farm.lease_rows import Holder
from farm.lock_files import place_of
from farm.mcus import load_mcu
from farm.measure import Measurement
from farm.store import Store
from farm.store.history import GoldenRun
from farm.store.query import Wanted
from farm.wear import wear_of

WINDOW_S = 300.0
"""The span of time that throughput is told of."""


@dataclass(frozen=True)
class BoardNow:
    """One board: why it is quarantined ("" if not), who holds it, how many wait for it.

    measured: rows by status in the last WINDOW_S; recovered: rungs climbed in that time, by name.
    worn_percent: of the rated erases of its most worn sector of flash.
    """

    board: Board
    quarantine: str
    holder: Holder | None
    waiting: int
    last: Measurement | None
    golden: GoldenRun | None
    measured: Mapping[str, int]
    recovered: Mapping[str, int]
    worn_percent: float = 0.0

    @property
    def status(self) -> str:
        """One word: quarantined, maintenance, retired, hung, busy or free."""
        if self.quarantine:
            return "quarantined"
        if self.board.state != "active":
            return self.board.state
        if self.holder is None:
            return "free"
        return "hung" if self.holder.expired else "busy"


@dataclass(frozen=True)
class Overview:
    """All boards, and the managers that are at work on this host."""

    utc: str
    boards: tuple[BoardNow, ...]
    desks: tuple[DeskRow, ...]

    @property
    def per_minute(self) -> float:
        """Measurements a minute, of all boards, in the last WINDOW_S."""
        good = sum(count for b in self.boards for count in b.measured.values())
        return good * 60.0 / WINDOW_S


def overview(boards: Sequence[Board], store: Store, now: datetime | None = None) -> Overview:
    """The state of these boards now; FarmError when a database cannot be read."""
    now = datetime.now(UTC) if now is None else now
    since = (now - timedelta(seconds=WINDOW_S)).isoformat(timespec="seconds")
    measured = Counter(
        (row.columns["board"], row.columns["status"]) for row in store.rows(Wanted(since=since))
    )
    recovered = Counter((r.board, r.rung) for r in store.recoveries() if r.utc >= since)
    rows = tuple(_now(board, store, measured, recovered) for board in boards)
    places = dict.fromkeys(place_of(board) for board in boards)
    at_work = tuple(desk for place in places for desk in desks(place))
    return Overview(now.isoformat(timespec="seconds"), rows, at_work)


def _now(
    board: Board,
    store: Store,
    measured: Mapping[tuple[str, str], int],
    recovered: Mapping[tuple[str, str], int],
) -> BoardNow:
    runs = store.golden_runs(board.id)
    return BoardNow(
        board=board,
        quarantine=lease.quarantine_reason(board) or "",
        holder=lease.holder(board),
        waiting=len(lease.waiters(board)),
        last=store.last(board.id),
        golden=runs[-1] if runs else None,
        measured={what: n for (of, what), n in measured.items() if of == board.id},
        recovered={what: n for (of, what), n in recovered.items() if of == board.id},
        worn_percent=wear_of(board).percent(load_mcu(board.type.mcu).rated_erases),
    )
