"""Rows as a CSV or a Parquet file, which appears whole or not at all."""

import csv
import errno
import importlib
import importlib.util
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from farm.errors import FarmError, InventoryError
from farm.store.query import Row
from farm.store.tables import MEASUREMENTS

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BATCH = 5000  # rows of a Parquet row group
_FLAG_SEPARATOR = "; "
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NO_FORMULA = {"compiler_flags"}  # all begin with "-"
_OWN = {"id", "virtual", "body"}
COLUMNS = ("id", "kind", "flags", *(c.name for c in MEASUREMENTS.c if c.name not in _OWN), "body")
"""Of an export: `kind` is virtual or silicon, `body` the whole measurement as JSON."""


def values(row: Row) -> dict[str, Any]:
    """One row by the names of COLUMNS."""
    own = {"id": row.id, "kind": row.kind, "flags": _FLAG_SEPARATOR.join(row.flags)}
    return {name: row.columns.get(name) for name in COLUMNS} | own


def write_csv(rows: Iterable[Row], path: Path) -> int:
    """Write them; how many. Empty cells are values that the measurement does not have.

    Text that a spreadsheet would run as a formula begins with "'": names come from anybody's files.
    """
    with _replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        # All texts in quotes: csv leaves a lone "\r" without, and readers take it for a line's end.
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writeheader()
        count = 0
        for row in rows:
            writer.writerow({name: _cell(name, v) for name, v in values(row).items()})
            count += 1
    return count


def _cell(name: str, value: object) -> object:
    is_formula = isinstance(value, str) and value.startswith(_FORMULA) and name not in _NO_FORMULA
    return f"'{value}" if is_formula else value


def write_parquet(rows: Iterable[Row], path: Path) -> int:
    """Write them; how many. InventoryError when pyarrow is not installed."""
    if importlib.util.find_spec("pyarrow") is None:
        raise InventoryError(
            "Parquet files need pyarrow, which is not installed; "
            "run `pip install 'tinyrack[parquet]'`, or use --csv"
        )
    arrow, parquet = map(importlib.import_module, ("pyarrow", "pyarrow.parquet"))
    schema = arrow.schema([(name, _arrow_type(arrow, name)) for name in COLUMNS])
    count = 0
    with _replacing(path) as part, parquet.ParquetWriter(part, schema) as writer:
        for batch in _batches(map(values, rows)):
            writer.write_table(arrow.Table.from_pylist(batch, schema=schema))
            count += len(batch)
    return count


def _arrow_type(arrow: Any, name: str) -> Any:
    column = MEASUREMENTS.c.get(name)
    kind = type(None) if column is None else column.type.python_type
    return _ARROW.get(kind, _arrow_text)(arrow)


def _arrow_text(arrow: Any) -> Any:
    return arrow.string()


_ARROW: Mapping[type, Callable[[Any], Any]] = {
    int: lambda arrow: arrow.int64(),
    float: lambda arrow: arrow.float64(),
    bool: lambda arrow: arrow.bool_(),
}


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(itertools.islice(rows, _BATCH)):
        yield batch


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place when everything went well.

    A link is followed; a pipe or a device (/dev/stdout) is written to, never replaced.
    InventoryError for a path that cannot be written, FarmError for a disk that is full.
    """
    target = Path(os.path.realpath(path))  # resolve() has no sentence for a link to itself
    with _clear_errors(path), _part(target, path) as part:
        yield part


@contextmanager
def _part(target: Path, path: Path) -> Iterator[Path]:
    if target.exists() and not target.is_file():
        yield path
        return
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # whoever read it has seen enough
        raise
    except OSError as error:
        reason = error.strerror or error
        if error.errno in _NO_ROOM:
            advice = "its disk is full; make room and export again"
            raise FarmError(f"{path}: cannot be written: {reason}; {advice}") from error
        advice = "name a file in a folder that exists and that you may write to"
        raise InventoryError(f"{path}: cannot be written: {reason}; {advice}") from error
