"""Holders that hang: they are ended when somebody waits for their board."""

import logging
import os
import signal
from collections.abc import Iterable

from farm.leases import boot_clock, lock_files
from farm.leases.lease_rows import Rows
from farm.leases.lock_files import Place
from farm.rack.inventory import Board, normal_uid

_LOG = logging.getLogger(__name__)


def end_the_hung(rows: Rows, place: Place, boards: Iterable[Board]) -> None:
    """End holders of these boards that were stopped for so long that their leases ran out.

    One that was stopped before it could say that it is the holder is given the time of a lease.
    """
    for board in boards:
        uid = normal_uid(board.probe)
        silent = lock_files.locker(place, uid)
        if boot_clock.is_stopped(silent):
            rows.name(uid, board.id, silent)
        found = rows.hung(uid)
        if found is not None and found[0] != os.getpid() and boot_clock.is_alive(*found[:2]):
            _end(board, found[0], found[2])


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
