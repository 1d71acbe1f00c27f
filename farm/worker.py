"""The process that drives one board: holds its lease, builds, flashes, measures.

One process a board, because pyOCD keeps its session in globals and because a hung probe can
only be ended by killing whoever waits for it. It is started by farm.board_worker, obeys the
messages on its standard input, and ends when its manager does.
"""

import contextlib
import dataclasses
import importlib
import logging
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

from engine.errors import EngineError
from farm import log, wire
from farm.errors import AwayError, BoardsBusyError, FarmError, NoBoardError
from farm.job import Job, job_from_message
from farm.leases.lease import (
    Lease,
    Turn,
    lease,
    others_wait,
    refuse_quarantined,
    renewing,
    step_out,
)
from farm.measure import Measurement, Scalar
from farm.rack.board import board_from_json
from farm.rack.inventory import Board

if TYPE_CHECKING:
    from farm.ladder.recovery import Rung  # which few workers need, and which imports much

_LOG = logging.getLogger(__name__)
EXIT_LEASE_LOST = 75
_IDLE_S = 2.0  # a board that waits this long for its next job goes back to the others
_TURN_S = 0.25  # and one that is not told to wait on leaves the line
_SHARE_S = 10.0  # one that is held for longer is given back between two jobs, if others wait
_OVER_CHECK_S = 1.0  # how long the watch over a lease may outlive it
_PARENT_CHECK_S = 1.0


class Runner(Protocol):
    """What a worker calls for one job; tests name another one."""

    def __call__(
        self, board: Board, job: Job, deadline_s: float, on_stage: Callable[[str], None]
    ) -> Measurement:
        """Measure one job on one board within the deadline."""


