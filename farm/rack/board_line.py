"""A board as one line for the list `boards:`, whatever text stands in its values."""

import json
import re
from collections.abc import Mapping

import yaml

Value = str | int | Mapping[str, "Value"]
_PLAIN = r"[A-Za-z][A-Za-z0-9._-]*"


def board_line(entry: Mapping[str, Value]) -> str:
    """The line; values without text are left out."""
    return f"  - {_flow({key: value for key, value in entry.items() if value not in ('', {})})}"


def _flow(value: Value) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_word(key)}: {_flow(each)}" for key, each in value.items()) + "}"
    return str(value) if isinstance(value, int) else _word(value)


def _word(text: str) -> str:
    """As it is where YAML reads that as this text (not so `yes` or `null`), else in quotes."""
    plain = re.fullmatch(_PLAIN, text) and yaml.safe_load(text) == text
    return text if plain else json.dumps(text, ensure_ascii=False)
