"""Virtual boards up, down and found, for everything above the debug probe."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from farm.errors import BenchError, BoardsBusyError, InventoryError
from farm.leases.lease import exclusive, holder
from farm.rack.inventory import Board
from farm.virtual import registry
from farm.virtual.rpc import BoardBusyError, BoardGoneError, Client, Op, Reply, Request, RpcError

_ANSWER_DEADLINE_S = 5.0
_STOP_DEADLINE_S = 3.0
_POLL_S = 0.02
_BUSY_S = 0.2  # who only asks about a board stands in the way for an instant
_LOG_LIMIT_BYTES = 64 * 1024
_REASON_CHARACTERS = 300
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
Switch = Literal["off", "on", "cycle"]
_SWITCHES: tuple[Switch, ...] = get_args(Switch)  # in the order of Op.POWER's values


@dataclass(frozen=True)
class DaemonStatus:
    """One virtual board as its record and, while it is alive, its daemon tell."""

    uid: str
    pid: int
    alive: bool
    target: str  # pyOCD's name of the part
    tty: str
    socket: str
    timing_model: str
    mcu: str
    state: str  # of the core: running, halted, lockup, off; "down" when not alive
    holder_pid: int | None  # the process that uses the debug port
    current: bool  # whether the daemon runs the sources that are installed now
    probe_present: bool  # False: unplugged, by a fault
    core_hz: int  # how fast the core runs, by its registers and its oscillators
    faults: tuple[str, ...]  # what is wrong with the board on command, see `farm.virtual.faults`


def status() -> list[DaemonStatus]:
    """Every virtual board with a record, by id; one that was killed shows as not alive."""
    return [_status_of(record) for record in registry.records()]


def find(uid: str) -> DaemonStatus | None:
    """The board's state; None when it has no record."""
    record = registry.read_record(uid)
    return _status_of(record) if record else None


def ensure_up(board: Board, timeout_s: float = 20.0) -> None:
    """Start the board's daemon unless it answers; see `up`."""
    up([board], timeout_s)


def up(boards: Sequence[Board], timeout_s: float = 20.0) -> None:
    """Start the daemons that are missing, all at once, and wait until each answers.

    A daemon that hangs or runs older sources is replaced unless another process uses the board.
    Raises InventoryError for a board that is not virtual and BenchError for one that does not
    come up in `timeout_s`, or that hangs in the hands of another process.
    """
    deadline = time.monotonic() + timeout_s
    for board in boards:
        _check_virtual(board)
    missing = [board for board in boards if not _is_ready(board)]
    with contextlib.ExitStack() as stack:
        starts = [stack.enter_context(_Start(board)) for board in missing]
        for start in starts:
            start.wait(deadline)


def down(uids: Iterable[str] | None = None) -> list[str]:
    """End the daemons of `uids`, by default all; the ids of those that were running.

    Asks first, then sends SIGTERM, then SIGKILL; raises BenchError if one survives that.
    """
    wanted = registry.held_uids() if uids is None else [u for u in uids if registry.has_daemon(u)]
    for uid in wanted:
        _ask_to_stop(uid)
    for uid in wanted:
        _wait_until_gone(uid)
    for uid in {record.uid for record in registry.records()} if uids is None else set(uids):
        _sweep(uid)
    return wanted


def power(board: Board, switch: Switch) -> None:
    """Cut the board's power, give it back, or both; BenchError when it is not up or in use.

    Its probe and console stay: without power the one gets no answer and the other is silent.
    """
    ask(board, Request(Op.POWER, value=_SWITCHES.index(switch)), f"power {switch}")


def ask(board: Board, request: Request, doing: str) -> Reply:
    """The reply of the board's daemon to one request; BenchError when it is down or refuses."""
    _check_virtual(board)
    found = find(board.probe_uid)
    if found is None or not found.alive:
        raise BenchError("its daemon is not up; run `tinyrack rack up`", board.id)
    try:
        with Client(found.socket, _ANSWER_DEADLINE_S) as client:
            return client.call(request)
    except RpcError as error:
        raise BenchError(f"{doing} failed: {error}", board.id) from error


def _status_of(record: registry.Record) -> DaemonStatus:
    facts = _ask(record)
    return DaemonStatus(
        uid=record.uid,
        pid=record.pid,
        alive=facts is not None,
        target=record.target,
        tty=record.tty,
        socket=record.socket,
        timing_model=record.timing_model,
        mcu=record.mcu,
        state=facts["state"] if facts else "down",
        holder_pid=facts["holder_pid"] if facts else None,
        current=record.code == registry.code_hash(record.mcu),
        probe_present=bool(facts and facts.get("probe_present", True)),
        core_hz=facts.get("core_hz", 0) if facts else 0,
        faults=tuple(facts.get("faults", ())) if facts else (),
    )


def _ask(record: registry.Record) -> dict[str, Any] | None:
    try:
        with Client(record.socket, _ANSWER_DEADLINE_S) as client:
            facts = json.loads(client.call(Request(Op.STATUS)).payload)
    except (RpcError, ValueError):
        return None
    return facts if isinstance(facts, dict) and facts.get("uid") == record.uid else None


