"""Which measurements somebody wants to see, and their rows with flags."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, exists, select

from farm.store.flags import since_utc
from farm.store.tables import FLAGGED, FLAGS, MEASUREMENTS

_ROWS = MEASUREMENTS.c
_BATCH = 500


@dataclass(frozen=True)
class Wanted:
    """A filter; None and "" let everything through.

    `name` may hold `*`; `since` and `until` (excluded) are ISO 8601 times; `virtual` True asks
    for emulated boards alone, False for silicon alone; `newest` for so many of the last rows.
    """

    board: str = ""
    board_type: str = ""
    status: str = ""
    name: str = ""
    since: str = ""
    until: str = ""
    virtual: bool | None = None
    flagged: bool = False
    newest: int | None = None


@dataclass(frozen=True)
class Row:
    """A stored measurement: number, why it is flagged if it is, and its columns by name."""

    id: int
    flags: tuple[str, ...]
    columns: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """What was measured on: "virtual" or "silicon"."""
        return "virtual" if self.columns["virtual"] else "silicon"

    def to_json(self) -> dict[str, Any]:
        """The measurement's JSON with number, kind and flags; a damaged body leaves columns."""
        head = {"id": self.id, "kind": self.kind, "flags": list(self.flags)}
        try:
            body = dict(json.loads(self.columns["body"]))
        except (ValueError, TypeError):
            body = {key: value for key, value in self.columns.items() if key != "body"}
        return head | body


def rows(connection: Connection, wanted: Wanted) -> Iterator[Row]:
    """What is wanted, oldest first, a batch in memory at a time."""
    query = _filtered(select(MEASUREMENTS), wanted)
    if wanted.newest is not None:
        newest = _filtered(select(_ROWS.id), wanted).order_by(_ROWS.id.desc())
        query = query.where(_ROWS.id.in_(newest.limit(wanted.newest)))
    last = 0
    while found := _batch(connection, query, last):
        why = _flags(connection, found[0]["id"], found[-1]["id"])
        for columns in found:
            yield Row(columns["id"], tuple(why.get(columns["id"], ())), columns)
        last = found[-1]["id"]


def row(connection: Connection, row_id: int) -> Row | None:
    """The row of that number, or None."""
    query = select(MEASUREMENTS).where(_ROWS.id == row_id)
    found = connection.execute(query).mappings().one_or_none()
    if found is None:
        return None
    why = _flags(connection, row_id, row_id)
    return Row(row_id, tuple(why.get(row_id, ())), dict(found))


def _batch(connection: Connection, query: Select[Any], last: int) -> Sequence[dict[str, Any]]:
    part = query.where(_ROWS.id > last).order_by(_ROWS.id).limit(_BATCH)
    return [dict(found) for found in connection.execute(part).mappings()]


def _filtered(query: Select[Any], wanted: Wanted) -> Select[Any]:
    for name in ("board", "board_type", "status"):
        if value := getattr(wanted, name):
            query = query.where(_ROWS[name] == value)
    if wanted.name:
        query = query.where(_ROWS.name.like(_pattern(wanted.name), escape="\\"))
    if wanted.since:
        query = query.where(_ROWS.utc >= since_utc(wanted.since))
    if wanted.until:
        query = query.where(_ROWS.utc < since_utc(wanted.until))
    if wanted.virtual is not None:
        query = query.where(_ROWS.virtual == wanted.virtual)
    if wanted.flagged:
        query = query.where(exists().where(FLAGGED.c.measurement_id == _ROWS.id))
    return query


def _pattern(name: str) -> str:
    for special in "\\%_":
        name = name.replace(special, "\\" + special)
    return name.replace("*", "%")


def _flags(connection: Connection, first: int, last: int) -> dict[int, list[str]]:
    """Why each of these measurements is flagged, the oldest flag first."""
    query = (
        select(FLAGGED.c.measurement_id, FLAGS.c.why)
        .join(FLAGS, FLAGS.c.id == FLAGGED.c.flag_id)
        .where(FLAGGED.c.measurement_id.between(first, last))
        .order_by(FLAGS.c.id)
    )
    found: dict[int, list[str]] = {}
    for row_id, why in connection.execute(query):
        found.setdefault(row_id, []).append(why)
    return found
