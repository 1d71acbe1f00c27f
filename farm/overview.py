"""Overview: the rack at one moment, for tables, the live view and metrics."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from farm.desks import DeskRow, desks
from farm.leases.lease_rows import Holder
from farm.leases.lease_view import LeaseView, look
from farm.leases.lock_files import place_of
from farm.mcus import load_mcu
from farm.measure import Measurement
from farm.rack.board import Board, normal_uid
from farm.store import Store
from farm.store.history import GoldenRun
from farm.wear import Wear, worn_warning

WINDOW_S = 300.0
"""The span of time that throughput is told of."""
Happened = dict[str, tuple[Counter[str], Counter[str]]]  # by board: statuses and rungs


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
    def worn(self) -> str:
        """The warning when a sector of its flash is near its end, else ""."""
        return worn_warning(self.board, self.worn_percent)

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
        rows = (row for board in self.boards for row in board.measured.items())
        measured = sum(count for status, count in rows if status != "bench_failure")
        return measured * 60.0 / WINDOW_S


def overview(boards: Sequence[Board], store: Store, now: datetime | None = None) -> Overview:
    """The state of these boards now; FarmError when a database cannot be read."""
    now = datetime.now(UTC) if now is None else now
    since = (now - timedelta(seconds=WINDOW_S)).isoformat(timespec="seconds")
    happened = _happened(store, since)
    views = {place: look(place) for place in dict.fromkeys(map(place_of, boards))}
    rows = tuple(_now(board, views[place_of(board)], store, happened) for board in boards)
    at_work = tuple(desk for place in views for desk in desks(place))
    return Overview(now.isoformat(timespec="seconds"), rows, at_work)


def _happened(store: Store, since: str) -> Happened:
    happened: Happened = defaultdict(lambda: (Counter(), Counter()))
    for row in store.measured(since):
        happened[row.board][0][row.status] += row.rows
    for climbed in store.recovered(since):
        happened[climbed.board][1][climbed.rung] += climbed.rows
    return happened


def _now(board: Board, view: LeaseView, store: Store, happened: Happened) -> BoardNow:
    uid = normal_uid(board.probe)
    measured, recovered = happened.get(board.id, ({}, {}))
    return BoardNow(
        board=board,
        quarantine=view.quarantined.get(uid, ""),
        holder=view.holder(uid),
        waiting=view.waiting(uid),
        last=store.last(board.id),
        golden=store.last_golden(board.id),
        measured=measured,
        recovered=recovered,
        worn_percent=_worn_percent(board, view.worn.get(uid, 0)),
    )


def _worn_percent(board: Board, most_erases: int) -> float:
    return Wear(most=most_erases).percent(load_mcu(board.type.mcu).rated_erases)
