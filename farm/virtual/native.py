"""The native half of the virtual board: built from native/ into the user's cache, and loaded."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import platformdirs

_FLAGS = ("-shared", "-nostdlib", "-O2", "-fno-sanitize=undefined", "-fno-stack-protector")
_FOLDER = Path(__file__).with_name("native")


def load_native() -> ctypes.CDLL | None:
    """The compiled library, built anew when the cache holds a damaged one; None: do without."""
    for _ in range(2):
        try:
            built = build_native()
        except OSError:  # a cache that cannot be written
            return None
        if built is None:
            return None
        try:
            return ctypes.CDLL(str(built))
        except OSError:
            built.unlink(missing_ok=True)
    return None


def build_native() -> Path | None:
    """The compiled library from the user's cache, built if needed; None: no working compiler."""
    sources = sorted(_FOLDER.glob("*.c"))
    name = f"native-{_fingerprint()}.so"
    folder = platformdirs.user_cache_path("tinyrack") / "native"
    built = folder / name
    if not built.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            part = Path(scratch) / name
            if not _compile(sources, part):
                return None
            part.replace(built)  # atomic: two boards may build at the same time
    return built


def address_of(function: Any) -> int:
    """The address of a C function."""
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _fingerprint() -> str:
    """A name for all that decides what the library holds."""
    digest = hashlib.sha256(repr((_FLAGS, sys.platform, os.uname().machine)).encode())
    for path in sorted(_FOLDER.glob("*.[ch]")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _compile(sources: list[Path], library: Path) -> bool:
    files = map(str, sources)
    command = [sys.executable, "-m", "ziglang", "cc", *_FLAGS, *files, "-o", str(library)]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
