"""What happened to the boards of a rack, counted by the database: for tables and metrics."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from farm.store.flags import since_utc
from farm.store.tables import MEASUREMENTS, RECOVERIES


@dataclass(frozen=True)
class Measured:
    """Rows of one board with one status: how many, seconds of flashing, seconds of jobs."""

    board: str
    virtual: bool
    status: str
    rows: int
    flash_s: float
    job_s: float


@dataclass(frozen=True)
class Recovered:
    """Rungs of one name that one board climbed, with one outcome."""

    board: str
    rung: str
    outcome: str
    rows: int


def measured(connection: Connection, since: str) -> list[Measured]:
    """By board and status; since: an ISO 8601 time, "" for all."""
    row = MEASUREMENTS.c
    by = (row.board, row.virtual, row.status)
    sums = [func.coalesce(func.sum(seconds), 0.0) for seconds in (row.flash_s, row.job_s)]
    query = select(*by, func.count(), *sums).group_by(*by).order_by(*by)
    if since:
        query = query.where(row.utc >= since_utc(since))
    return [Measured(*found) for found in connection.execute(query)]


def recovered(connection: Connection, since: str) -> list[Recovered]:
    """By board, rung and outcome; since: an ISO 8601 time, "" for all."""
    row = RECOVERIES.c
    by = (row.board, row.rung, row.outcome)
    query = select(*by, func.count()).group_by(*by).order_by(*by)
    if since:
        query = query.where(row.utc >= since_utc(since))
    return [Recovered(*found) for found in connection.execute(query)]
