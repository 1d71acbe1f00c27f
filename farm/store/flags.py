"""Flags: measurements that must not be believed without a second look, and why.

A flag is a row with the numbers of the measurements it is about, found when it was made: a clock
that is stepped later changes nothing.
"""

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, func, insert, literal, select

from farm.errors import InventoryError
from farm.measure import Scalar, utc_now
from farm.store import audit
from farm.store.audit import Who
from farm.store.provenance import text
from farm.store.tables import FLAGGED, FLAGS, MEASUREMENTS


def flag_since(connection: Connection, board: str, utc: str, why: str) -> int:
    """Flag all of that board from `utc` on; how many."""
    return _flag(connection, board, since_utc(utc), why, MEASUREMENTS.c.utc >= since_utc(utc))


def flag_after(connection: Connection, board: str, number: int, why: str) -> int:
    """Flag all of that board behind the measurement of that number; how many."""
    query = select(func.min(MEASUREMENTS.c.utc)).where(
        MEASUREMENTS.c.board == board, MEASUREMENTS.c.id > number
    )
    first = connection.execute(query).scalar()
    return _flag(connection, board, first or utc_now(), why, MEASUREMENTS.c.id > number)


def since_utc(given: str) -> str:
    """An ISO 8601 time in the spelling of the store; without a zone it is UTC."""
    try:
        time = datetime.fromisoformat(given)
        zoned = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InventoryError(
            f"{given!r} is not a time; write it as 2026-11-22 or 2026-11-22T18:00:00+00:00"
        ) from error
    return zoned.isoformat(timespec="seconds")


def _flag(
    connection: Connection, board: str, since: str, why: str, which: ColumnElement[bool]
) -> int:
    me = Who.me()
    values = {"utc": utc_now(), "board": board, "since_utc": since, "why": text(why) or ""}
    made = insert(FLAGS).values(values | {"user": me.user, "host": me.host})
    flag_id = connection.execute(made.returning(FLAGS.c.id)).scalar_one()
    rows = select(literal(flag_id), MEASUREMENTS.c.id).where(MEASUREMENTS.c.board == board, which)
    connection.execute(insert(FLAGGED).from_select(["flag_id", "measurement_id"], rows))
    flagged = select(func.count()).where(FLAGGED.c.flag_id == flag_id)
    count = connection.execute(flagged).scalar_one()
    facts: dict[str, Scalar] = {"flag": flag_id, "since_utc": since, "measurements": count}
    audit.append(connection, me, "flag", board, result=values["why"], facts=facts)
    return count
