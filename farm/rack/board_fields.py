"""One board and one board type of boards.yaml, key by key; InventoryError with the line."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast

from farm.mcus import load_mcu
from farm.rack.board import (
    PROBE_KINDS,
    SWD_HZ,
    Board,
    BoardType,
    ConnectMode,
    PowerSpec,
    SerialSpec,
    State,
)
from farm.rack.selector import RESERVED
from farm.rack.yaml_fields import Fields, near_miss

DEFAULT_KEYS = ("swd_hz", "connect_mode", "tags")
TYPE_KEYS = ("mcu", "target", "packs")
BOARD_KEYS = (
    "id", "type", "probe", "serial", "power", "tags", "state", "swd_hz", "connect_mode",
)  # fmt: skip
STATES: tuple[State, ...] = ("active", "maintenance", "retired")
CONNECT_MODES: tuple[ConnectMode, ...] = ("under-reset", "pre-reset", "halt", "attach")
SERIAL_KEYS: Mapping[str, tuple[str, ...]] = {
    "probe": ("by", "interface"),
    "location": ("by", "at"),
    "serial": ("by", "id", "interface"),
    "path": ("by", "path"),
}
POWER_KEYS = (("hub", "port"), ("switch_off", "switch_on"))
SWD_HZ_LIMITS = (10_000, 50_000_000)
MOST_WORDS = 32
ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
ID_HINT = "1 to 63 letters, digits, '.', '_' or '-'"
PROBE = (
    r"virtual:[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
    rf"|({'|'.join(PROBE_KINDS[1:])}):[A-Za-z0-9]([A-Za-z0-9._ -]{{0,62}}[A-Za-z0-9._-])?"
)
TAG_VALUE = r"([^\s,]([^,]*[^\s,])?)?"
"""A selector, KEY=VALUE between commas, must be able to name it."""
PATH = r"/.+"
_USB = r"[0-9]{1,3}(-[0-9]{1,3}(\.[0-9]{1,3}){0,6})?"
LOCATION = r"[0-9]{1,3}-[0-9]{1,3}(\.[0-9]{1,3}){0,6}(:[0-9x]{1,3}\.[0-9]{1,3})?"
_VALUES: Mapping[str, tuple[str, str, str]] = {
    "location": ("at", LOCATION, "a USB socket such as 1-1.4:1.2"),
    "serial": ("id", r"\S(.*\S)?", "a USB serial number"),
    "path": ("path", PATH, "the whole path of a device, from /"),
}


def mcu_names() -> tuple[str, ...]:
    """Names of the MCUs that have a data file."""
    return tuple(sorted(p.stem for p in (Path(__file__).parents[1] / "mcus").glob("*.yaml")))


def read_type(name: str, fields: Fields) -> BoardType:
    """The board type of that name."""
    if not re.fullmatch(ID, name):
        fields.fail(f"a type's name must be {ID_HINT}")
    mcu = fields.text("mcu", allowed=mcu_names())
    target = fields.text("target", pattern=ID, hint=ID_HINT)
    packs = (fields.path.parent / pack for pack in fields.texts("packs", most=MOST_WORDS))
    found = BoardType(name, mcu, target, tuple(str(pack.absolute()) for pack in packs))
    begins = load_mcu(mcu).targets
    if not found.packs and not target.startswith(begins):  # packs have names of their own
        fields.fail(f"target {target!r} is not of its mcu, whose begin with {begins!r}", "target")
    return found


def read_board(fields: Fields, types: Mapping[str, BoardType], defaults: Fields | None) -> Board:
    """One entry of the list `boards:`, of one of these types."""
    board_id = fields.text("id", pattern=ID, hint=ID_HINT)
    fields.where = f"board {board_id}"
    if board_id in RESERVED:
        fields.fail(f"id may not be {board_id!r}, which selects boards", "id")
    return Board(
        board_id,
        types[fields.text("type", allowed=tuple(types))],
        _probe(fields),
        _serial(fields),
        (_tags(defaults) if defaults else {}) | _tags(fields),
        cast(State, fields.text("state", "active", allowed=STATES)),
        _power(fields),
        _swd_hz(fields, _swd_hz(defaults, SWD_HZ) if defaults else SWD_HZ),
        _connect_mode(fields, _connect_mode(defaults) if defaults else CONNECT_MODES[0]),
    )


def _probe(fields: Fields) -> str:
    probe = fields.text("probe")
    if not re.fullmatch(PROBE, probe):
        kind = probe.partition(":")[0]
        miss = "" if kind in PROBE_KINDS else near_miss(kind, PROBE_KINDS)
        fields.fail(
            f"probe is {probe!r}{miss}; it must be KIND:UID, KIND one of {', '.join(PROBE_KINDS)}, "
            "UID letters and digits",
            "probe",
        )
    return probe


def _tags(fields: Fields) -> dict[str, str]:
    """Tags by name; a selector must be able to name each: KEY=VALUE, between commas."""
    tags = fields.words("tags")
    for key, value in tags.items():
        if key == "type" or not re.fullmatch(ID, key):
            fields.fail(f"a tag may not be called {key!r}", "tags")
        if not re.fullmatch(TAG_VALUE, value):
            fields.fail(
                f"tag {key} is {value!r}, which no selector can name; it must be without commas, "
                "and without blanks at its ends",
                "tags",
            )
    return tags


def _swd_hz(fields: Fields, default: int) -> int:
    low, high = SWD_HZ_LIMITS
    return fields.number("swd_hz", default, low=low, high=high)


def _connect_mode(fields: Fields, default: ConnectMode = "under-reset") -> ConnectMode:
    return cast(ConnectMode, fields.text("connect_mode", default, allowed=CONNECT_MODES))


def _serial(fields: Fields) -> SerialSpec:
    every = tuple(dict.fromkeys(key for keys in SERIAL_KEYS.values() for key in keys))
    loose = fields.mapping("serial", every, required=False)
    if loose is None:
        return SerialSpec()
    by = cast(
        Literal["probe", "location", "serial", "path"],
        loose.text("by", allowed=tuple(SERIAL_KEYS)),
    )
    own = fields.mapping("serial", SERIAL_KEYS[by])
    assert own is not None
    key, pattern, hint = _VALUES.get(by, ("", "", ""))
    value = own.text(key, pattern=pattern, hint=hint) if key else ""
    interface = own.number("interface", low=0, high=255) if "interface" in own else None
    return SerialSpec(by, value, interface)


def _power(fields: Fields) -> PowerSpec | None:
    loose = fields.mapping("power", sum(POWER_KEYS, ()), required=False)
    if loose is None:
        return None
    own = fields.mapping("power", POWER_KEYS["hub" not in loose])
    assert own is not None
    if "hub" in own:
        hub = own.text("hub", pattern=_USB, hint="a USB location such as 1-1.4")
        return PowerSpec(hub, own.number("port", low=1, high=32))
    off, on = (_program(own, key) for key in POWER_KEYS[1])
    return PowerSpec(off=off, on=on)


def _program(fields: Fields, key: str) -> tuple[str, ...]:
    """A program with arguments; one with a slash stands beside boards.yaml, whoever runs it."""
    program, *arguments = fields.texts(key, least=1, most=MOST_WORDS)
    if not program:
        fields.fail(f"{key} has no program", key)
    if "/" in program:
        program = str((fields.path.parent / program).absolute())
    return (program, *arguments)
