"""boards.yaml -> Rack: which boards exist, of which type, behind which probe and port."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from farm.board import (
    PROBE_KINDS,
    SWD_HZ,
    Board,
    BoardType,
    ConnectMode,
    PowerSpec,
    SerialSpec,
    State,
    normal_uid,
)
from farm.errors import InventoryError, NoBoardError
from farm.mcus import load_mcu
from farm.selector import RESERVED, chosen
from farm.yaml_fields import Fields, load_fields, near_miss

__all__ = [
    "Board",
    "BoardType",
    "PowerSpec",
    "Rack",
    "SerialSpec",
    "load_rack",
    "normal_uid",
    "select",
    "warnings",
]
VERSION = 1
ROOT_KEYS = ("version", "store", "defaults", "types", "boards")
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
_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_ID_HINT = "1 to 63 letters, digits, '.', '_' or '-'"
_HUB = r"[0-9]{1,3}(-[0-9]{1,3}(\.[0-9]{1,3}){0,6})?"


@dataclass(frozen=True)
class Rack:
    """A checked boards.yaml; store: URL or path of the results, '' for the user's own."""

    path: Path
    types: Mapping[str, BoardType]
    boards: tuple[Board, ...]
    store: str = ""

    def board(self, board_id: str) -> Board:
        """Return the board of that id, in any state; raises NoBoardError."""
        for board in self.boards:
            if board.id == board_id:
                return board
        hint = near_miss(board_id, [b.id for b in self.boards])
        raise NoBoardError(f"no board {board_id!r} in {self.path}{hint}")


def rack_path(path: str | Path | None = None) -> Path:
    """The file given, else $TINYRACK_BOARDS, else ./boards.yaml."""
    if path is not None:
        return Path(path)
    return Path(os.environ.get("TINYRACK_BOARDS") or "boards.yaml")


def load_rack(path: str | Path | None = None) -> Rack:
    """Read and check a rack; raises InventoryError with file, line and key."""
    file = rack_path(path)
    if not file.is_file():
        raise InventoryError(f"{file}: no such rack file; name one with --boards-file")
    loose = load_fields(file, ())
    version = loose.number("version", low=0, high=10**6)
    if version > VERSION:  # before any key that only a newer tinyrack knows
        loose.fail(
            f"version {version} is of a newer tinyrack; this one reads version {VERSION}, "
            "upgrade it",
            "version",
        )
    if version != VERSION:
        loose.fail(f"this tinyrack reads version {VERSION}", "version")
    root = Fields(file, loose.node, "the file", ROOT_KEYS)
    defaults = root.mapping("defaults", DEFAULT_KEYS, required=False)
    types = {name: _board_type(name, fields) for name, fields in _types(root)}
    boards: list[Board] = []
    for fields in root.items("boards", BOARD_KEYS, "board"):
        board = _board(fields, types, defaults)
        _refuse_duplicates(fields, board, boards)
        boards.append(board)
    return Rack(file, types, tuple(boards), root.text("store", ""))


def mcu_names() -> tuple[str, ...]:
    """Names of the MCUs that have a data file."""
    return tuple(sorted(p.stem for p in (Path(__file__).parent / "mcus").glob("*.yaml")))


def warnings(rack: Rack) -> list[str]:
    """What is allowed but will bite: ports named by number, which change at replugging."""
    return [
        f"{board.id}: {board.serial.value} changes when boards are replugged; "
        "name it by probe, location or /dev/serial/by-id"
        for board in rack.boards
        if board.serial.by == "path" and re.fullmatch(r"/dev/tty\D+\d+", board.serial.value)
    ]


def select(rack: Rack, selector: str) -> tuple[Board, ...]:
    """Return the boards that a comma list names, in the order of the file.

    Terms: an id, `type=NAME`, `TAG=VALUE`, `virtual`, `all`. Boards in maintenance are
    reached by their id alone, retired ones not at all. A term that matches nothing raises
    NoBoardError.
    """
    return chosen(rack.boards, rack.types, selector, str(rack.path))


