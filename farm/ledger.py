"""What has become of a job before, in this process or another: the store is the ledger.

Every attempt leaves a row, and the row of a job with an id names it. So whoever hands the same
job in again, after a crash or from elsewhere, gets its result, or its failure, or its next
attempt; nothing has to be kept in step with the store, and nothing can be lost but an attempt.
"""

import dataclasses
import threading
from collections.abc import Collection
from dataclasses import dataclass, field

from farm.inventory import BoardType
from farm.job import Job, serves
from farm.measure import Measurement
from farm.store import Store
from farm.tickets import Key
from farm.virtual.parts import load_part

JOB_ID = "job_id"  # the names of facts in a row's provenance
FINAL = "final"


@dataclass
class Past:
    """The rows of one job, oldest first: its result, if there is one, and its failures."""

    result: Measurement | None = None
    failures: list[Measurement] = field(default_factory=list)

    @property
    def given_up(self) -> bool:
        """Whether it had all its attempts."""
        return self.result is None and any(FINAL in m.provenance for m in self.failures)

    def add(self, m: Measurement) -> None:
        """Note one more row."""
        if m.status == "bench_failure":
            self.failures.append(m)
        else:
            self.result = self.result or dataclasses.replace(m, source="stored")


class Ledger:
    """Reads the store; safe for threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._past: dict[str, Past] | None = None  # read when the first job with an id comes

    def stored(
        self, job: Job, key: Key, kind: BoardType, *, virtual: bool, boards: Collection[str] = ()
    ) -> Measurement | None:
        """A result that answers this job, made on one of `boards` (any, if empty)."""
        table = load_part(kind.mcu).timing_model if virtual else None
        found = self._store.find(*key, virtual=virtual, timing_model=table)
        if found is None or (boards and found.board not in boards):
            return None
        made_for = str(found.provenance.get("purpose", ""))
        return found if serves(made_for, job.purpose) else None

    def past(self, job_id: str) -> Past:
        """What is known of the job with that id."""
        with self._lock:
            if self._past is None:
                self._past = {}
                for m in self._store.all():
                    self._note(m)
            return self._past.get(job_id, Past())

    def note(self, m: Measurement) -> None:
        """A row was stored."""
        with self._lock:
            if self._past is not None:
                self._note(m)

    def _note(self, m: Measurement) -> None:
        if job_id := str(m.provenance.get(JOB_ID, "")):
            assert self._past is not None
            self._past.setdefault(job_id, Past()).add(m)
