"""Log lines that name board, lease and job, in a file that whoever keeps the rack can read.

    with about(board="f412-01", lease=17):
        ...                     # every line of any module below has board=f412-01 lease=17

The file is logs/tinyrack.log in the user's state folder; a worker writes to a file of its own.
"""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType

import platformdirs

FORMAT = "%(asctime)s %(levelname)s pid=%(process)d%(about)s %(name)s: %(message)s"
MOST_BYTES = 8 << 20
_NOTHING: Mapping[str, object] = MappingProxyType({})
_ABOUT = ContextVar("about", default=_NOTHING)


@contextmanager
def about(**facts: object) -> Iterator[None]:
    """Name what the lines of this thread are about, beside what they are about already."""
    token = _ABOUT.set({**_ABOUT.get(), **facts})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def log_path() -> Path:
    """The file of this user's commands."""
    return platformdirs.user_state_path("tinyrack") / "logs" / "tinyrack.log"


def to_file() -> None:
    """Write what modules of the farm log to the file; one that is full is begun anew."""
    path = log_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > MOST_BYTES:
            path.replace(path.with_suffix(".log.1"))
        handler: logging.Handler = logging.FileHandler(path, encoding="utf-8")
    except OSError:  # also of opening it, hence at once: a line of the log ends no measurement
        handler = logging.StreamHandler(sys.stderr)
    _install(handler)


def to_stderr() -> None:
    """Write it to standard error, which is a file of a worker's own."""
    _install(logging.StreamHandler(sys.stderr))


class _About(logging.Filter):
    """Puts what a line is about into the record, and its text, which a board may have said."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every record pass."""
        facts = (f" {name}={_word(value)}" for name, value in _ABOUT.get().items())
        record.about = "".join(facts)
        text = record.getMessage()
        record.msg, record.args = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text), ()
        return True


def _install(handler: logging.Handler) -> None:
    handler.setFormatter(logging.Formatter(FORMAT))
    handler.addFilter(_About())
    farm = logging.getLogger("farm")
    for old in farm.handlers[:]:
        farm.removeHandler(old)
    farm.addHandler(handler)
    farm.setLevel(logging.INFO)
    farm.propagate = False
    logging.raiseExceptions = False  # a line that cannot be written is lost, without a traceback


def _word(value: object) -> str:
    """Without blanks, so that a line can be taken apart again."""
    return "".join(c if c.isprintable() and c != " " else "_" for c in str(value)) or "-"