def _types(root: Fields) -> Iterable[tuple[str, Fields]]:
    return root.named("types", TYPE_KEYS, "type")


def _board_type(name: str, fields: Fields) -> BoardType:
    if not re.fullmatch(_ID, name):
        fields.fail(f"a type's name must be {_ID_HINT}")
    mcu = fields.text("mcu", allowed=mcu_names())
    target = fields.text("target", pattern=_ID, hint=_ID_HINT)
    packs = (fields.path.parent / pack for pack in fields.texts("packs", most=MOST_WORDS))
    found = BoardType(name, mcu, target, tuple(str(pack.absolute()) for pack in packs))
    begins = load_mcu(mcu).targets
    if not found.packs and not target.startswith(begins):  # packs have names of their own
        fields.fail(f"target {target!r} is not of its mcu, whose begin with {begins!r}", "target")
    return found


def _board(fields: Fields, types: Mapping[str, BoardType], defaults: Fields | None) -> Board:
    board_id = fields.text("id", pattern=_ID, hint=_ID_HINT)
    fields.where = f"board {board_id}"
    if board_id in RESERVED:
        fields.fail(f"id may not be {board_id!r}, which selects boards", "id")
    board_type = types[fields.text("type", allowed=tuple(types))]
    probe = fields.text(
        "probe",
        pattern=rf"({'|'.join(PROBE_KINDS)}):[A-Za-z0-9][A-Za-z0-9._-]{{0,63}}",
        hint=f"KIND:UID, KIND one of {', '.join(PROBE_KINDS)}, UID letters and digits",
    )
    return Board(
        board_id,
        board_type,
        probe,
        _serial(fields),
        (_tags(defaults) if defaults else {}) | _tags(fields),
        cast(State, fields.text("state", "active", allowed=STATES)),
        _power(fields),
        _swd_hz(fields, _swd_hz(defaults, SWD_HZ) if defaults else SWD_HZ),
        _connect_mode(fields, _connect_mode(defaults) if defaults else CONNECT_MODES[0]),
    )


def _tags(fields: Fields) -> dict[str, str]:
    """Tags by name; a selector must be able to name each: KEY=VALUE, between commas."""
    tags = fields.words("tags")
    for key in tags:
        if key == "type" or not re.fullmatch(_ID, key):
            fields.fail(f"a tag may not be called {key!r}", "tags")
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
    key = {"location": "at", "serial": "id", "path": "path"}.get(by)
    value = own.text(key) if key else ""
    interface = own.number("interface", low=0, high=255) if "interface" in own else None
    return SerialSpec(by, value, interface)


def _power(fields: Fields) -> PowerSpec | None:
    loose = fields.mapping("power", sum(POWER_KEYS, ()), required=False)
    if loose is None:
        return None
    own = fields.mapping("power", POWER_KEYS["hub" not in loose])
    assert own is not None
    if "hub" in own:
        hub = own.text("hub", pattern=_HUB, hint="a USB location such as 1-1.4")
        return PowerSpec(hub, own.number("port", low=1, high=32))
    off, on = (own.texts(key, least=1, most=MOST_WORDS) for key in POWER_KEYS[1])
    return PowerSpec(off=off, on=on)


def _refuse_duplicates(fields: Fields, board: Board, earlier: Sequence[Board]) -> None:
    for other in earlier:
        if other.id == board.id:
            fields.fail(f"id {board.id!r} stands twice", "id")
        if normal_uid(other.probe) == normal_uid(board.probe):
            fields.fail(f"probe {board.probe!r} is also the probe of {other.id}", "probe")
        if board.serial.by != "probe" and other.serial == board.serial:
            fields.fail(f"serial is also the console of {other.id}", "serial")
        if board.power and board.power == other.power:
            fields.fail(f"power is also that of {other.id}; cutting it would end both", "power")
