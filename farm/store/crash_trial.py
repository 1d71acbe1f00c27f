"""One store, the writers that are killed at random points, and whether all that they said is there.

A writer says the number of each measurement through a pipe as soon as `Store.add` returned.
"""

import os
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from itertools import pairwise
from pathlib import Path

import numpy as np
from sqlalchemy import create_engine

from farm.errors import FarmError, FencedError
from farm.leases.fencing import Fence
from farm.store import Store
from farm.store.errors import clear_errors
from farm.store.history import GoldenRun
from farm.store.old import row
from farm.store.patience import SERVER_S
from farm.store.place import Place, place_of

_MOST_ROWS = 8  # that a writer is waited for
_MOMENT_S = 0.01  # behind them: a commit takes some 3 ms
_OPENING = 0.3  # of the writers are not waited for
_OPENING_S = 0.04  # from fork to SIGKILL for no row: opening takes some 20 ms
_HUNG_S = 150.0
_NUMBER_BYTES = 8
_OF_ONE_WRITER = 1_000_000


@contextmanager
def own_place(where: str | None, folder: Path, number: int) -> Iterator[Place]:
    """An empty place: a file in `folder`, or a new database beside that of a server's URL."""
    if where is None or (place := place_of(where)).path:
        yield place_of(folder / f"crash-{number}.db")
        return
    name = f"tinyrack_crash_{os.getpid()}_{number}"
    engine = create_engine(place.url, isolation_level="AUTOCOMMIT")
    with clear_errors(place), engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield Place(place.url.set(database=name), None)
    finally:
        engine.dispose()  # the server may have been started again since
        with clear_errors(place), engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        engine.dispose()


@dataclass(frozen=True)
class Writer:
    """A process that stores rows from number `first` on, and the pipe on which it says so."""

    pid: int
    pipe: FileIO
    first: int

    @classmethod
    def start(cls, place: Place, first: int) -> "Writer":
        """Fork one."""
        reader, writer = os.pipe()
        if (pid := os.fork()) == 0:
            os.close(reader)
            _write_for_ever(place, writer, first)
        os.close(writer)
        return cls(pid, os.fdopen(reader, "rb", buffering=0), first)

    def wait(self, rows: int) -> int:
        """Until it said so many more; how many it said. FarmError when it does not."""
        said = 0
        while said < rows:
            if not select.select([self.pipe], [], [], _HUNG_S)[0]:
                raise FarmError(f"a writer stored nothing for {_HUNG_S:.0f} s")
            if not self.pipe.read(_NUMBER_BYTES):
                raise FarmError("a writer failed by itself; its last line says why")
            said += 1
        return said

    def kill(self) -> int:
        """End it by SIGKILL; how many rows it had said that nobody has read yet."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        with self.pipe:
            return len(self.pipe.readall()) // _NUMBER_BYTES


@dataclass
class Trial:
    """One store, its writers, and the rows that they said are stored."""

    place: Place
    chance: np.random.Generator
    said: set[str] = field(default_factory=set)
    kills: int = 0
    early: int = 0

    def kill_some(self, count: int, restart: Sequence[str] = ()) -> None:
        """Start so many writers, kill one after the other at random points, note what they said.

        restart: a command that restarts the server, while all of them write.
        """
        firsts = [(self.kills + i) * _OF_ONE_WRITER for i in range(count)]
        writers = deque(Writer.start(self.place, first) for first in firsts)
        try:
            before = [writer.wait(1) if restart else 0 for writer in writers]
            if restart:
                _restart(restart)
            for said in before:
                self._wait_and_kill(writers, said, must_write=bool(restart))
        finally:
            for writer in writers:  # of which one failed
                writer.kill()

    def _wait_and_kill(self, writers: deque[Writer], said: int, *, must_write: bool) -> None:
        """Behind a restart every writer has to write again."""
        opening = not must_write and self.chance.random() < _OPENING
        rows = 0 if opening else int(self.chance.integers(1, _MOST_ROWS + 1))
        said += writers[0].wait(rows)
        time.sleep(self.chance.uniform(0, _MOMENT_S if rows else _OPENING_S))
        writer = writers.popleft()
        said += writer.kill()
        self.said |= {f"row {writer.first + i}" for i in range(said)}
        self.kills += 1
        self.early += said == 0

    def check(self) -> tuple[int, int]:
        """Open the store: rows and audit entries there; FarmError when anything is missing."""
        with Store(self.place.path or self.place.url.render_as_string(False)) as store:
            found = store.all()
            verdict = store.verify()
        there = [m.name for m in found]
        if lost := sorted(self.said - set(there)):
            raise FarmError(f"{self.place}: {len(lost)} stored rows are lost, the first {lost[0]}")
        if len(there) != len(set(there)) or len(there) > len(self.said) + self.kills:
            what = f"{len(there)} rows for {len(self.said)} that were stored"
            raise FarmError(f"{self.place}: {what}")
        tokens = [int(m.provenance.get("lease_token", 0)) for m in found]
        if any(late < early for early, late in pairwise(tokens)):
            raise FarmError(f"{self.place}: a result of an older lease came behind a newer one")
        return len(there), verdict.entries


def _restart(command: Sequence[str]) -> None:
    try:
        subprocess.run(command, check=True, timeout=_HUNG_S, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as error:
        raise FarmError(f"the server could not be restarted: {error}") from error


def _write_for_ever(place: Place, pipe: int, first: int) -> None:
    """The writer: ends by SIGKILL alone.

    All write for one board; their tokens rise over all processes, as those of leases do. A
    writer that another one overtook stores nothing, and takes a newer one.
    """
    number = first
    try:
        while True:  # ends with the process: whoever started it kills it
            with _opened(place) as store:
                for _ in range(8):
                    token = time.monotonic_ns()
                    try:
                        store.add(
                            row(f"row {number}", {"lease_token": token}),
                            fence=Fence("probe", token),
                        )
                    except FencedError:
                        continue
                    os.write(pipe, number.to_bytes(_NUMBER_BYTES, "big"))
                    number += 1
                    store.add_golden_run(
                        GoldenRun(board="b", board_type="t", virtual=True, ok=number % 5 > 0)
                    )
                store.flag_since_golden("b", "a crash test")
    except FarmError as error:
        os.write(2, f"tinyrack: {error}\n".encode())
    finally:
        os._exit(1)


def _opened(place: Place) -> Store:
    """The store; a server may just be starting again."""
    where = place.path or place.url.render_as_string(False)
    ends_s = time.monotonic() + (0.0 if place.path else SERVER_S)
    while True:
        try:
            return Store(where)
        except FarmError:
            if time.monotonic() >= ends_s:
                raise
        time.sleep(0.2)  # the end is above
