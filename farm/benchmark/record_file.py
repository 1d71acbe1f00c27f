"""The file that keeps the figures of every commit: one JSON object a line, one line a record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from engine.whole_file import replace_file
from farm.benchmark.record import Record
from farm.errors import InventoryError


def load(path: Path) -> tuple[Record, ...]:
    """Every record, oldest first; none without the file.

    InventoryError names file and line: a damaged history is never taken for a short one.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InventoryError(f"{path}: cannot be read: {error}") from error
    return tuple(
        _record(line, f"{path}, line {number}")
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip()
    )


def _record(line: str, where: str) -> Record:
    try:
        return Record.from_json(json.loads(line))
    except (ValueError, RecursionError) as error:
        raise InventoryError(
            f"{where}: {error}; repair it, or take the file back from version control"
        ) from error


def save(path: Path, records: Sequence[Record]) -> None:
    """Write all of them at once: either the old file or the new one is there."""
    lines = (json.dumps(record.to_json(), separators=(", ", ": ")) for record in records)
    write(path, "".join(f"{line}\n" for line in lines))


def write(path: Path, text: str) -> None:
    """Replace a text file as a whole."""
    replace_file(path, text.encode("utf-8"))


def updated(history: Sequence[Record], new: Sequence[Record]) -> tuple[Record, ...]:
    """The history with these behind it; what they say again of the same commit goes."""
    again = {(record.commit, record.key) for record in new}
    kept = (record for record in history if (record.commit, record.key) not in again)
    return (*kept, *new)


def latest(history: Sequence[Record]) -> tuple[Record, ...]:
    """The last record of each case, in the order in which cases were last recorded."""
    last = {record.key: number for number, record in enumerate(history)}
    return tuple(history[number] for number in sorted(last.values()))
