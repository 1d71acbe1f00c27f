"""Which commit is measured."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

CHANGED = "+"
UNKNOWN = "unknown"
_DECIDE = ("engine", "farm/firmware", "farm/mcus", "farm/virtual", "farm/image.py")
_DEADLINE_S = 30.0


def steady(before: str, after: str) -> str:
    """The commit of figures that were taken between the two looks."""
    return before if before == after else before.removesuffix(CHANGED) + CHANGED


def revision(root: Path) -> str:
    """Short hash of HEAD, with a `+` when what decides the figures differs; `unknown` without."""
    git = shutil.which("git")
    if git is None:
        return UNKNOWN
    try:
        commit = _said(git, root, "rev-parse", "--short=12", "HEAD")
        changed = _said(git, root, "status", "--porcelain", "--", *_DECIDE)
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN
    return commit + (CHANGED if changed else "")


def _said(git: str, root: Path, *words: str) -> str:
    command = [git, "-C", str(root), *words]
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=_DEADLINE_S)
    return done.stdout.strip()
