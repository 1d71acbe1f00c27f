"""Every Measurement ever made, in SQLite: what is stored is never measured again."""

import dataclasses
import json
import threading
from pathlib import Path

import platformdirs

from farm.database import Schema, clear_errors, open_database, transaction
from farm.errors import FarmError
from farm.measure import Measurement

_SCHEMA = Schema(
    "the results database",
    1,
    (
        """CREATE TABLE IF NOT EXISTS measurements (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            utc TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
            board TEXT NOT NULL, board_type TEXT NOT NULL, virtual INTEGER NOT NULL,
            image_key TEXT NOT NULL, input_sha256 TEXT NOT NULL, expected_sha256 TEXT NOT NULL,
            timing_model TEXT, body TEXT NOT NULL)""",
        """CREATE INDEX IF NOT EXISTS by_key ON measurements
            (image_key, board_type, input_sha256, expected_sha256)""",
        "CREATE INDEX IF NOT EXISTS by_board ON measurements (board)",
    ),
    durable=True,
)
_INSERT = """INSERT INTO measurements
    (utc, name, status, board, board_type, virtual,
     image_key, input_sha256, expected_sha256, timing_model, body)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_FIND = """SELECT id, body FROM measurements
    WHERE image_key = ? AND board_type = ? AND input_sha256 = ? AND expected_sha256 = ?
    AND status != 'bench_failure' AND (? IS NULL OR virtual = ?)
    AND (? IS NULL OR timing_model = ? OR status = 'too_big')
    ORDER BY id DESC LIMIT 1"""


class Store:
    """The results database; safe for many threads and processes at once.

    `add` returns only when the row is on disk, so a SIGKILL behind it loses nothing.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or platformdirs.user_state_path("tinyrack") / "results.db"
        self._lock = threading.Lock()
        self._database = open_database(self.path, _SCHEMA)

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; stored rows stay."""
        with self._lock:
            self._database.close()

    def add(self, m: Measurement) -> None:
        """Store one Measurement durably."""
        body = json.dumps(dataclasses.replace(m, source="measured").to_json(), allow_nan=False)
        who = (m.utc, m.name, m.status, m.board, m.board_type, m.virtual)
        what = (m.image_key, m.input_sha256, m.expected_sha256, m.timing_model, body)
        with self._lock, clear_errors(self.path, _SCHEMA.what), transaction(self._database) as db:
            db.execute(_INSERT, who + what)

    def find(
        self,
        image_key: str,
        board_type: str,
        input_sha256: str,
        expected_sha256: str,
        *,
        virtual: bool | None = None,
        timing_model: str | None = None,
    ) -> Measurement | None:
        """The newest result of this image on this type with this input, or None.

        Bench failures say nothing about the network and are never returned. `virtual` keeps
        emulated results and silicon apart; `timing_model` asks for one version of the cycle
        table (whether a network fits does not depend on it).
        """
        keys = (image_key, board_type, input_sha256, expected_sha256)
        rows = self._rows(_FIND, (*keys, virtual, virtual, timing_model, timing_model))
        return rows[0] if rows else None

    def last(self, board: str) -> Measurement | None:
        """The newest row of one board, whatever its status, or None."""
        query = "SELECT id, body FROM measurements WHERE board = ? ORDER BY id DESC LIMIT 1"
        rows = self._rows(query, (board,))
        return rows[0] if rows else None

    def all(self, board_type: str | None = None) -> list[Measurement]:
        """Every row, oldest first, of one board type or of all."""
        query = "SELECT id, body FROM measurements WHERE ? IS NULL OR board_type = ? ORDER BY id"
        return self._rows(query, (board_type, board_type))

    def _rows(self, query: str, values: tuple[object, ...]) -> list[Measurement]:
        with self._lock, clear_errors(self.path, _SCHEMA.what):
            rows = self._database.execute(query, values).fetchall()
        return [self._measurement(row["id"], row["body"]) for row in rows]

    def _measurement(self, row_id: int, body: str) -> Measurement:
        try:
            return dataclasses.replace(Measurement.from_json(json.loads(body)), source="stored")
        except (ValueError, TypeError) as error:
            advice = "delete that row or move the file away"
            raise FarmError(f"{self.path}: row {row_id} is damaged ({error}); {advice}") from error
