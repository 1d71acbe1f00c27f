"""Waiting for a database server that restarts: with an end, and never for a wrong address."""

import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError

T = TypeVar("T")
SERVER_S = 60.0
"""A server that crashed reads its log before it takes anybody: 10 to 20 s on a busy machine."""
_PAUSE_S = 0.2
_GOING = ("57P01", "57P02", "57P03")  # shut down by an operator, by a crash; still starting up


def patiently(act: Callable[[], T], patience_s: float = SERVER_S) -> T:
    """What `act` returns, called again for `patience_s` while the server is away."""
    ends_s = time.monotonic() + patience_s
    while True:
        try:
            return act()
        except DBAPIError as error:
            if not is_lost(error) or time.monotonic() >= ends_s:
                raise
        time.sleep(_PAUSE_S)  # the end is above


def is_lost(error: DBAPIError) -> bool:
    """Whether a server ended the connection or took none; never of a file."""
    unknown = ""  # of a file's driver
    state = getattr(error.orig, "sqlstate", unknown)
    refused = isinstance(error, OperationalError) and state is None
    return state != unknown and (error.connection_invalidated or refused or state in _GOING)
