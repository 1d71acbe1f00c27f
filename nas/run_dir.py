"""The directory of one search: configuration, checkpoints of each stage, results.

Every file is written whole or not at all, so a search that was killed goes on where it was.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import re
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.whole_file import PREFIX, replace_file
from nas.errors import RunError

Arrays = Mapping[str, NDArray[Any]]
FORMAT = 1
LOCK = ".lock"
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
MARKS = {"format", "limits", "seed"}  # keys of every config.json of a run
UNFINISHED = re.compile(re.escape(PREFIX) + "(.+)-[0-9a-f]{12}")  # as `replace_file` names it


def write_json(path: Path, value: object) -> None:
    """One JSON value, readable by people."""
    replace_file(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())


def checked_name(name: str) -> str:
    """The name, if it is one that a run directory may bear; RunError if not."""
    if not NAME.fullmatch(name) or name in (".", ".."):
        raise RunError(
            f"{name!r:.80} is no name of a run; give --name 1 to 64 letters, digits, '.', '_', '-'"
        )
    return name


class RunDir:
    """`runs/<name>` of one configuration; open it with `open_run`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, stage: str) -> dict[str, Any] | None:
        """What `save` kept for a stage; None if the stage has not ended."""
        path = self._state(stage, "json")
        if not path.is_file():
            return None
        value = read_json(path)
        if not isinstance(value, dict):
            raise RunError(f"{path} is damaged; start over with --fresh")
        return value

    def save(self, stage: str, value: Mapping[str, object], arrays: Arrays | None = None) -> None:
        """Keep the result of a stage. The JSON comes last and vouches for the arrays."""
        kept = dict(value)
        if arrays is not None:
            packed = _pack(arrays)
            replace_file(self._state(stage, "npz"), packed)
            kept["arrays_sha256"] = hashlib.sha256(packed).hexdigest()
        write_json(self._state(stage, "json"), kept)

    def load_arrays(self, stage: str) -> dict[str, NDArray[Any]] | None:
        """The arrays of a stage; None if it kept none, or they are not those that it kept."""
        value = self.load(stage)
        path = self._state(stage, "npz")
        if value is None or not path.is_file():
            return None
        packed = path.read_bytes()
        if hashlib.sha256(packed).hexdigest() != value.get("arrays_sha256"):
            return None
        try:
            with np.load(io.BytesIO(packed), allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise RunError(f"{path} is damaged ({error}); start over with --fresh") from error

    def write_lines(self, name: str, rows: Iterable[Mapping[str, object]]) -> None:
        """One JSON object a line."""
        text = "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows)
        replace_file(self.path / name, text.encode())

    def _state(self, stage: str, suffix: str) -> Path:
        return self.path / "state" / f"{stage}.{suffix}"


@contextmanager
def open_run(path: Path, config: Mapping[str, object], fresh: bool) -> Iterator[RunDir]:
    """The run directory of `config`, new or resumed, held by this process alone.

    Raises RunError if it belongs to another configuration, is in use, or is no run's (then
    nothing in it is touched).
    """
    _require_ours(path)
    path.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        _sweep(path)
        if fresh:
            _clear(path)
        _check_config(path, {**config, "format": FORMAT})
        yield RunDir(path)


def _require_ours(path: Path) -> None:
    """An existing directory is that of a run, or of one that was killed as it began."""
    names = [each.name for each in path.iterdir()] if path.is_dir() else []
    if not all(map(_is_beginning, names)) and not _is_run(path):
        raise RunError(f"{path} is not the directory of a run; give another --name")


def _is_beginning(name: str) -> bool:
    found = UNFINISHED.fullmatch(name)
    return name == LOCK or (found is not None and found[1] == "config.json")


def _is_run(path: Path) -> bool:
    try:
        config = read_json(path / "config.json")
    except RunError:
        return False
    return isinstance(config, dict) and config.keys() >= MARKS


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = path / LOCK
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(
                f"{path} is in use by another search; wait for it or give another --name"
            ) from error
        yield


def _sweep(path: Path) -> None:
    """Remove what searches that were killed left unfinished; nothing where no run is."""
    started = (path / "config.json").is_file()
    for folder in (path, path / "state", path / "c") if started else (path,):
        for each in folder.glob(f"{PREFIX}*"):
            found = UNFINISHED.fullmatch(each.name)
            if found and (started or found[1] == "config.json"):
                each.unlink(missing_ok=True)


def _clear(path: Path) -> None:
    """Remove a former run.

    The winner goes first, so that half a run is not taken for a finished one, and last what says
    that it is a run.
    """
    others = [p for p in path.iterdir() if p.name != LOCK]
    order = {"winner.json": 0, "config.json": 2}
    for each in sorted(others, key=lambda p: order.get(p.name, 1)):
        shutil.rmtree(each) if each.is_dir() else each.unlink()


def _check_config(path: Path, config: Mapping[str, object]) -> None:
    file = path / "config.json"
    if not file.is_file():
        write_json(file, config)
        return
    old = read_json(file)
    old = old if isinstance(old, dict) else {}
    new = json.loads(json.dumps(config))
    differing = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    if differing:
        raise RunError(
            f"{path} holds a search with other settings ({', '.join(differing)}); "
            "give another --name, or --fresh to throw the old one away"
        )


def read_json(path: Path) -> object:
    """A JSON file of a run."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({error}); start over with --fresh") from error


def _pack(arrays: Arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()
