"""The power of a board, cut and given back: a hub's port, programs of the lab, a daemon.

Whoever cuts it may be killed before it gives it back. So a process of its own does both
(power_cycle), under a lock, with a file that says meanwhile that the power may be off; whoever
opens the board's probe next waits for it, and switches the power on if nobody did.
"""

import fcntl
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from farm.errors import BenchError
from farm.ladder.power_cycle import switched
from farm.leases import lock_files
from farm.rack.board import Board, PowerSpec, normal_uid
from farm.virtual import rack

OFF_S = 2.0
"""How long a real board stays without power: its capacitors keep a core alive for a while."""
_SWITCH_S = 20.0
_POLL_S = 0.05
_CYCLE = "farm.ladder.power_cycle"
_LOG = logging.getLogger(__name__)


def cycle(board: Board, deadline_s: float = 60.0) -> str:
    """Cut the power of a board and give it back; what was done, in a word.

    BenchError when boards.yaml names no switch for it, or the switch does not work. The power
    comes back even if this process is killed meanwhile.
    """
    if board.power is None and board.virtual:
        rack.power(board, "cycle")
        return "its daemon"
    if board.power is None:
        raise BenchError(
            "nothing switches its power; add `power:` to it in boards.yaml, or replug it", board.id
        )
    off, on = (_command(board, board.power, on=on) for on in (False, True))
    deadline = time.monotonic() + deadline_s
    order = {"off": off, "on": on, "off_s": OFF_S, "switch_s": _SWITCH_S}
    with _locked(board, deadline) as file:
        os.pwrite(file, b"off", 0)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", _CYCLE, json.dumps(order | {"fd": file})],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            pass_fds=[file],
            start_new_session=True,  # what kills a worker kills its process group
        )
    if failed := _outcome(process, deadline):
        raise BenchError(failed, board.id)
    return " ".join(on)


def switched_on(board: Board, deadline_s: float = 2 * _SWITCH_S + 2 * OFF_S) -> None:
    """See to it that the board has power, should it have been cut and not given back.

    BenchError when that fails.
    """
    if board.power is None or not _may_be_off(board):
        return
    with _locked(board, time.monotonic() + deadline_s) as file:
        if not _may_be_off(board):  # whoever cut it has given it back
            return
        on = _command(board, board.power, on=True)
        _LOG.warning("%s: its power was cut and not given back; `%s`", board.id, " ".join(on))
        if failed := switched(on, _SWITCH_S):
            raise BenchError(failed, board.id)
        os.ftruncate(file, 0)
    time.sleep(OFF_S)  # to come up


def _may_be_off(board: Board) -> bool:
    try:
        return _file(board).stat().st_size > 0
    except FileNotFoundError:
        return False


def _file(board: Board) -> Path:
    return lock_files.place_of(board).lock_path(f"{normal_uid(board.probe)}.power")


@contextmanager
def _locked(board: Board, deadline: float) -> Iterator[int]:
    """The board's file, locked until all who have it open have closed it; BenchError when late."""
    place, path = lock_files.place_of(board), _file(board)
    lock_files.prepare(place)
    if place.shared:
        lock_files.touch_for_all(path)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        while not _try(file):
            if time.monotonic() >= deadline:
                raise BenchError(f"somebody switches its power for too long; see {path}", board.id)
            time.sleep(_POLL_S)  # the deadline is above
        yield file
    finally:
        os.close(file)  # not unlocked: a process that goes on keeps the lock


def _try(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _outcome(process: "subprocess.Popen[bytes]", deadline: float) -> str:
    """What went wrong, by the process itself, which goes on when it is late."""
    try:
        said, _ = process.communicate(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        assert process.stdout is not None
        process.stdout.close()
        return "its power switch takes too long"
    try:
        return str(json.loads(said)["failed"])
    except (ValueError, KeyError, TypeError):
        return f"what switches its power ended ({process.returncode})"


def _command(board: Board, power: PowerSpec, *, on: bool) -> tuple[str, ...]:
    if not power.hub:
        return power.on if on else power.off
    program = shutil.which("uhubctl")
    if program is None:
        raise BenchError("uhubctl, which switches ports of USB hubs, is not installed", board.id)
    return (program, "-l", power.hub, "-p", str(power.port), "-a", "on" if on else "off")
