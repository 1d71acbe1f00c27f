"""Holders that hang: they are ended when somebody waits for their board."""

import logging
import os
import signal
import time
from collections.abc import Iterable

from farm.leases import boot_clock, lock_files
from farm.leases.lease_rows import Rows
from farm.leases.lock_files import Place
from farm.rack.inventory import Board, normal_uid

_AGAIN_S = 3.0  # for one that runs to renew its lease: the host, or its disk, may have stood still
_POLL_S = 0.05
_LOG = logging.getLogger(__name__)


def end_the_hung(rows: Rows, place: Place, boards: Iterable[Board]) -> None:
    """End holders of these boards that were stopped for so long that their leases ran out.

    One that was stopped before it could say that it is the holder, or while it asked whether
    somebody is, is given the time of a lease.
    """
    for board in boards:
        uid = normal_uid(board.probe)
        having = lock_files.who_has(place, uid)
        if silent := next(filter(boot_clock.is_stopped, having), 0):
            rows.name(uid, board.id, silent)
        found = rows.hung(uid)
        if found is not None and _keeps(place, uid, *found[:2]) and _hangs(rows, uid, found):
            _end(board, found[0], found[2])


def _keeps(place: Place, uid: str, pid: int, started_ticks: int) -> bool:
    """Whether another process, which the row names, lives and has the board: rows can be old."""
    if pid == os.getpid() or not boot_clock.is_alive(pid, started_ticks):
        return False
    having = lock_files.who_has(place, uid)
    return pid in having if having else lock_files.is_locked(place, uid)


def _hangs(rows: Rows, uid: str, found: tuple[int, int, str]) -> bool:
    """Whether it is stopped, or does not even renew its lease now that there is time for it."""
    deadline_s = boot_clock.now_s() + _AGAIN_S
    while not boot_clock.is_stopped(found[0]) and boot_clock.now_s() < deadline_s:
        time.sleep(_POLL_S)  # the deadline is above
        if rows.hung(uid) != found or not boot_clock.is_alive(*found[:2]):
            return False
    return True


def _end(board: Board, pid: int, user: str) -> None:
    """Kill a process, if it is ours to kill."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError:
        _LOG.info("%s: process %d of %s holds it and hangs; theirs to end", board.id, pid, user)
    else:
        _LOG.warning("%s: process %d held it and hung; it was ended", board.id, pid)
