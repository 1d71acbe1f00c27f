"""What has become of a job before, in this process or another: the store is the ledger.

Every attempt leaves a row, and the row of a job with an id names it. So whoever hands the same
job in again, after a crash or from elsewhere, gets its result, or its failure, or its next
attempt; nothing has to be kept in step with the store, and nothing can be lost but an attempt.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from farm.job import Job, Purpose
from farm.measure import Measurement
from farm.rack.inventory import BoardType
from farm.scheduling.tickets import Key
from farm.store import Store
from farm.virtual.parts import load_part

JOB_ID = "job_id"  # the names of facts in a row's provenance
FINAL = "final"
# The purposes whose stored results answer a job: made with as much care. Golden ones never do.
_SERVED_BY: Mapping[Purpose, Collection[str]] = {
    "search": (),  # any
    "calibration": ("calibration", "final"),
    "final": ("final",),
}


@dataclass(frozen=True)
class Past:
    """What is known of one job: its result, if there is one, and its failures, oldest first."""

    result: Measurement | None
    failures: tuple[Measurement, ...]

    @property
    def given_up(self) -> bool:
        """Whether it had all its attempts."""
        return self.result is None and any(FINAL in m.provenance for m in self.failures)


def past(store: Store, job_id: str) -> Past:
    """What is known of the job with that id."""
    rows = store.of_job(job_id)
    results = [m for m in rows if m.status != "bench_failure"]
    failures = tuple(m for m in rows if m.status == "bench_failure")
    return Past(results[0] if results else None, failures)


def stored(
    store: Store, job: Job, key: Key, kind: BoardType, *, virtual: bool, boards: Collection[str]
) -> Measurement | None:
    """A result that answers this job, made on one of `boards` (any, if empty)."""
    if job.purpose not in _SERVED_BY:
        return None
    table = load_part(kind.mcu).timing_model if virtual else None
    purposes = _SERVED_BY[job.purpose]
    return store.find(*key, virtual=virtual, timing_model=table, boards=boards, purposes=purposes)
