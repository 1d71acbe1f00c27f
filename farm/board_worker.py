"""The manager's end of one worker process: start it, give it jobs, kill it."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, cast

import platformdirs

from engine import errors as engine_errors
from farm import errors, wire
from farm.errors import BenchError, BoardsBusyError, FarmError, NoBoardError
from farm.job import Job, job_to_message
from farm.measure import Measurement
from farm.rack.board import board_to_json
from farm.rack.inventory import Board
from farm.worker import EXIT_LEASE_LOST

DEFAULT_RUNNER = "farm.runner:run_job"
DEFAULT_LADDER = "farm.ladder.recovery:RUNGS"
NO_LADDER = "farm.ladder.recovery:NO_RUNGS"
_START_S = 60.0  # a worker imports pyOCD, about 1 s, on a machine that may be very busy
_END_S = 5.0  # of a killed worker
_LOG_TAIL_BYTES = 2000
_LOG = logging.getLogger(__name__)


class BoardWorker:
    """One worker process; used by one thread, except for `kill`."""

    def __init__(
        self, board: Board, runner: str = DEFAULT_RUNNER, ladder: str = DEFAULT_LADDER
    ) -> None:
        self.board = board
        self.token = 0  # of the lease that it held last
        self.log = _log_path(board)
        with self.log.open("wb") as log:
            # Its own session: Ctrl-C reaches the manager alone, and the compilers that the
            # worker starts can be killed with it as one process group.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "farm.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=_private_folder(board),
                start_new_session=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._receiver = wire.Receiver(self._stdout.fileno())
        self._send({"board": board_to_json(board), "runner": runner, "ladder": ladder})

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    def hold(self, wait_s: float, priority: int = 0) -> int:
        """Make the worker hold its board's lease; the lease's fencing token.

        BoardsBusyError: somebody else holds it; NoBoardError: out of service; BenchError: the
        worker does not answer; FarmError: it cannot be held for another reason.
        """
        self._send({"do": "hold", "wait_s": wait_s, "priority": priority})
        reply = self._receive(wait_s + _START_S)
        if reply["is"] == "busy":
            raise BoardsBusyError(str(reply["message"]))
        if reply["is"] == "refused":
            kind = NoBoardError if reply.get("out") else FarmError
            raise kind(str(reply["message"]))
        token = reply.get("token")
        if reply["is"] != "held" or not isinstance(token, int):
            raise BenchError(f"its worker answered {reply['is']!r} instead of held", self.board.id)
        self.token = token
        return token

    def recover(self, rung: int, deadline_s: float) -> str:
        """Climb that rung of the ladder; what was done, BenchError when it could not be done."""
        self._send({"do": "recover", "rung": rung, "deadline_s": deadline_s * 0.9})
        reply = self._receive(deadline_s)
        if reply["is"] == "error":
            _raise(self.board, str(reply["kind"]), str(reply["message"]))
        return str(reply.get("done", ""))

    def measure(self, job: Job, deadline_s: float, on_stage: Callable[[str], None]) -> Measurement:
        """Run one job; BenchError when the bench failed, the worker died or time ran out."""
        header, blob = job_to_message(job)
        # The runner gets a little less, so that it can say itself what was too slow.
        self._send({"do": "job", "job": header, "deadline_s": deadline_s * 0.9}, blob)
        deadline = time.monotonic() + deadline_s
        while True:
            reply = self._receive(deadline - time.monotonic())
            if reply["is"] == "stage":
                on_stage(str(reply["stage"]))
            elif reply["is"] == "error":
                _raise(self.board, str(reply["kind"]), str(reply["message"]))
            else:
                return self._measurement(reply)

    def kill(self) -> None:
        """End the worker and the compilers it started, at once; frees the board's lease."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:  # inside a call of the kernel, as of a USB that hangs
            _LOG.error("its worker, process %d, does not end; replug the probe", self.pid)

    def close(self) -> None:
        """Kill the worker and close its pipes; only by the thread that uses it."""
        self.kill()
        with contextlib.suppress(OSError):
            self._stdin.close()
        self._stdout.close()

    def _send(self, header: dict[str, object], blob: bytes = b"") -> None:
        try:
            wire.send(self._stdin.fileno(), header, blob)
        except wire.PeerSilentError as error:
            raise BenchError("its worker takes no messages", self.board.id) from error
        except wire.PeerGoneError:
            self._died()

    def _receive(self, timeout_s: float) -> dict[str, object]:
        try:
            return self._receiver.receive(max(0.0, timeout_s))[0]
        except wire.PeerSilentError as error:
            message = "no answer from its worker within the deadline; it was killed"
            raise BenchError(message, self.board.id) from error
        except wire.PeerGoneError:
            self._died()

    def _died(self) -> NoReturn:
        self.kill()
        code = self._process.returncode
        if code == EXIT_LEASE_LOST:
            why = "an operator released the board, or the file of its lock was deleted"
            raise BenchError(f"{why}, in mid-measurement", self.board.id)
        who = f"its worker, process {self.pid}, ended ({_ended(code)})"
        raise BenchError(f"{who}; {self._last_words()}", self.board.id)

    def _last_words(self) -> str:
        tail = self.log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
        return f"{tail.splitlines()[-1][:200]!r} in {self.log}" if tail else "it left no message"

    def _measurement(self, reply: dict[str, object]) -> Measurement:
        try:
            return Measurement.from_json(cast(Mapping[str, Any], reply["measurement"]))
        except (KeyError, ValueError, TypeError) as error:
            raise BenchError(f"unusable result: {error}", self.board.id) from error


def _log_path(board: Board) -> Path:
    folder = platformdirs.user_state_path("tinyrack") / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"worker-{board.id}.log"


def _private_folder(board: Board) -> Path:
    """Where a worker is at home: no pyocd.yaml, pyocd_user.py or the like lies there."""
    folder = platformdirs.user_state_path("tinyrack") / "workers" / board.id
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for stray in folder.iterdir():
        if not stray.is_dir() or stray.is_symlink():
            stray.unlink(missing_ok=True)
    return folder


def _ended(code: int | None) -> str:
    if code is None:
        return "not quite: it hangs in the kernel"
    return f"by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _raise(board: Board, kind: str, message: str) -> NoReturn:
    """Raise the error that the worker named: one of the farm's, of the engine's, or FarmError."""
    for module, root in ((errors, FarmError), (engine_errors, engine_errors.EngineError)):
        found = getattr(module, kind, None)
        if isinstance(found, type) and issubclass(found, BenchError):
            raise found(message, board.id)
        if isinstance(found, type) and issubclass(found, root):
            raise found(message)
    raise FarmError(message)
