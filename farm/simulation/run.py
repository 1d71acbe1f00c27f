"""One simulation: a rack of so many boards, so many jobs, and what the manager cost."""

import itertools
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from farm.errors import BenchError
from farm.manager import BoardManager
from farm.measure import Measurement
from farm.rack.inventory import Rack
from farm.simulation.crew import Pace, SimulatedCrew
from farm.simulation.work import orders, simulated_rack
from farm.store import Store

_MEMORY_JOBS = 2000


@dataclass(frozen=True)
class Figures:
    """What one simulation showed; CPU time is real and the manager's, with its store."""

    boards: int
    jobs: int
    measured: int
    failed_attempts: int
    jobs_lost: int
    submit_ms: float  # CPU time to look up and queue one job
    manage_ms: float  # CPU time from a job's end to the start of the next: store, tell, decide
    busy_percent: float  # of the boards' time until the last job was given out
    other_image_percent: float  # of the jobs that found another image on their board
    board_bytes: int  # memory of the manager for each board
    job_bytes: int  # and for each waiting job

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def simulate(source: Rack, boards: int, jobs: int, pace: Pace | None = None) -> Figures:
    """Run `jobs` over `boards` of the types of `source`, all handed in at once."""
    rack = simulated_rack(source, boards)
    crew = SimulatedCrew(pace or Pace())
    with _manager(rack, crew) as manager:
        futures: list[Future[Measurement]] = []
        started_s = time.process_time()
        for order in itertools.islice(orders(rack), jobs):
            future = manager.submit(order.job, purpose=order.purpose, submitter=order.submitter)
            futures.append(future)
        submitted_s = time.process_time() - started_s
        crew.run()
        tally = crew.tally
        ended = [future for future in futures if future.done()]
        measured = [f for f in ended if not isinstance(f.exception(), BenchError)]
    whole_s = boards * tally.last_start_s
    board_bytes, job_bytes = _memory(rack, jobs=min(jobs, _MEMORY_JOBS))
    return Figures(
        boards=boards,
        jobs=jobs,
        measured=len(measured),
        failed_attempts=tally.failed,
        jobs_lost=jobs - len(ended),
        submit_ms=submitted_s / jobs * 1e3,
        manage_ms=tally.cpu_s / jobs * 1e3,
        busy_percent=100.0 * (1.0 - tally.idle_s / whole_s) if whole_s else 0.0,
        other_image_percent=100.0 * tally.other_image / tally.started,
        board_bytes=board_bytes,
        job_bytes=job_bytes,
    )


def _memory(rack: Rack, jobs: int) -> tuple[int, int]:
    """Bytes of the manager for each board and for each job that waits, as Python counts them."""
    work = list(itertools.islice(orders(rack, seed=2), jobs))
    crew = SimulatedCrew(Pace())
    with _store() as store:
        tracemalloc.start()
        try:
            manager = BoardManager(rack, rack.boards, store, runner=crew)
            first = manager.submit(work[0].job)
            board_bytes = tracemalloc.get_traced_memory()[0]
            others = [manager.submit(each.job, submitter=each.submitter) for each in work[1:]]
            job_bytes = tracemalloc.get_traced_memory()[0] - board_bytes
        finally:
            tracemalloc.stop()
        manager.close()
    assert all(future.done() for future in (first, *others)), "a closed manager told them"
    return board_bytes // len(rack.boards), job_bytes // max(1, len(work) - 1)


@contextmanager
def _manager(rack: Rack, crew: SimulatedCrew) -> Iterator[BoardManager]:
    with _store() as store, BoardManager(rack, rack.boards, store, runner=crew) as manager:
        yield manager


@contextmanager
def _store() -> Iterator[Store]:
    """The real store, in a file of its own."""
    with TemporaryDirectory(prefix="tr-sim-") as folder, Store(Path(folder, "results.db")) as store:
        yield store
