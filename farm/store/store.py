"""Every Measurement ever made, in a database: what is stored is never measured again."""

import dataclasses
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, exists, func, insert, or_, select

from farm.errors import FarmError
from farm.leases.fencing import Fence
from farm.measure import Measurement, Scalar
from farm.rack.inventory import Rack
from farm.store import audit, counts, fences, flags, history, query
from farm.store.audit import Entry, Verdict, Who
from farm.store.counts import Measured, Recovered
from farm.store.database import Database
from farm.store.history import GoldenRun, Recovery
from farm.store.place import place_of
from farm.store.provenance import columns_of
from farm.store.query import Row, Wanted
from farm.store.tables import FLAGGED, MEASUREMENTS

_ROWS = MEASUREMENTS.c
_BODIES = select(_ROWS.id, _ROWS.body)
_FLAGGED = exists().where(FLAGGED.c.measurement_id == _ROWS.id)


class Store:
    """The results database at a path or URL; safe for many threads and processes at once.

    SQLite's file or PostgreSQL's database: see farm.store.place. What returns is on disk, so a
    SIGKILL behind it loses nothing. Every change is in the audit too, in the same transaction.
    """

    def __init__(self, where: Path | str | None = None, *, rack: Rack | None = None) -> None:
        self.place = place_of(where, rack)
        self.database = Database(self.place)

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> Path | None:
        """The database file, None for a server."""
        return self.place.path

    def close(self) -> None:
        """Close the database; stored rows stay."""
        self.database.close()

    def add(self, m: Measurement, *, fence: Fence | None = None) -> int:
        """Store one Measurement durably; its number.

        FencedError, and nothing is stored, when a newer lease of its board was announced.
        """
        row = columns_of(m)

        def add(connection: Connection) -> int:
            if fence is not None:
                fences.admit(connection, fence, m.board)
            made = insert(MEASUREMENTS).values(row).returning(_ROWS.id)
            row_id: int = connection.execute(made).scalar_one()
            audit.append_stored(connection, row_id, row)
            return row_id

        return self.database.write(add)

    def announce(self, fence: Fence) -> None:
        """Say that this lease was granted: results of earlier ones are refused from now on."""
        self.database.write(lambda connection: fences.announce(connection, fence))

    def audit(
        self,
        who: Who,
        action: str,
        board: str,
        *,
        token: int | None = None,
        image_sha256: str = "",
        result: str = "",
        **facts: Scalar,
    ) -> None:
        """Write down durably that somebody did something to a board; see farm.store.audit."""
        self.database.write(
            lambda connection: audit.append(
                connection,
                who,
                action,
                board,
                token=token,
                image_sha256=image_sha256,
                result=result,
                facts=facts,
            )
        )

    def flag_since(self, board: str, utc: str, why: str) -> int:
        """Flag what the board measured at `utc` (ISO 8601) or later; how many measurements.

        Flagged ones stay as they are, but `find` does not answer with them.
        """
        return self.database.write(lambda c: flags.flag_since(c, board, utc, why))

    def flag_since_golden(self, board: str, why: str) -> int:
        """Flag what the board measured behind its last good golden run; how many measurements.

        All of them when it never had a good one. Goes by numbers, not by clocks.
        """

        def flag(connection: Connection) -> int:
            good = history.last_good(connection, board)
            number = good.last_measurement if good else 0
            return flags.flag_after(connection, board, number, why)

        return self.database.write(flag)

    def add_recovery(self, recovery: Recovery) -> None:
        """Store durably what was tried to get a board back."""
        self.database.write(lambda connection: history.add_recovery(connection, recovery))

    def add_golden_run(self, run: GoldenRun) -> None:
        """Store durably how a golden image ran."""
        self.database.write(lambda connection: history.add_golden_run(connection, run))

    def recoveries(self, board: str | None = None) -> list[Recovery]:
        """Those of one board, or of all, oldest first."""
        with self.database.reading() as connection:
            return history.recoveries(connection, board)

    def golden_runs(self, board: str | None = None) -> list[GoldenRun]:
        """Those of one board, or of all, oldest first."""
        with self.database.reading() as connection:
            return history.golden_runs(connection, board)

    def last_golden(self, board: str) -> GoldenRun | None:
        """The board's newest golden run, right or wrong, or None."""
        with self.database.reading() as connection:
            return history.last_run(connection, board)

    def golden_around(
        self, board: str, row_id: int
    ) -> tuple[tuple[int, GoldenRun] | None, tuple[int, GoldenRun] | None]:
        """The golden runs, with their numbers, next before and behind a measurement of a board."""
        with self.database.reading() as connection:
            return history.golden_around(connection, board, row_id)

    def last_good_golden(self, board: str) -> GoldenRun | None:
        """The board's newest golden run that was right, or None."""
        with self.database.reading() as connection:
            return history.last_good(connection, board)

    def entries(self, board: str | None = None) -> list[Entry]:
        """The audit of one board, or of all, oldest first."""
        with self.database.reading() as connection:
            return list(audit.entries(connection, board))

    def verify(self) -> Verdict:
        """Check the file, the audit's chain and the measurements it names; FarmError if broken."""
        with self.database.reading() as connection:
            self.database.check(connection)
            return audit.verify(connection)

    def measured(self, since: str = "") -> list[Measured]:
        """How many rows there are by board and status; since: an ISO 8601 time, "" for all."""
        with self.database.reading() as connection:
            return counts.measured(connection, since)

    def recovered(self, since: str = "") -> list[Recovered]:
        """How many rungs were climbed, by board, rung and outcome; since: as for `measured`."""
        with self.database.reading() as connection:
            return counts.recovered(connection, since)

    def rows(self, wanted: Wanted) -> Iterator[Row]:
        """What is wanted, oldest first; other threads wait until the last row is taken."""
        with self.database.reading() as connection:
            yield from query.rows(connection, wanted)

    def row(self, row_id: int) -> Row | None:
        """The measurement of that number, or None."""
        with self.database.reading() as connection:
            return query.row(connection, row_id)

    def find(
        self,
        image_key: str,
        board_type: str,
        input_sha256: str,
        expected_sha256: str,
        *,
        virtual: bool | None = None,
        timing_model: str | None = None,
        boards: Collection[str] = (),
        purposes: Collection[str] = (),
    ) -> Measurement | None:
        """The newest result of this image on this type with this input, or None.

        Bench failures say nothing about the network and are never returned, nor is anything
        flagged. `virtual` keeps emulated results and silicon apart; `timing_model` asks for one
        version of the cycle table (whether a network fits does not depend on it). `boards` and
        `purposes` (provenance, "" for none) ask for one of these.
        """
        asked = _BODIES.where(
            _ROWS.image_key == image_key,
            _ROWS.board_type == board_type,
            _ROWS.input_sha256 == input_sha256,
            _ROWS.expected_sha256 == expected_sha256,
            _ROWS.status != "bench_failure",
            ~_FLAGGED,
        )
        if virtual is not None:
            asked = asked.where(_ROWS.virtual == virtual)
        if timing_model is not None:
            asked = asked.where(or_(_ROWS.timing_model == timing_model, _ROWS.status == "too_big"))
        if boards:
            asked = asked.where(_ROWS.board.in_(boards))
        if purposes:
            asked = asked.where(func.coalesce(_ROWS.purpose, "").in_(purposes))
        return self._newest(asked)

    def of_job(self, job_id: str) -> list[Measurement]:
        """Every row of the job with that id (provenance `job_id`), oldest first, but no flagged
        result: as everywhere, it answers nothing."""
        answers = or_(_ROWS.status == "bench_failure", ~_FLAGGED)
        return self._all(_BODIES.where(_ROWS.job_id == job_id, answers))

    def last(self, board: str) -> Measurement | None:
        """The newest row of one board, whatever its status, or None."""
        return self._newest(_BODIES.where(_ROWS.board == board))

    def all(self, board_type: str | None = None) -> list[Measurement]:
        """Every row, oldest first, of one board type or of all."""
        asked = _BODIES if board_type is None else _BODIES.where(_ROWS.board_type == board_type)
        return self._all(asked)

    def _all(self, asked: Select[Any]) -> list[Measurement]:
        with self.database.reading() as connection:
            rows = connection.execute(asked.order_by(_ROWS.id)).all()
        return [self._measurement(row.id, row.body) for row in rows]

    def _newest(self, asked: Select[Any]) -> Measurement | None:
        with self.database.reading() as connection:
            row = connection.execute(asked.order_by(_ROWS.id.desc()).limit(1)).one_or_none()
        return None if row is None else self._measurement(row.id, row.body)

    def _measurement(self, row_id: int, body: str) -> Measurement:
        try:
            return dataclasses.replace(Measurement.from_json(json.loads(body)), source="stored")
        except (ValueError, TypeError) as error:
            advice = "delete that row or move the file away"
            what = f"{self.place}: row {row_id} is damaged ({error}); {advice}"
            raise FarmError(what) from error
