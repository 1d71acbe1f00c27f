"""The database beside the locks: who holds which board, who waits, fencing tokens, flash wear,
slow debug clocks.

A row never decides who holds a board, the kernel's lock does: rows say who it is, until when it
promised to come back, and who is next.
"""

import getpass
import os
import socket
import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from farm.leases import boot_clock, lock_files
from farm.leases.database import Schema, clear_errors, open_database, transaction
from farm.leases.lock_files import Place
from farm.leases.waiting import Request, overtakes
from farm.measure import utc_now

TTL_S = 30.0
"""A holder that does not come back for so long is taken for hung."""
LINE_TTL_S = 2.0
"""The same for one who waits: the line passes it by until it is back."""
_WHAT = "the lease database"
_FIRST = (
    """CREATE TABLE IF NOT EXISTS leases (
        uid TEXT PRIMARY KEY, board TEXT NOT NULL, token INTEGER NOT NULL,
        pid INTEGER, host TEXT, since_utc TEXT, expires_s REAL)""",
    """CREATE TABLE IF NOT EXISTS quarantine (
        uid TEXT PRIMARY KEY, board TEXT NOT NULL, reason TEXT NOT NULL,
        utc TEXT NOT NULL)""",
)
_SECOND = (
    "ALTER TABLE leases ADD COLUMN started INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE leases ADD COLUMN boot TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE leases ADD COLUMN user TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE leases ADD COLUMN purpose TEXT NOT NULL DEFAULT ''",
    """CREATE TABLE waiting (
        number INTEGER PRIMARY KEY AUTOINCREMENT, uids TEXT NOT NULL, count INTEGER NOT NULL,
        priority INTEGER NOT NULL, pid INTEGER NOT NULL, started INTEGER NOT NULL,
        boot TEXT NOT NULL, seen_s REAL NOT NULL, since_s REAL NOT NULL, user TEXT NOT NULL,
        purpose TEXT NOT NULL)""",
)
_THIRD = (
    "ALTER TABLE leases ADD COLUMN doing TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE leases ADD COLUMN since_s REAL NOT NULL DEFAULT 0",
    """CREATE TABLE desks (
        pid INTEGER PRIMARY KEY, started INTEGER NOT NULL, boot TEXT NOT NULL,
        seen_s REAL NOT NULL, user TEXT NOT NULL, facts TEXT NOT NULL)""",
)
_FOURTH = (
    """CREATE TABLE wear (
        uid TEXT NOT NULL, sector INTEGER NOT NULL, erases INTEGER NOT NULL,
        PRIMARY KEY (uid, sector))""",
)
_FIFTH = ("ALTER TABLE waiting ADD COLUMN overtaken INTEGER NOT NULL DEFAULT 0",)
_SIXTH = ("CREATE TABLE slow_wires (uid TEXT PRIMARY KEY, utc TEXT NOT NULL)",)
_UPGRADES = {2: _SECOND, 3: _THIRD, 4: _FOURTH, 5: _FIFTH, 6: _SIXTH}
_SCHEMAS = {
    shared: Schema(
        _WHAT, 6, _FIRST, durable=False, upgrades=_UPGRADES, mode=0o666 if shared else 0o600
    )
    for shared in (False, True)
}


@dataclass(frozen=True)
class Holder:
    """The process that holds a board; `expired` when it stopped renewing (hung?).

    doing: what it said last; seconds: for how long it holds the board.
    """

    pid: int
    host: str
    token: int
    since_utc: str
    expired: bool
    user: str = ""
    purpose: str = ""
    doing: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Waiter:
    """Somebody in the line; seconds: for how long."""

    request: Request
    pid: int
    user: str
    purpose: str
    seconds: float