def _check_virtual(board: Board) -> None:
    if not board.virtual:
        raise InventoryError(f"board {board.id} is not virtual: its probe is {board.probe}")
    try:
        registry.check_uid(board.probe_uid)
    except ValueError as error:
        raise InventoryError(f"board {board.id}: {error}") from error


def _is_ready(board: Board) -> bool:
    """Whether the right daemon answers; one that is out of date and unused is ended."""
    found = find(board.probe_uid)
    if found is None:
        return False
    same_part = (found.mcu, found.target) == (board.type.mcu, board.type.target)
    if found.alive and found.current and same_part:
        return True
    try:
        with _unused(board):
            _end(found)
    except (BoardBusyError, BoardsBusyError) as error:
        if found.alive and same_part:
            return True
        how = f"is up as {found.mcu}" if found.alive else "hangs"
        raise BenchError(f"its daemon {how} and is in use: {error}", board.id) from error
    return False


def _unused(board: Board) -> contextlib.AbstractContextManager[object]:
    """Hold the board, unless this process does already; BoardsBusyError when another one does.

    A measurement lets go of the debug port before it times anything: only the lease shows it.
    """
    held = holder(board)
    own = held is not None and held.pid == os.getpid()
    return contextlib.nullcontext() if own else exclusive(board, _BUSY_S)


def _end(found: DaemonStatus) -> None:
    """End a daemon whose debug port nobody uses; BoardBusyError when somebody does."""
    if found.alive:
        with (
            contextlib.suppress(BoardGoneError),
            Client(found.socket, _ANSWER_DEADLINE_S) as client,
        ):
            client.call(Request(Op.SHUTDOWN, value=1))
        _wait_until_gone(found.uid)
    elif registry.holder_pid(found.uid) == found.pid:  # it lives and does not answer
        down([found.uid])


class _Start:
    """One daemon being started, with the pipe on which it reports."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._uid = board.probe_uid
        self._log = registry.state_file(self._uid, "log")
        self._report, report_end = os.pipe()
        try:
            self._process = self._spawn(report_end)
        except OSError:
            os.close(self._report)
            raise
        finally:
            os.close(report_end)

    def __enter__(self) -> _Start:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._report)
        try:
            self._process.wait(_ANSWER_DEADLINE_S)
        except subprocess.TimeoutExpired:  # it only forks the daemon, so it hangs before that
            self._process.kill()

    def _spawn(self, report_end: int) -> subprocess.Popen[bytes]:
        words = [self._uid, self._board.type.mcu, self._board.type.target]
        if self._log.exists() and self._log.stat().st_size > _LOG_LIMIT_BYTES:
            self._log.unlink()
        with os.fdopen(os.open(self._log, _APPEND, 0o600), "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "farm.virtual", *words, "--ready-fd", str(report_end)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=Path(__file__).parents[2],  # where `-m` finds the package, and no caller's own
                pass_fds=[report_end],
                start_new_session=True,  # Ctrl-C in the caller's terminal does not reach it
            )

    def wait(self, deadline: float) -> None:
        """Return when the daemon answers; BenchError when it fails or the deadline passes."""
        ready, _, _ = select.select([self._report], [], [], max(0.0, deadline - time.monotonic()))
        word = os.read(self._report, 64) if ready else b"late"
        if word == b"ready":
            return
        if word == b"running":  # somebody else was faster
            self._wait_for_other(deadline)
        elif word == b"late":
            # It ends by itself when it finds nobody at the pipe; this is for one that hangs.
            down([self._uid])
            raise BenchError(f"the virtual board did not start in time, see {self._log}", self._uid)
        else:
            raise BenchError(f"the virtual board did not start: {self._last_words()}", self._uid)

    def _wait_for_other(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            found = find(self._uid)
            if found and found.alive:
                return
            time.sleep(_POLL_S)
        raise BenchError(f"another start of the virtual board hangs, see {self._log}", self._uid)

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "no reason given")
        return f"{last[:_REASON_CHARACTERS]} (log: {self._log})"


def _ask_to_stop(uid: str) -> None:
    record = registry.read_record(uid)
    if record:
        with contextlib.suppress(RpcError), Client(record.socket, _ANSWER_DEADLINE_S) as client:
            client.call(Request(Op.SHUTDOWN))
            return
    _signal(uid, signal.SIGTERM)


def _wait_until_gone(uid: str) -> None:
    for last_resort in (signal.SIGTERM, signal.SIGKILL, None):
        deadline = time.monotonic() + _STOP_DEADLINE_S
        while time.monotonic() < deadline:
            if not registry.has_daemon(uid):
                return
            time.sleep(_POLL_S)
        if last_resort is not None:
            _signal(uid, last_resort)
    raise BenchError("the daemon survives SIGKILL; is it stopped in a debugger?", uid)


def _signal(uid: str, number: signal.Signals) -> None:
    pid = registry.holder_pid(uid)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _sweep(uid: str) -> None:
    lock = registry.take_lock(uid)
    if lock is not None:
        registry.sweep(uid)
        os.close(lock)
