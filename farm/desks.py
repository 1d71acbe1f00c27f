"""What the managers of this host are at, for whoever looks: a row each, renewed while they live."""

import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from farm.errors import FarmError
from farm.leases import boot_clock
from farm.leases.lease_rows import opened, user
from farm.leases.lock_files import Place

PERIOD_S = 1.0
TTL_S = 5.0
Facts = Mapping[str, int]


@dataclass(frozen=True)
class DeskRow:
    """One manager: its process, its user, and counts by name (waiting, working, done, failed)."""

    pid: int
    user: str
    facts: Facts


class Publisher:
    """Writes a manager's counts once a second, from `start` to `stop`."""

    def __init__(self, place: Place, facts: Callable[[], Facts]) -> None:
        self._place, self._facts = place, facts
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="what it is at", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and take the row away."""
        self._over.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(TTL_S)

    def _run(self) -> None:
        self._write()
        while not self._over.wait(PERIOD_S):
            self._write()
        self._clear()

    def _write(self) -> None:
        pid = os.getpid()
        values = (pid, boot_clock.started(pid), boot_clock.boot_id(), boot_clock.now_s(), user(),
                  json.dumps(dict(self._facts())))  # fmt: skip
        try:
            with opened(self._place) as rows, rows.changing() as db:
                db.execute("INSERT OR REPLACE INTO desks VALUES (?, ?, ?, ?, ?, ?)", values)
        except FarmError:
            return  # nobody's work depends on it, and the next second writes again

    def _clear(self) -> None:
        try:
            with opened(self._place) as rows, rows.changing() as db:
                db.execute("DELETE FROM desks WHERE pid = ?", (os.getpid(),))
        except FarmError:
            return  # it expires by itself


def desks(place: Place) -> list[DeskRow]:
    """The managers that live now, by process."""
    with opened(place) as rows:
        found = rows.rows("SELECT * FROM desks WHERE boot = ?", (boot_clock.boot_id(),))
    now_s = boot_clock.now_s()
    return [
        DeskRow(row["pid"], row["user"], json.loads(row["facts"]))
        for row in found
        if now_s - row["seen_s"] < TTL_S and boot_clock.is_alive(row["pid"], row["started"])
    ]
