"""Checked reading of JSON written by another process: every value is hostile until looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from nas.errors import RunError

FILE_LIMIT_BYTES = 64 << 20
TEXT_LIMIT = 4096
NUMBER_LIMIT = 1e15


@dataclass(frozen=True)
class Fields:
    """One JSON object and where it was read, for messages such as `candidates.jsonl line 3`."""

    where: str
    values: Mapping[str, object]

    def refuse(self, key: str, wanted: str) -> NoReturn:
        """Raise RunError, which names the file, the line and the field."""
        found = repr(self.values[key])[:60] if key in self.values else "missing"
        raise RunError(
            f"{self.where}: {key} must be {wanted}, but is {found}; "
            "search again with --fresh to write the run directory anew"
        )

    def number(self, key: str, low: float = 0.0, high: float = NUMBER_LIMIT) -> float:
        """A finite number in [low, high]."""
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.refuse(key, "a number")
        if not low <= value <= high:  # false for NaN and infinity too
            self.refuse(key, f"a finite number from {low:g} to {high:g}")
        return float(value)

    def number_or_none(
        self, key: str, low: float = 0.0, high: float = NUMBER_LIMIT
    ) -> float | None:
        """A finite number in [low, high], or None where the key holds null."""
        if key in self.values and self.values[key] is None:
            return None
        return self.number(key, low, high)

    def text(self, key: str) -> str:
        """A string of bounded length."""
        value = self.values.get(key)
        if not isinstance(value, str) or len(value) > TEXT_LIMIT:
            self.refuse(key, f"a text of at most {TEXT_LIMIT} characters")
        return value

    def text_or_number(self, key: str) -> str:
        """An identifier that may be a text or a number, as text."""
        value = self.values.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self.text(key)

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.values.get(key)
        if not isinstance(value, bool):
            self.refuse(key, "true or false")
        return value

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        """One of the allowed texts."""
        value = self.values.get(key)
        if not isinstance(value, str) or value not in allowed:
            self.refuse(key, "one of " + ", ".join(allowed))
        return value

    def fields(self, key: str) -> Fields:
        """A nested object."""
        value = self.values.get(key)
        if not isinstance(value, dict):
            self.refuse(key, "an object")
        return Fields(f"{self.where}: {key}", value)

    def rows(self, key: str) -> list[Fields]:
        """A list of nested objects."""
        value = self.values.get(key)
        if not isinstance(value, list):
            self.refuse(key, "a list of objects")
        return [as_fields(row, f"{self.where}: {key}[{index}]") for index, row in enumerate(value)]


def as_fields(value: object, where: str) -> Fields:
    """Take a parsed JSON value as an object or refuse it."""
    if not isinstance(value, dict):
        raise RunError(f"{where}: an object is expected, not {type(value).__name__}")
    return Fields(where, value)


def read_object(path: Path) -> Fields:
    """Read a file that holds one JSON object."""
    return as_fields(_parse(_read_text(path), path.name), path.name)


def read_lines(path: Path) -> Iterator[Fields]:
    """Read a file that holds one JSON object a line; empty lines are passed over."""
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        if line.strip():
            where = f"{path.name} line {number}"
            yield as_fields(_parse(line, where), where)


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_LIMIT_BYTES:
            raise RunError(f"{path}: larger than {FILE_LIMIT_BYTES >> 20} MiB, not a run's file")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RunError(
            f"{path} does not exist: the search has not finished, "
            "or this is no run directory; search again, with --fresh if it says that it is finished"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def _parse(text: str, where: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{where}: not whole JSON ({error}); search again with --fresh") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
