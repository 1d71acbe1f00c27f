"""Is anything that was stored ever lost? Writers killed at random points, again and again.

    python -m farm.store.crash --kills 500 --seed 1

A writer process opens the store and stores one thing after the other; it says the number of each
measurement through a pipe as soon as `Store.add` returned. At a random moment it gets SIGKILL:
while it opens, makes or migrates the file, or in the middle of a commit. Then the store must open,
every number that was said must be there, at most one more a kill, and the audit must hold. Every
few kills it begins with a new file, every second time with one of version 1 that has rows.

SIGKILL ends a process, not a computer: what a power cut leaves depends on the disk too, which is
why every commit is fsynced (synchronous = FULL).
"""

import argparse
import os
import select
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

import numpy as np

from farm.errors import FarmError
from farm.fencing import Fence
from farm.measure import Measurement
from farm.store import Store
from farm.store.history import GoldenRun
from farm.store.provenance import columns_of

KILLS_A_FILE = 20  # then a new one, or each look at all rows would take longer and longer
_MOST_ROWS = 8  # that a writer is waited for
_MOMENT_S = 0.01  # behind them: a commit takes some 3 ms
_OPENING = 0.3  # of the writers are not waited for
_OPENING_S = 0.04  # from fork to SIGKILL for no row: opening takes some 20 ms
_HUNG_S = 30.0
_EARLY_ROWS = 40  # of a file of version 1
_NUMBER_BYTES = 8
_VERSION_1 = """
    CREATE TABLE measurements (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        utc TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
        board TEXT NOT NULL, board_type TEXT NOT NULL, virtual INTEGER NOT NULL,
        image_key TEXT NOT NULL, input_sha256 TEXT NOT NULL, expected_sha256 TEXT NOT NULL,
        timing_model TEXT, body TEXT NOT NULL);
    CREATE INDEX by_key ON measurements (image_key, board_type, input_sha256, expected_sha256);
    CREATE INDEX by_board ON measurements (board);
    PRAGMA journal_mode = WAL;
    PRAGMA user_version = 1;
"""
_VERSION_1_ROW = """
    INSERT INTO measurements
    (utc, name, status, board, board_type, virtual,
     image_key, input_sha256, expected_sha256, timing_model, body)
    VALUES (:utc, :name, :status, :board, :board_type, :virtual,
     :image_key, :input_sha256, :expected_sha256, :timing_model, :body)
"""


@dataclass
class Tally:
    """What became of the writers: kills, those before their first row, rows said and kept."""

    kills: int = 0
    early: int = 0
    files: int = 0
    said: int = 0
    kept: int = 0
    entries: int = 0

    def __str__(self) -> str:
        return (
            f"{self.kills} writers killed ({self.early} before their first row, {self.files} "
            f"files): {self.said:,} rows were acknowledged, {self.kept:,} are there, none is "
            f"missing; {self.entries:,} audit entries hold"
        )


@dataclass
class Trial:
    """One file, its writers, and the rows that they said are stored."""

    path: Path
    chance: np.random.Generator
    said: set[str] = field(default_factory=set)
    kills: int = 0
    early: int = 0

    def kill_one(self) -> None:
        """Start a writer, kill it at a random point, and note what it had said."""
        first = self.kills * 1_000_000
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            _write_for_ever(self.path, writer, first)
        os.close(writer)
        with os.fdopen(reader, "rb", buffering=0) as pipe:
            numbers = self._wait(pipe)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            numbers += pipe.readall()
        count = len(numbers) // _NUMBER_BYTES
        self.said |= {f"row {first + i}" for i in range(count)}
        self.kills += 1
        self.early += count == 0

    def _wait(self, pipe: FileIO) -> bytes:
        """Until the very point of SIGKILL: while it opens, or some rows and a moment later."""
        opening = self.chance.random() < _OPENING
        rows = 0 if opening else int(self.chance.integers(1, _MOST_ROWS + 1))
        numbers = b""
        while len(numbers) < rows * _NUMBER_BYTES:
            if not select.select([pipe], [], [], _HUNG_S)[0]:
                raise FarmError(f"{self.path}: a writer stored nothing for {_HUNG_S:.0f} s")
            if not (more := pipe.read(_NUMBER_BYTES)):
                raise FarmError(f"{self.path}: a writer failed by itself")
            numbers += more
        time.sleep(self.chance.uniform(0, _MOMENT_S if rows else _OPENING_S))
        return numbers

    def check(self) -> tuple[int, int]:
        """Open the store: rows and audit entries there; FarmError when anything is missing."""
        with Store(self.path) as store:
            there = [m.name for m in store.all()]
            verdict = store.verify()
        if lost := sorted(self.said - set(there)):
            raise FarmError(f"{self.path}: {len(lost)} stored rows are lost, the first {lost[0]}")
        if len(there) != len(set(there)) or len(there) > len(self.said) + self.kills:
            raise FarmError(f"{self.path}: {len(there)} rows for {len(self.said)} that were stored")
        return len(there), verdict.entries


def run(folder: Path, kills: int, seed: int) -> Tally:
    """Kill so many writers of files in `folder`; FarmError at the first loss."""
    chance, tally = np.random.default_rng(seed), Tally()
    while tally.kills < kills:
        trial = Trial(folder / f"crash-{tally.files}.db", chance)
        if tally.files % 2:
            trial.said |= make_version_1(trial.path, _EARLY_ROWS)
        rows = entries = 0
        for _ in range(min(KILLS_A_FILE, kills - tally.kills)):
            trial.kill_one()
            rows, entries = trial.check()
        tally = Tally(
            tally.kills + trial.kills,
            tally.early + trial.early,
            tally.files + 1,
            tally.said + len(trial.said),
            tally.kept + rows,
            tally.entries + entries,
        )
    return tally


def make_version_1(path: Path, rows: int) -> set[str]:
    """A file as the first release left it, with so many rows; their names."""
    names = [f"old {i}" for i in range(rows)]
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(_VERSION_1)
        for name in names:
            database.execute(_VERSION_1_ROW, columns_of(_row(name)))
    return set(names)


def _write_for_ever(path: Path, pipe: int, first: int) -> None:
    """The writer: ends by SIGKILL alone."""
    try:
        while True:  # ends with the process: whoever started it kills it
            with Store(path) as store:
                for _ in range(8):
                    store.add(_row(f"row {first}"), fence=Fence("probe", 1 + first))
                    os.write(pipe, first.to_bytes(_NUMBER_BYTES, "big"))
                    first += 1
                    store.add_golden_run(
                        GoldenRun(board="b", board_type="t", virtual=True, ok=first % 5 > 0)
                    )
                store.flag_since_golden("b", "a crash test")
    finally:
        os._exit(1)


def _row(name: str) -> Measurement:
    return Measurement(name=name, status="too_big", board="b", board_type="t", virtual=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Kill, look, tell; 1 when something stored was lost."""
    parser = argparse.ArgumentParser(prog="python -m farm.store.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=500, help="writers (500)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of SIGKILL")
    args = parser.parse_args(argv)
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tinyrack-crash-") as folder:
        try:
            tally = run(Path(folder), args.kills, args.seed)
        except FarmError as error:
            sys.stderr.write(f"tinyrack: {error}\n")
            return 1
    sys.stdout.write(f"{tally}; {time.monotonic() - began_s:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