class _Worker:
    """Obeys one message after the other; the lease outlives a job by _IDLE_S."""

    def __init__(self, board: Board, runner: Runner, ladder: str, reply: int) -> None:
        self._board, self._runner, self._ladder, self._reply = board, runner, ladder, reply
        self._held = ExitStack()
        self._lease: Lease | None = None
        self._since_s = 0.0
        self._turn = Turn()
        self._job = ""

    @property
    def patience_s(self) -> float:
        """How long it may be without a message before it lets go."""
        return _TURN_S if self._turn.number else _IDLE_S

    def hold(self, wait_s: float, priority: int) -> None:
        """Hold the board's lease, if not held already, and say how it went."""
        try:
            if self._lease is not None:
                refuse_quarantined(self._board)  # a queue may be long: take no more of it
                self._share()
            token = self._acquire(wait_s, priority).token
        except BoardsBusyError as error:
            self._say("busy", message=str(error))
        except FarmError as error:
            self.let_go()
            self._say("refused", message=str(error), out=isinstance(error, NoBoardError))
        else:
            self._say("held", token=token)

    def _share(self) -> None:
        """Stand in line anew, if others do and the board was held for long enough."""
        if time.monotonic() - self._since_s > _SHARE_S and others_wait(self._board):
            self.let_go()

    def _acquire(self, wait_s: float, priority: int = 0) -> Lease:
        if self._lease is None:
            waited = lease(self._board, wait_s, priority=priority, purpose="jobs", turn=self._turn)
            self._lease = self._held.enter_context(waited)
            self._since_s = time.monotonic()
            lost = self._held.enter_context(renewing(self._lease))
            over = threading.Event()
            self._held.callback(over.set)
            threading.Thread(target=_exit_when_lost, args=(lost, over), daemon=True).start()
        self._lease.check()
        return self._lease

    def _held_again(self) -> Lease:
        """The lease that was held, or a new one if it was let go of meanwhile; AwayError."""
        try:
            return self._acquire(_IDLE_S)
        except FarmError as error:  # taken, released or quarantined: no fault of job or board
            raise AwayError(str(error), self._board.id) from error

    def let_go(self) -> None:
        """Give the board back to the others, or its place in line."""
        self._held.close()
        self._lease = None
        with contextlib.suppress(FarmError):  # who does not come back is passed by
            step_out(self._board, self._turn)

    def measure(self, header: dict[str, Any], blob: bytes) -> None:
        """Run one job and send its measurement or its error."""
        with self._errors():
            held = self._held_again()
            job = job_from_message(header["job"], blob)
            self._job = job.name
            with log.about(board=self._board.id, lease=held.token, job=job.name):
                _LOG.info("measured on behalf of process %d", os.getppid())
                m = self._runner(self._board, job, header["deadline_s"], self._stage)
            held.check()  # a board taken away in mid-measurement measured for someone else
            self._say("measurement", measurement=_signed(m, held).to_json())

    def recover(self, rung: int, deadline_s: float) -> None:
        """Climb one rung of the ladder and say what was done, or why it could not be."""
        with self._errors():
            held = self._held_again()
            step = cast("Sequence[Rung]", _load(self._ladder))[rung]
            held.tell(f"recovery: {step.name}")
            with log.about(board=self._board.id, lease=held.token):
                done = step.act(self._board, deadline_s)
            self._say("recovered", done=done)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Send an error of the farm or of this host to the manager; any other ends the worker."""
        try:
            yield
        except (FarmError, EngineError) as error:
            # No kind of its own: what keeps leases and wear cannot be used, which says nothing.
            kind = AwayError if type(error) is FarmError else type(error)
            self._say("error", kind=kind.__name__, message=str(error))
        except OSError as error:  # of this host, as a full disk; what boards raise is BenchError
            self._say("error", kind="BenchError", message=f"on its host: {error}")

    def _stage(self, stage: str) -> None:
        if self._lease is not None:
            self._lease.tell(f"{self._job}: {stage}")
        self._say("stage", stage=stage)

    def _say(self, what: str, **values: object) -> None:
        wire.send(self._reply, {"is": what} | values)


def _signed(m: Measurement, held: Lease) -> Measurement:
    who: dict[str, Scalar] = {
        "lease_token": held.token,
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }
    return dataclasses.replace(m, provenance=dict(m.provenance) | who)


def _exit_when_lost(lost: threading.Event, over: threading.Event) -> None:
    """End at once when an operator took the board, while it is held; nothing may touch it then."""
    while not over.is_set():
        if lost.wait(_OVER_CHECK_S):
            os._exit(EXIT_LEASE_LOST)


def _end_with_children() -> None:
    """Kill this process and the compilers it started (it leads its own process group)."""
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _listen(inbox: "queue.Queue[wire.Message]") -> None:
    """Pass messages on; the end of the pipe is the end of the manager, and so of this."""
    receiver = wire.Receiver(0)
    try:
        while True:
            inbox.put(receiver.receive(None))
    finally:
        _end_with_children()


def _watch_parent(parent: int) -> None:
    """The pipe of a killed manager can stay open in a process that it forked; its id cannot."""
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_S)  # ends with the process: a daemon thread
    _end_with_children()


def _private_output() -> int:
    """Keep the message pipe apart from whatever libraries print to standard output."""
    reply = os.dup(1)
    os.dup2(2, 1)
    return reply


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def main() -> None:
    """Serve until the manager ends; the first message names the board and the runner."""
    log.to_stderr()
    reply = _private_output()
    inbox: queue.Queue[wire.Message] = queue.Queue()
    threading.Thread(target=_watch_parent, args=(os.getppid(),), daemon=True).start()
    threading.Thread(target=_listen, args=(inbox,), daemon=True).start()
    first, _ = inbox.get()
    runner = cast(Runner, _load(first["runner"]))
    worker = _Worker(board_from_json(first["board"]), runner, first["ladder"], reply)
    while True:
        try:
            header, blob = inbox.get(timeout=worker.patience_s)
        except queue.Empty:
            worker.let_go()
            continue
        if header["do"] == "hold":
            worker.hold(header["wait_s"], header["priority"])
        elif header["do"] == "recover":
            worker.recover(header["rung"], header["deadline_s"])
        else:
            worker.measure(header, blob)


if __name__ == "__main__":
    main()
