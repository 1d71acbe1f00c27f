"""The audit: who did what to which board, in a chain of hashes that shows every change.

Each entry's hash is over its values and the hash of the one before it. Database triggers refuse
to change or delete entries; whoever gets around them breaks the chain, which `verify` finds. The
end of the chain is kept apart, so that missing entries at the end are found too. What the chain
cannot show is a rewrite of everything behind a point: note the last hash elsewhere for that.
"""

import getpass
import hashlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, insert, select, update

from farm.errors import FarmError
from farm.measure import Scalar, utc_now
from farm.store.provenance import scalars, text, whole
from farm.store.tables import AUDIT, AUDIT_HEAD, MEASUREMENTS

STORED = "store"
"""The action that a measurement is stored with; its facts name the row and its hash."""


@dataclass(frozen=True)
class Who:
    """A process, and the user that it works for."""

    user: str
    host: str
    pid: int

    @classmethod
    def me(cls) -> "Who":
        """This process."""
        return cls(*_names(), os.getpid())


@dataclass(frozen=True)
class Entry:
    """One line of the audit; lease_token None: without a lease."""

    seq: int
    utc: str
    user: str
    host: str
    pid: int
    action: str
    board: str
    lease_token: int | None
    image_sha256: str
    result: str
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    hash: str = ""

    def chained(self, before: str) -> str:
        """The hash of this entry behind the one with the hash `before`."""
        values = {key: value for key, value in asdict(self).items() if key != "hash"}
        line = json.dumps(values, sort_keys=True, allow_nan=False, separators=(",", ":"))
        return hashlib.sha256(f"{before}\n{line}".encode()).hexdigest()


@dataclass(frozen=True)
class Verdict:
    """A chain that holds: how many entries, and the hash that stands for all of them."""

    entries: int
    measurements: int
    hash: str


def append(
    connection: Connection,
    who: Who,
    action: str,
    board: str,
    *,
    token: int | None = None,
    image_sha256: str = "",
    result: str = "",
    facts: Mapping[str, Scalar] | None = None,
) -> Entry:
    """Add one entry; the transaction must be a writing one of farm.store.database."""
    head = connection.execute(select(AUDIT_HEAD.c.seq, AUDIT_HEAD.c.hash)).one()
    entry = Entry(
        head.seq + 1,
        utc_now(),
        *(text(who.user) or "", text(who.host) or "", who.pid),
        *(text(action) or "", text(board) or "", whole(token)),
        *(text(image_sha256) or "", text(result) or "", scalars(facts or {})),
    )
    values = asdict(entry) | {
        "facts": json.dumps(dict(entry.facts), allow_nan=False),
        "hash": entry.chained(head.hash),
    }
    connection.execute(insert(AUDIT).values(values))
    connection.execute(update(AUDIT_HEAD).values(seq=entry.seq, hash=values["hash"]))
    return Entry(**(asdict(entry) | {"hash": values["hash"]}))


def append_stored(connection: Connection, row_id: int, row: Mapping[str, Any]) -> None:
    """The entry of a measurement that is being stored as row `row_id`."""
    me = Who.me()
    who = Who(me.user, row["host"] or me.host, row["pid"] or me.pid)  # of the board's worker
    facts: dict[str, Scalar] = {"measurement": row_id, "name": row["name"]}
    append(
        connection,
        who,
        STORED,
        row["board"],
        token=row["lease_token"],
        image_sha256=row["image_sha256"] or "",
        result=row["status"],
        facts=facts | {"body_sha256": _sha256(row["body"])},
    )


def entries(connection: Connection, board: str | None = None) -> Iterator[Entry]:
    """Every entry, of one board or of all, oldest first."""
    query = select(AUDIT).order_by(AUDIT.c.seq)
    if board is not None:
        query = query.where(AUDIT.c.board == board)
    for row in connection.execute(query.execution_options(yield_per=500)).mappings():
        values = {f.name: row[f.name] for f in fields(Entry)}
        yield Entry(**(values | {"facts": _facts(row["seq"], row["facts"])}))


def verify(connection: Connection) -> Verdict:
    """Walk the whole chain and every measurement it names; FarmError says where it breaks."""
    before, count, stored = "", 0, 0
    for entry in entries(connection):
        count += 1
        if entry.seq != count:
            raise _broken(count, "is missing")
        if entry.hash != entry.chained(before):
            raise _broken(count, "was changed")
        before = entry.hash
        if entry.action == STORED:
            _check_row(connection, entry)
            stored += 1
    head = connection.execute(select(AUDIT_HEAD.c.seq, AUDIT_HEAD.c.hash)).one()
    if (head.seq, head.hash) != (count, before):
        raise _broken(count + 1, "is missing")
    return Verdict(count, stored, before)


def _check_row(connection: Connection, entry: Entry) -> None:
    row_id = entry.facts.get("measurement")
    query = select(MEASUREMENTS.c.body).where(MEASUREMENTS.c.id == row_id)
    body = connection.execute(query).scalar_one_or_none()
    if body is None or _sha256(body) != entry.facts.get("body_sha256"):
        state = "is missing" if body is None else "was changed"
        raise FarmError(f"measurement {row_id}, which audit entry {entry.seq} names, {state}")


def _facts(seq: int, kept: str) -> dict[str, Scalar]:
    try:
        return dict(json.loads(kept))
    except (ValueError, TypeError) as error:
        raise _broken(seq, "was changed") from error


def _broken(seq: int, how: str) -> FarmError:
    return FarmError(
        f"the audit is broken: entry {seq} {how}; entries before it hold, none behind it can "
        "be believed"
    )


def _sha256(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


@lru_cache(maxsize=1)
def _names() -> tuple[str, str]:
    try:
        return getpass.getuser(), socket.gethostname()
    except (KeyError, OSError):
        return str(os.getuid()), socket.gethostname()
