"""One life of a manager in an ordeal: it goes on with what earlier ones left, until it is killed.

python -m farm.soak.life ORDEAL.json NUMBER
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

from farm.errors import BenchError, BoardsBusyError, FarmError, NoBoardError
from farm.job import Job
from farm.manager import BoardManager
from farm.measure import Measurement
from farm.rack.inventory import load_rack
from farm.scheduling import ledger
from farm.soak.ordeal_work import Ordeal, given, jobs
from farm.soak.strikes import Log, Strikes, mend
from farm.store import Store

DEADLINE_S = 45.0  # of an attempt: a board that fell silent takes all of it
EXIT_UNFINISHED = 3
_AHEAD = 3  # jobs handed in for each board
_ONCE_MORE = 200  # of those that have ended: each life hands in the last ones again
_RETURNS = 50  # how often a job may come back because no board was in service
_PAUSE_S = 1.0
_WAIT_S = 10.0


def main(words: list[str]) -> int:
    """Measure what is not measured yet; 0 when every job has ended."""
    ordeal, number = Ordeal.load(Path(words[0])), int(words[1])
    rack = load_rack(ordeal.rack)
    for board in rack.boards:  # the life before may have been killed in the middle of a fault
        mend(board)
    work = given(ordeal.networks)
    ended = Ended(Path(ordeal.log))
    todo = ended.without(jobs(rack, work, ordeal.jobs))
    strikes = Strikes(rack.boards, Log(Path(ordeal.log)), number, ordeal.rate, ordeal.seed)
    with BoardManager(
        rack,
        rack.boards,
        retries=ordeal.retries,
        progress=strikes.on_event,
        job_deadline_s=DEADLINE_S,
    ) as manager:
        finished = _Life(manager, todo, ended, _AHEAD * len(rack.boards)).run()
    strikes.end()
    return 0 if finished else EXIT_UNFINISHED


class Ended:
    """Ids of the jobs that have ended, in a file, so that a life need not ask for all of them."""

    def __init__(self, log: Path) -> None:
        self._path = log.with_name("ended.txt")

    def add(self, job: Job) -> None:
        """Write one down; one that is lost by a kill is asked for again."""
        with self._path.open("a", encoding="ascii") as ended:
            ended.write(f"{job.id}\n")

    def ids(self) -> list[str]:
        """Each once, in the order in which they ended."""
        lines = self._path.read_text("ascii").splitlines() if self._path.exists() else []
        return list(dict.fromkeys(lines))

    def without(self, todo: Iterable[Job]) -> Iterator[Job]:
        """Those that have not ended, and the last ones that have: they must not be done again."""
        over = set(self.ids()[:-_ONCE_MORE])
        return (job for job in todo if job.id not in over)


class _Life:
    """Keeps some jobs handed in until all have ended."""

    def __init__(
        self, manager: BoardManager, todo: Iterator[Job], ended: Ended, ahead: int
    ) -> None:
        self._manager, self._store = manager, manager.store
        self._todo, self._noted, self._ahead = todo, ended, ahead
        self._again: deque[Job] = deque()
        self._returned: dict[str, int] = {}
        self._flying: dict[Future[Measurement], Job] = {}

    def run(self) -> bool:
        """True when every job has ended for good."""
        while True:
            while len(self._flying) < self._ahead and (job := self._next()) is not None:
                self._submit(job)
            if not self._flying:
                return max(self._returned.values(), default=0) <= _RETURNS
            for future in wait(self._flying, _WAIT_S, FIRST_COMPLETED).done:
                self._ended(self._flying.pop(future), future)

    def _next(self) -> Job | None:
        return self._again.popleft() if self._again else next(self._todo, None)

    def _submit(self, job: Job) -> None:
        try:
            future = self._manager.submit(job, again=True, submitter=job.board_type)
        except (NoBoardError, BenchError):  # no board of its type is in service just now
            self._return(job)
            time.sleep(_PAUSE_S)
        else:
            self._flying[future] = job

    def _ended(self, job: Job, future: Future[Measurement]) -> None:
        try:
            future.result()
        except (NoBoardError, BoardsBusyError, BenchError):
            if not _has_ended(self._store, job):
                self._return(job)
                return
        self._noted.add(job)

    def _return(self, job: Job) -> None:
        self._returned[job.id] = self._returned.get(job.id, 0) + 1
        if self._returned[job.id] <= _RETURNS:
            self._again.append(job)


def _has_ended(store: Store, job: Job) -> bool:
    past = ledger.past(store, job.id)
    return past.result is not None or past.given_up


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except FarmError as error:
        sys.exit(f"life: {error}")
