"""A soak: boards up at once, flashed and measured in turn, looked at once in a while."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field

from engine.errors import EngineError
from farm.errors import BenchError, FarmError, NoBoardError
from farm.job import Event, Job
from farm.manager import BoardManager
from farm.measure import Measurement
from farm.rack.inventory import Board, Rack
from farm.soak.census import Folders, Sample, take
from farm.soak.chaos import DEADLINE_S, RETRIES, Chaos
from farm.soak.verdict import Work
from farm.virtual import rack as virtual_rack
from farm.virtual import registry

_GONE_S = 10.0
_POLL_S = 0.05
_JOB_DEADLINE_S = 240.0  # with all boards up on two cores, and others working beside
_TAIL_S = 60.0  # what is still under way at the end gets so long


_Flying = dict[Future[Measurement], tuple[Board, Job]]


@dataclass(frozen=True)
class Plan:
    """How long, how many boards are measured at the same time, how often one looks."""

    seconds: float
    at_once: int = 4
    every_s: float = 60.0
    turns: int = 0  # of each board; 0: as many as fit
    faults: bool = False  # every second job of a board meets one


@dataclass
class Tally:
    """What became of the jobs so far."""

    done: int = 0
    wrong: list[str] = field(default_factory=list)  # and those whose cycles did not repeat
    retries: int = 0
    errors: list[str] = field(default_factory=list)
    cycles: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, job: Job, outcome: Measurement | Exception) -> None:
        """Count one job; the cycles of a network on a type of board must repeat."""
        if isinstance(outcome, Exception):
            self.errors.append(str(outcome))
            return
        self.done += 1
        right, key = outcome.status == "ok", (job.model.sha256, job.board_type)
        first = self.cycles.setdefault(key, outcome.cycles) if right else 0
        if not right or outcome.cycles != first:
            self.wrong.append(
                f"{outcome.board}: {job.name}: {outcome.status} {outcome.message}, "
                f"{outcome.cycles} cycles, at first {first}"
            )

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
        self.chaos = Chaos(rack.boards) if plan.faults else None
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
            self._end(started_s)
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
            retries=RETRIES if self.chaos else 2,
            progress=self._on_event,
            job_deadline_s=DEADLINE_S if self.chaos else _JOB_DEADLINE_S,
        ) as manager:
            watch = _Watch(self._sample(started_s, on_sample), self.plan.every_s)
            with watch:
                self._turns(manager, work, started_s + self.plan.seconds)
            self._sample(started_s, on_sample)()

    def _turns(
        self, manager: BoardManager, work: Iterator[tuple[Board, Job]], ends_at: float
    ) -> None:
        """Keep `at_once` boards busy until the time, or the number of turns, is over."""
        left = self.plan.turns * len(self.rack.boards) or math.inf
        flying: _Flying = {}
        while time.monotonic() < ends_at and left:
            if len(flying) < min(self.plan.at_once, len(self.rack.boards)):
                self._give(manager, *_of_idle_board(work, flying), flying)
                left -= 1
            else:
                self._collect(flying, 1.0)
        deadline = time.monotonic() + _TAIL_S
        while flying and time.monotonic() < deadline:
            self._collect(flying, 1.0)

    def _give(self, manager: BoardManager, board: Board, job: Job, flying: _Flying) -> None:
        if self.chaos:
            self.chaos.plan(board)
        try:
            flying[manager.submit(job, on=board.id)] = board, job
        except (NoBoardError, BenchError) as error:  # out of service: why is in the tally
            self._note(board, job, error)
            time.sleep(_POLL_S)

    def _collect(self, flying: _Flying, timeout_s: float) -> None:
        for future in wait(flying, timeout_s, FIRST_COMPLETED).done:
            board, job = flying.pop(future)
            self._note(board, job, _outcome(future))

    def _on_event(self, event: Event) -> None:
        self.tally.on_event(event)
        if self.chaos:
            self.chaos.on_event(event)

    def _note(self, board: Board, job: Job, outcome: Measurement | Exception) -> None:
        if self.chaos:
            self.chaos.ended(board, job, outcome if isinstance(outcome, Exception) else None)
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

    def _end(self, started_s: float) -> None:
        """Take the rack down, and wait for what a killed worker was just starting."""
        deadline = time.monotonic() + _GONE_S
        virtual_rack.down()
        while len(take(self.folders, started_s).processes) > 1 and time.monotonic() < deadline:
            time.sleep(_POLL_S)
            virtual_rack.down()

    def _left(self, before: Sample, started_s: float) -> Work:
        """What is there when everything was closed."""
        after = take(self.folders, started_s)
        stale = [p for p in registry.state_dir().iterdir() if p.suffix in (".json", ".tty", ".tmp")]
        more = after.total("manager", "descriptors") - before.total("manager", "descriptors")
        return Work(
            done=self.tally.done,
            failures=self._failures(),
            wrong=len(self.tally.wrong),
            processes_left=len(after.processes) - 1,
            files_left=len(stale) + after.temporary,
            descriptors_left=max(0, more),
        )

    def _failures(self) -> int:
        """Jobs without a result; with faults, those and attempts that failed for no true reason."""
        if self.chaos:
            return len(self.chaos.untrue)
        return len(self.tally.errors) - self.tally.retries


def _outcome(future: Future[Measurement]) -> Measurement | Exception:
    try:
        return future.result()
    except (FarmError, EngineError) as error:
        return error


def _of_idle_board(work: Iterator[tuple[Board, Job]], flying: _Flying) -> tuple[Board, Job]:
    """The next turn of a board that has nothing to do; one that is slow misses a turn."""
    busy = {board.id for board, _ in flying.values()}
    return next((board, job) for board, job in work if board.id not in busy)


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
