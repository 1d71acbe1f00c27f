"""A soak: boards up at once, flashed and measured in turn, looked at once in a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field

from engine.errors import EngineError
from farm.errors import BenchError, FarmError, NoBoardError
from farm.inventory import Board, Rack
from farm.job import Event, Job
from farm.manager import BoardManager
from farm.measure import Measurement
from farm.soak.census import Folders, Sample, take
from farm.soak.verdict import Work
from farm.virtual import rack as virtual_rack
from farm.virtual import registry

_GONE_S = 10.0
_POLL_S = 0.05
_JOB_DEADLINE_S = 240.0  # with all boards up on two cores, and others working beside
_TAIL_S = 60.0  # what is still under way at the end gets so long


@dataclass(frozen=True)
class Plan:
    """How long, how many boards are measured at the same time, how often one looks."""

    seconds: float
    at_once: int = 4
    every_s: float = 60.0
    turns: int = 0  # of each board; 0: as many as fit


@dataclass
class Tally:
    """What became of the jobs so far."""

    done: int = 0
    wrong: int = 0
    retries: int = 0
    errors: list[str] = field(default_factory=list)
    cycles: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, job: Job, outcome: Measurement | Exception) -> None:
        """Count one job; the cycles of a network on a type of board must repeat."""
        if isinstance(outcome, Exception):
            self.errors.append(str(outcome))
            return
        self.done += 1
        first = self.cycles.setdefault((job.model.sha256, job.board_type), outcome.cycles)
        if outcome.status != "ok" or outcome.cycles != first:
            self.wrong += 1
            self.errors.append(f"{outcome.board}: {job.name}: {outcome.status} {outcome.message}")

    def on_event(self, event: Event) -> None:
        """Count what the manager tried again; called from its threads."""
        if event.kind == "retried":
            self.retries += 1
            self.errors.append(f"{event.board}: tried again: {event.detail}")


class Soak:
    """One soak over a rack whose boards are virtual."""

    def __init__(self, rack: Rack, folders: Folders, plan: Plan) -> None:
        self.rack, self.folders, self.plan = rack, folders, plan
        self.tally = Tally()
        self.samples: list[Sample] = []
        self._lock = threading.Lock()

    def run(self, work: Iterator[tuple[Board, Job]], on_sample: Callable[[Sample], None]) -> Work:
        """Bring the rack up, use it, take it down; what was done and what was left."""
        started_s = time.monotonic()
        before = take(self.folders, started_s)
        try:
            virtual_rack.up(self.rack.boards, timeout_s=120.0)
            self._use(work, started_s, on_sample)
        finally:
            virtual_rack.down([board.probe_uid for board in self.rack.boards])
        return self._left(before, started_s)

    def _use(
        self,
        work: Iterator[tuple[Board, Job]],
        started_s: float,
        on_sample: Callable[[Sample], None],
    ) -> None:
        with BoardManager(
            self.rack,
            self.rack.boards,
            progress=self.tally.on_event,
            job_deadline_s=_JOB_DEADLINE_S,
        ) as manager:
            watch = _Watch(self._sample(started_s, on_sample), self.plan.every_s)
            with watch:
                self._turns(manager, work, started_s + self.plan.seconds)
            self._sample(started_s, on_sample)()

    def _turns(
        self, manager: BoardManager, work: Iterator[tuple[Board, Job]], ends_at: float
    ) -> None:
        """Keep `at_once` boards busy until the time, or the number of turns, is over."""
        most = self.plan.turns * len(self.rack.boards)
        given = 0
        flying: dict[Future[Measurement], Job] = {}
        while time.monotonic() < ends_at and (not most or given < most):
            while len(flying) < self.plan.at_once and (not most or given < most):
                self._give(manager, *next(work), flying)
                given += 1
            self._collect(flying, 1.0)
        deadline = time.monotonic() + _TAIL_S
        while flying and time.monotonic() < deadline:
            self._collect(flying, 1.0)

    def _give(
        self, manager: BoardManager, board: Board, job: Job, flying: dict[Future[Measurement], Job]
    ) -> None:
        try:
            flying[manager.submit(job, on=board.id)] = job
        except (
            NoBoardError,
            BenchError,
        ) as error:  # out of service since its failures: they are in the tally
            self._note(job, error)
            time.sleep(_POLL_S)

    def _collect(self, flying: dict[Future[Measurement], Job], timeout_s: float) -> None:
        for future in wait(flying, timeout_s, FIRST_COMPLETED).done:
            self._note(flying.pop(future), _outcome(future))

    def _note(self, job: Job, outcome: Measurement | Exception) -> None:
        with self._lock:
            self.tally.add(job, outcome)

    def _sample(self, started_s: float, on_sample: Callable[[Sample], None]) -> Callable[[], None]:
        def look() -> None:
            with self._lock:
                counts = {
                    "done": self.tally.done,
                    "failures": len(self.tally.errors) - self.tally.retries,
                    "retries": self.tally.retries,
                }
                self.samples.append(take(self.folders, started_s, **counts))
            on_sample(self.samples[-1])

        return look

    def _left(self, before: Sample, started_s: float) -> Work:
        """What is there when everything was closed; processes get a while to end."""
        deadline = time.monotonic() + _GONE_S
        after = take(self.folders, started_s)
        while len(after.processes) > 1 and time.monotonic() < deadline:
            time.sleep(_POLL_S)
            after = take(self.folders, started_s)
        stale = [p for p in registry.state_dir().iterdir() if p.suffix in (".json", ".tty", ".tmp")]
        more = after.total("manager", "descriptors") - before.total("manager", "descriptors")
        return Work(
            done=self.tally.done,
            failures=len(self.tally.errors) - self.tally.wrong - self.tally.retries,
            wrong=self.tally.wrong,
            processes_left=len(after.processes) - 1,
            files_left=len(stale) + after.temporary,
            descriptors_left=max(0, more),
        )


def _outcome(future: Future[Measurement]) -> Measurement | Exception:
    try:
        return future.result()
    except (FarmError, EngineError) as error:
        return error


class _Watch:
    """Calls `look` once in a while from a thread of its own, while the context is open."""

    def __init__(self, look: Callable[[], None], every_s: float) -> None:
        self._look, self._every_s = look, every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="census", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(self._every_s)

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            self._look()
