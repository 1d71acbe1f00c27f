"""What happened to boards beside measurements: recoveries, and runs of golden images."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select

from farm.measure import Scalar, utc_now
from farm.store import audit
from farm.store.audit import Who
from farm.store.provenance import real, scalars, text, whole
from farm.store.tables import GOLDEN_RUNS, MEASUREMENTS, RECOVERIES


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """One rung of the ladder of recovery that was tried on a board, and what came of it."""

    board: str
    rung: str
    seconds: float
    outcome: str
    lease_token: int | None = None
    detail: str = ""
    utc: str = field(default_factory=utc_now)


def recovery(
    board: str, rung: str, seconds: float, outcome: str, lease_token: int | None
) -> Recovery:
    """The row of a rung; outcome: "done" or "failed", then a colon and what was seen."""
    how, _, detail = outcome.partition(": ")
    return Recovery(board=board, rung=rung, seconds=seconds, outcome=how, lease_token=lease_token,
                    detail=detail)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class GoldenRun:
    """One run of a board type's golden image; cycles and clock_hz None if it did not get so far.

    `last_measurement` is the number of the newest row that the board had then (0: none); the
    store fills it in.
    """

    board: str
    board_type: str
    virtual: bool
    ok: bool
    cycles: int | None = None
    clock_hz: float | None = None
    lease_token: int | None = None
    detail: str = ""
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    utc: str = field(default_factory=utc_now)
    last_measurement: int = 0


def add_recovery(connection: Connection, recovery: Recovery) -> None:
    """Store it, and say so in the audit."""
    row = _clean(asdict(recovery))
    connection.execute(insert(RECOVERIES).values(row))
    facts: dict[str, Scalar] = {"rung": row["rung"], "seconds": row["seconds"]}
    _audit(connection, "recover", row, row["outcome"], facts)


def add_golden_run(connection: Connection, run: GoldenRun) -> None:
    """Store it, and say so in the audit."""
    row = _clean(asdict(run)) | {"last_measurement": _newest(connection, run.board)}
    row["facts"] = json.dumps(scalars(run.facts), allow_nan=False)
    connection.execute(insert(GOLDEN_RUNS).values(row))
    facts: dict[str, Scalar] = {} if row["cycles"] is None else {"cycles": row["cycles"]}
    _audit(connection, "golden", row, "ok" if run.ok else "drift", facts)


def recoveries(connection: Connection, board: str | None) -> list[Recovery]:
    """Those of one board, or of all, oldest first."""
    query = select(RECOVERIES).order_by(RECOVERIES.c.id)
    if board is not None:
        query = query.where(RECOVERIES.c.board == board)
    rows = connection.execute(query).mappings()
    return [Recovery(**{k: v for k, v in row.items() if k != "id"}) for row in rows]


def golden_runs(connection: Connection, board: str | None) -> list[GoldenRun]:
    """Those of one board, or of all, oldest first."""
    query = select(GOLDEN_RUNS).order_by(GOLDEN_RUNS.c.id)
    if board is not None:
        query = query.where(GOLDEN_RUNS.c.board == board)
    rows = connection.execute(query).mappings()
    return [_golden_run({k: v for k, v in row.items() if k != "id"}) for row in rows]


def golden_around(
    connection: Connection, board: str, row_id: int
) -> tuple[tuple[int, GoldenRun] | None, tuple[int, GoldenRun] | None]:
    """The board's last golden run before the measurement of that number, the first behind it.

    Each with its own number, None where there is none.
    """
    table = GOLDEN_RUNS
    runs = select(table).where(table.c.board == board).limit(1)
    before = runs.where(table.c.last_measurement < row_id).order_by(table.c.id.desc())
    behind = runs.where(table.c.last_measurement >= row_id).order_by(table.c.id)
    return _numbered(connection, before), _numbered(connection, behind)


def _numbered(connection: Connection, query: Select[Any]) -> tuple[int, GoldenRun] | None:
    row = connection.execute(query).mappings().one_or_none()
    return (row["id"], _golden_run({k: v for k, v in row.items() if k != "id"})) if row else None


def last_good(connection: Connection, board: str) -> GoldenRun | None:
    """The newest golden run of that board which was right."""
    table = GOLDEN_RUNS
    query = select(table).where(table.c.board == board, table.c.ok).order_by(table.c.id.desc())
    row = connection.execute(query.limit(1)).mappings().one_or_none()
    return _golden_run({k: v for k, v in row.items() if k != "id"}) if row else None


def last_run(connection: Connection, board: str) -> GoldenRun | None:
    """The newest golden run of that board, right or wrong."""
    table = GOLDEN_RUNS
    query = select(table).where(table.c.board == board).order_by(table.c.id.desc()).limit(1)
    row = connection.execute(query).mappings().one_or_none()
    return _golden_run({k: v for k, v in row.items() if k != "id"}) if row else None


def _golden_run(row: dict[str, Any]) -> GoldenRun:
    return GoldenRun(**(row | {"facts": json.loads(row["facts"])}))


def _newest(connection: Connection, board: str) -> int:
    query = select(func.max(MEASUREMENTS.c.id)).where(MEASUREMENTS.c.board == board)
    return int(connection.execute(query).scalar() or 0)


def _clean(row: dict[str, Any]) -> dict[str, Any]:
    """Values that any database holds: what a board or a probe said may be anything."""
    return {key: _cleaned(value) for key, value in row.items()}


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float):
        return real(value)
    return value if isinstance(value, bool) else whole(value)


def _audit(
    connection: Connection, action: str, row: dict[str, Any], result: str, facts: dict[str, Scalar]
) -> None:
    audit.append(
        connection,
        Who.me(),
        action,
        row["board"],
        token=row["lease_token"],
        result=result,
        facts=facts,
    )