class Rows:
    """One connection, for one thread of one process."""

    def __init__(self, place: Place) -> None:
        lock_files.prepare(place)
        if place.shared:
            lock_files.touch_for_all(place.database)
        self._path = place.database
        self._database = open_database(place.database, _SCHEMAS[place.shared])

    def close(self) -> None:
        """Close the connection; rows stay."""
        self._database.close()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """One write transaction; FarmError when the file cannot be used."""
        with clear_errors(self._path, _WHAT), transaction(self._database) as db:
            yield db

    def rows(self, query: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        """What a query finds."""
        with clear_errors(self._path, _WHAT):
            return self._database.execute(query, values).fetchall()

    # The line.

    def enter(self, request: Request, purpose: str, number: int = 0) -> int:
        """Stand in line, at the place of that number if there was one; the request's number."""
        now_s, who = boot_clock.now_s(), (os.getpid(), boot_clock.started(os.getpid()))
        values = (number or None, " ".join(request.uids), request.count, request.priority, *who,
                  boot_clock.boot_id(), now_s, now_s, user(), purpose)  # fmt: skip
        with self.changing() as db:
            found = db.execute(
                """INSERT INTO waiting (number, uids, count, priority, pid, started, boot, seen_s,
                   since_s, user, purpose) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                   ON CONFLICT (number) DO UPDATE
                   SET seen_s = excluded.seen_s, priority = excluded.priority""",
                values,
            )
            return number or int(found.lastrowid or 0)

    def still_here(self, number: int) -> None:
        """Say that the one who waits has not gone away."""
        with self.changing() as db:
            db.execute(
                "UPDATE waiting SET seen_s = ? WHERE number = ?", (boot_clock.now_s(), number)
            )

    def leave(self, number: int) -> None:
        """Stand in line no longer."""
        with self.changing() as db:
            db.execute("DELETE FROM waiting WHERE number = ?", (number,))

    def served(self, request: Request, uids: Collection[str]) -> None:
        """Leave the line with the boards `uids`; those whom that overtakes are told so."""
        with self.changing() as db:
            db.execute("DELETE FROM waiting WHERE number = ?", (request.number,))
            others = map(_request, db.execute("SELECT * FROM waiting").fetchall())
            db.executemany(
                "UPDATE waiting SET overtaken = overtaken + 1 WHERE number = ?",
                [(other.number,) for other in others if overtakes(request, uids, other)],
            )

    def line(self) -> list[Waiter]:
        """Everybody who waits; rows of processes that ended are cleared away."""
        now_s, boot = boot_clock.now_s(), boot_clock.boot_id()
        found, dead = [], []
        for row in self.rows("SELECT * FROM waiting ORDER BY number"):
            if row["boot"] != boot or not boot_clock.is_alive(row["pid"], row["started"]):
                dead.append(row["number"])
            elif now_s - row["seen_s"] < LINE_TTL_S:
                found.append(_waiter(row, now_s))
        for number in dead:
            self.leave(number)
        return found

    # Holders.

    def grant(self, uid: str, board: str, purpose: str) -> int:
        """Write down that this process holds the board; its token, larger than any before.

        A lost database begins again at the wall clock's seconds, so that tokens rise even then.
        """
        pid = os.getpid()
        with self.changing() as db:
            db.execute("INSERT OR IGNORE INTO leases (uid, board, token) VALUES (?, '', 0)", (uid,))
            row = db.execute(
                """UPDATE leases SET board = ?, token = max(token + 1, ?), pid = ?, host = ?,
                   since_utc = ?, since_s = ?, expires_s = ?, started = ?, boot = ?, user = ?,
                   purpose = ?, doing = '' WHERE uid = ? RETURNING token""",
                (board, int(time.time()), pid, socket.gethostname(), utc_now(), boot_clock.now_s(),
                 boot_clock.now_s() + TTL_S, boot_clock.started(pid), boot_clock.boot_id(),
                 user(), purpose, uid),
            ).fetchone()  # fmt: skip
            return int(row["token"])

    def renew(self, uid: str, token: int, doing: str) -> bool:
        """Promise to come back once more; False when the board was taken away."""
        with self.changing() as db:
            found = db.execute(
                """UPDATE leases SET expires_s = ?, doing = ?
                   WHERE uid = ? AND token = ? AND pid IS NOT NULL""",
                (boot_clock.now_s() + TTL_S, doing, uid, token),
            )
            return found.rowcount > 0

    def clear(self, uid: str, token: int) -> None:
        """Nobody holds the board, unless somebody else does already."""
        with self.changing() as db:
            db.execute("UPDATE leases SET pid = NULL WHERE uid = ? AND token = ?", (uid, token))

    def revoke(self, uid: str) -> None:
        """Raise the fence: whoever holds the board has lost it."""
        with self.changing() as db:
            db.execute("UPDATE leases SET token = token + 1, pid = NULL WHERE uid = ?", (uid,))

    def holder(self, uid: str) -> Holder:
        """Who the row names; pid 0 when it names nobody."""
        found = self.rows("SELECT * FROM leases WHERE uid = ?", (uid,))
        if not found or found[0]["pid"] is None:
            return Holder(0, "", found[0]["token"] if found else 0, "", expired=False)
        row = found[0]
        expired = row["boot"] == boot_clock.boot_id() and row["expires_s"] < boot_clock.now_s()
        return Holder(row["pid"], row["host"], row["token"], row["since_utc"], expired,
                      row["user"], row["purpose"], row["doing"],
                      max(0.0, boot_clock.now_s() - row["since_s"]))  # fmt: skip

    def name(self, uid: str, board: str, pid: int) -> None:
        """Write down that process for a holder that did not come to doing so itself.

        Nothing changes for one that is named already. It has TTL_S to come back, as all have.
        """
        now_s, started = boot_clock.now_s(), boot_clock.started(pid)
        who = (pid, started, boot_clock.boot_id())
        with self.changing() as db:
            db.execute("INSERT OR IGNORE INTO leases (uid, board, token) VALUES (?, '', 0)", (uid,))
            db.execute(
                """UPDATE leases SET board = ?, pid = ?, started = ?, boot = ?, host = ?,
                   since_utc = ?, since_s = ?, expires_s = ?, user = ?, purpose = '', doing = ''
                   WHERE uid = ? AND (pid, started, boot) IS NOT (?, ?, ?)""",
                (board, *who, socket.gethostname(), utc_now(), now_s, now_s + TTL_S,
                 boot_clock.user_of(pid), uid, *who),
            )  # fmt: skip

    def hung(self, uid: str) -> tuple[int, int, str] | None:
        """Process, start and user of a holder that should have come back long ago, or None."""
        query = "SELECT pid, started, user FROM leases WHERE uid = ? AND boot = ? AND expires_s < ?"
        values = (uid, boot_clock.boot_id(), boot_clock.now_s())
        found = self.rows(query + " AND pid IS NOT NULL", values)
        return tuple(found[0]) if found else None


@contextmanager
def opened(place: Place) -> Iterator[Rows]:
    """Rows for a moment."""
    rows = Rows(place)
    try:
        yield rows
    finally:
        rows.close()


@lru_cache(maxsize=1)
def user() -> str:
    """The name of this process's user, its number where there is no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _waiter(row: sqlite3.Row, now_s: float) -> Waiter:
    since_s = now_s - row["since_s"]
    return Waiter(_request(row), row["pid"], row["user"], row["purpose"], since_s)


def _request(row: sqlite3.Row) -> Request:
    uids = tuple(row["uids"].split())
    return Request(row["number"], uids, row["count"], row["priority"], row["overtaken"])
