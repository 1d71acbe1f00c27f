"""Ticket: one job in the manager's hands, with everyone who waits for its result."""

from concurrent.futures import Future
from dataclasses import dataclass, field

from farm.image import image_key
from farm.job import Job, Purpose
from farm.mcus import Mcu
from farm.measure import Measurement
from farm.scheduling.schedule import Group, Task

Key = tuple[str, str, str, str]  # image key, board type, SHA-256 of input and of output
Share = tuple[Key, Purpose, int]  # what two jobs must have in common to be one measurement


@dataclass(eq=False, kw_only=True)
class Ticket(Task):
    """A job that is queued, with a board, or to be tried again."""

    job: Job
    key: Key
    group: "Group[Ticket]"
    only: str = ""  # the id of the one board that may take it; any that can if empty
    waiting: list[tuple[str, "Future[Measurement]"]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    put_back: int = 0  # how often its board went away before it began
    taken_s: float = 0.0  # when a board took it last, by the manager's clock
    queue_s: float = 0.0  # how long it had waited then

    @property
    def share(self) -> Share:
        """Tickets of which this is the same are one, if those who ask do not mind."""
        return self.key, self.job.purpose, id(self.group)

    def join(self, name: str) -> "Future[Measurement]":
        """Return a new future for one more asker, who calls the network `name`."""
        future: Future[Measurement] = Future()
        self.waiting.append((name, future))
        return future

    def abandoned(self) -> bool:
        """True when everyone who asked has cancelled."""
        return all(future.cancelled() for _, future in self.waiting)


def key_of(job: Job, mcu: Mcu) -> Key:
    """What tells a job's measurement from all others, but for the boards that may do it."""
    key = image_key(job.model, mcu, job.board_type, job.compiler)
    return key, job.board_type, job.input_sha256, job.expected_sha256
