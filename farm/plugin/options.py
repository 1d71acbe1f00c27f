"""What can be set about boards in pytest: one table, from which options, keys and help are made.

The order is: command line, environment, ini file, default.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
MOST_SECONDS = 86_400.0
MOST_RETRIES = 100


def _text(value: str) -> str:
    return value


def _switch(value: str) -> bool:
    if value.lower() not in _TRUE + _FALSE:
        raise ValueError("not 1 or 0")
    return value.lower() in _TRUE


def _seconds(value: str) -> float:
    seconds = float(value)
    if not 0 <= seconds <= MOST_SECONDS:
        raise ValueError(f"not 0 to {MOST_SECONDS:.0f} seconds")
    return seconds


def _retries(value: str) -> int:
    retries = int(value)
    if not 0 <= retries <= MOST_RETRIES:
        raise ValueError(f"not 0 to {MOST_RETRIES}")
    return retries


def _one_of(*words: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in words:
            raise ValueError(f"not one of {', '.join(words)}")
        return value

    return check


@dataclass(frozen=True)
class Setting:
    """One row: the option without its dashes, its default as text, and how text becomes a value.

    The key of an ini file is farm_NAME, the variable FARM_NAME, both with underscores. is_path: in
    an ini file it begins at that file, as pytest's own paths do.
    """

    name: str
    read: Callable[[str], Any]
    default: str
    help: str
    metavar: str = ""
    is_path: bool = False

    @property
    def option(self) -> str:
        """As on a command line."""
        return f"--{self.name}"

    @property
    def key(self) -> str:
        """As in an ini file."""
        return f"farm_{self.name.replace('-', '_')}"

    @property
    def variable(self) -> str:
        """As in the environment."""
        return self.key.upper()


SETTINGS = (
    Setting("boards", _text, "", "boards to use: ids, type=..., tag=value, virtual, all", "WHICH"),
    Setting("boards-file", _text, "", "the rack (default: boards.yaml)", "FILE", is_path=True),
    Setting("board-timeout", _seconds, "60", "seconds to wait for boards of others (60)", "S"),
    Setting("board-retries", _retries, "2", "further attempts when the bench fails (2)", "N"),
    Setting("boards-required", _switch, "0", "an error instead of a skip when there are no boards"),
    Setting("boards-dry-run", _switch, "0", "say which board each test would take, and end"),
    Setting(
        "boards-order", _one_of("grouped", "as-written"), "grouped",
        "grouped: in each file, tests of one board and image after one another; or as-written",
        "ORDER",
    ),
    Setting(
        "golden", _one_of("auto", "off"), "auto",
        "auto: boards show now and then, by a golden image, that they are in order; or off",
        "WHEN",
    ),
)  # fmt: skip
_BY_NAME = {setting.name: setting for setting in SETTINGS}


def declare(parser: pytest.Parser) -> None:
    """Add every setting as an option and as a key of ini files."""
    group = parser.getgroup("farm", "boards of the rack (also FARM_... and farm_... in ini files)")
    for setting in SETTINGS:
        takes: dict[str, Any] = {"metavar": setting.metavar}
        if setting.read is _switch:
            takes = {"action": "store_const", "const": "1"}
        group.addoption(setting.option, dest=setting.key, default=None, help=setting.help, **takes)
        parser.addini(setting.key, f"{setting.option}: {setting.help}", default="")


def setting_of(config: pytest.Config, name: str) -> Any:
    """The value in force; pytest.UsageError when it makes no sense."""
    setting = _BY_NAME[name]
    places = (
        (setting.option, str(config.getoption(setting.key) or "")),
        (setting.variable, os.environ.get(setting.variable, "")),
        (setting.key, _of_ini(config, setting)),
        ("default", setting.default),
    )
    where, value = next((at, text) for at, text in places if text or at == "default")
    try:
        return setting.read(value)
    except ValueError as error:
        raise pytest.UsageError(f"{where} is {value!r}: {error}; {setting.help}") from error


def _of_ini(config: pytest.Config, setting: Setting) -> str:
    value = str(config.getini(setting.key))
    folder = config.inipath.parent if config.inipath else config.invocation_params.dir
    return str(folder / value) if value and setting.is_path else value


def check(config: pytest.Config) -> None:
    """Refuse settings that make no sense before anything runs."""
    for setting in SETTINGS:
        setting_of(config, setting.name)
    if setting_of(config, "boards-dry-run") and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("--boards-dry-run runs nothing: leave out -n")
