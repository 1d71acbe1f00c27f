"""Files that are replaced whole: a reader, and whoever comes after a crash, sees old or new."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

PREFIX = "."
"""Of unfinished files: one that is left over by a crash is no file of anybody's."""


def replace_file(path: Path, data: bytes) -> None:
    """Make `path` hold `data`, durably, with the user's default permissions.

    Folders are made as needed. `OSError` when it cannot be done; the old file is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{PREFIX}{path.name}-{secrets.token_hex(6)}")
    # tempfile's files are for their owner alone, whatever the umask says
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException as error:
        unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError):  # a full disk does not say whose file it was
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
