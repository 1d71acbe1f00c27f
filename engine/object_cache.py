"""Compiled files by the hash of what they were made from; bounded, and checked when read.

Each file ends in the SHA-256 of what precedes it, which linkers and loaders do not read: a file
cut short by a crash, or changed since, is made anew. Writers rename whole files into place, so
that any number of processes may share one cache.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from stat import S_ISREG

import platformdirs

MAX_BYTES = 512 << 20
PRUNED_BYTES = MAX_BYTES * 3 // 4
"""What is left when a full cache was pruned, so that not every new file prunes again."""

IN_USE_S = 3600.0
"""Nothing used so recently is removed: somebody may be about to link it."""

DIGEST_BYTES = 32


def cache_folder() -> Path:
    """Where the files lie, made when missing; `OSError` when that cannot be."""
    path = platformdirs.user_cache_path("tinyrack") / "objects"
    path.mkdir(parents=True, exist_ok=True)
    return path


def workspace() -> tempfile.TemporaryDirectory[str]:
    """A private folder on the file system of the cache, so that a rename is atomic."""
    return tempfile.TemporaryDirectory(prefix=f"work-{os.getpid()}-", dir=cache_folder())


def find(name: str) -> Path | None:
    """The kept file, whole and marked as used now; None when there is none."""
    path = cache_folder() / name
    try:
        content = path.read_bytes()
        if hashlib.sha256(content[:-DIGEST_BYTES]).digest() != content[-DIGEST_BYTES:]:
            return None
        os.utime(path)
    except FileNotFoundError:  # never made, or pruned by another process just now
        return None
    return path


def keep(made: Path, name: str) -> Path:
    """Move a file out of a workspace into the cache, over whatever has that name."""
    with made.open("rb+") as file:
        digest = hashlib.sha256(file.read()).digest()
        file.write(digest)
    path = cache_folder() / name
    made.replace(path)
    prune()
    return path


def prune() -> None:
    """Remove what was not used for longest, and folders of dead writers, once there is too much."""
    now = time.time()
    entries = _entries()
    total = sum(stat.st_size for _, stat in entries if S_ISREG(stat.st_mode))
    limit = PRUNED_BYTES if total > MAX_BYTES else MAX_BYTES
    for entry, stat in sorted(entries, key=lambda pair: pair[1].st_mtime):
        if now - stat.st_mtime < IN_USE_S:
            return
        if not S_ISREG(stat.st_mode):
            shutil.rmtree(entry, ignore_errors=True)
        elif total > limit:
            entry.unlink(missing_ok=True)
            total -= stat.st_size


def _entries() -> list[tuple[Path, os.stat_result]]:
    """What lies in the cache; other processes add and remove at the same time."""
    found = []
    for path in cache_folder().iterdir():
        try:
            found.append((path, path.stat()))
        except FileNotFoundError:
            continue
    return found
