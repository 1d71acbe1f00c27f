"""boards.yaml -> Rack: which boards exist, of which type, behind which probe and port."""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from farm.errors import InventoryError, NoBoardError
from farm.yaml_fields import Fields, load_fields, near_miss

VERSION = 1
PROBE_KINDS = ("virtual", "stlink", "cmsisdap", "jlink")
STATES = ("active", "maintenance", "retired")
SERIAL_KEYS: Mapping[str, tuple[str, ...]] = {
    "probe": ("by", "interface"),
    "location": ("by", "at"),
    "serial": ("by", "id", "interface"),
    "path": ("by", "path"),
}
_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_ID_HINT = "1 to 63 letters, digits, '.', '_' or '-'"
_RESERVED = ("all", "virtual")


@dataclass(frozen=True)
class BoardType:
    """A kind of board: its MCU's data file and the target name that pyOCD knows it by."""

    name: str
    mcu: str
    target: str


@dataclass(frozen=True)
class SerialSpec:
    """How to find a board's console.

    `by` probe: the port of the same USB device as the probe (value empty);
    location: USB location such as 1-1.4:1.2; serial: a USB serial number;
    path: a device path. `interface` picks one of several ports of a device, None any.
    """

    by: Literal["probe", "location", "serial", "path"] = "probe"
    value: str = ""
    interface: int | None = None


@dataclass(frozen=True)
class Board:
    """One board of the rack; `probe` is kind:uid as written, exact."""

    id: str
    type: BoardType
    probe: str
    serial: SerialSpec = SerialSpec()
    tags: Mapping[str, str] = field(default_factory=dict)
    state: Literal["active", "maintenance", "retired"] = "active"

    @property
    def virtual(self) -> bool:
        """True for an emulated board: nothing measured on it is silicon."""
        return self.probe.startswith("virtual:")

    @property
    def probe_uid(self) -> str:
        """The probe's unique id as written, without its kind."""
        return self.probe.partition(":")[2]


@dataclass(frozen=True)
class Rack:
    """A checked boards.yaml."""

    path: Path
    types: Mapping[str, BoardType]
    boards: tuple[Board, ...]

    def board(self, board_id: str) -> Board:
        """Return the board of that id, in any state; raises NoBoardError."""
        for board in self.boards:
            if board.id == board_id:
                return board
        hint = near_miss(board_id, [b.id for b in self.boards])
        raise NoBoardError(f"no board {board_id!r} in {self.path}{hint}")


def normal_uid(probe: str) -> str:
    """One spelling for one physical probe: no kind, lower case, no leading zeros.

    pyOCD prints a J-Link as 960177309 where USB says 000960177309, and tools differ in case.
    """
    uid = probe.partition(":")[2] or probe
    return uid.lower().lstrip("0") or "0"


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
    root = load_fields(file, ("version", "types", "boards"))
    if root.number("version", low=0, high=10**6) != VERSION:
        root.fail(f"this tinyrack reads version {VERSION}", "version")
    types = {name: _board_type(name, fields) for name, fields in _types(root)}
    boards: list[Board] = []
    for fields in root.items("boards", ("id", "type", "probe", "serial", "tags", "state"), "board"):
        board = _board(fields, types)
        _refuse_duplicates(fields, board, boards)
        boards.append(board)
    return Rack(file, types, tuple(boards))


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
    terms = [term.strip() for term in selector.split(",") if term.strip()]
    if not terms:
        raise NoBoardError(f"the board selector {selector!r} is empty; try 'all'")
    chosen = {board.id for term in terms for board in _matching(rack, term)}
    return tuple(board for board in rack.boards if board.id in chosen)


def _matching(rack: Rack, term: str) -> Sequence[Board]:
    if "=" not in term and term not in _RESERVED:
        board = rack.board(term)
        if board.state == "retired":
            raise NoBoardError(f"board {term!r} is retired in {rack.path}")
        return [board]
    wanted = _predicate(term)
    found = [board for board in rack.boards if board.state == "active" and wanted(board)]
    if not found:
        values = _known_values(rack, term.partition("=")[0])
        raise NoBoardError(f"no active board matches {term!r} in {rack.path}{values}")
    return found


def _predicate(term: str) -> Callable[[Board], bool]:
    key, _, value = term.partition("=")
    if term == "all":
        return lambda _: True
    if term == "virtual":
        return lambda board: board.virtual
    if key == "type":
        return lambda board: board.type.name == value
    return lambda board: board.tags.get(key) == value


def _known_values(rack: Rack, key: str) -> str:
    values: Iterable[str] = [b.tags[key] for b in rack.boards if key in b.tags]
    values = rack.types if key == "type" else values
    return f" (known: {', '.join(sorted(set(values)))})" if values else ""


def _types(root: Fields) -> Iterable[tuple[str, Fields]]:
    return root.named("types", ("mcu", "target"), "type")


def _board_type(name: str, fields: Fields) -> BoardType:
    if not re.fullmatch(_ID, name):
        fields.fail(f"a type's name must be {_ID_HINT}")
    mcu = fields.text("mcu", allowed=mcu_names())
    return BoardType(name, mcu, fields.text("target", pattern=_ID, hint=_ID_HINT))


def _board(fields: Fields, types: Mapping[str, BoardType]) -> Board:
    board_id = fields.text("id", pattern=_ID, hint=_ID_HINT)
    fields.where = f"board {board_id}"
    if board_id in _RESERVED:
        fields.fail(f"id may not be {board_id!r}, which selects boards", "id")
    board_type = types[fields.text("type", allowed=tuple(types))]
    probe = fields.text(
        "probe",
        pattern=rf"({'|'.join(PROBE_KINDS)}):[A-Za-z0-9][A-Za-z0-9._-]{{0,63}}",
        hint=f"KIND:UID, KIND one of {', '.join(PROBE_KINDS)}, UID letters and digits",
    )
    state = cast(
        Literal["active", "maintenance", "retired"], fields.text("state", "active", allowed=STATES)
    )
    tags = fields.words("tags")
    for key in tags:  # a selector must be able to name it: KEY=VALUE, between commas
        if key == "type" or not re.fullmatch(_ID, key):
            fields.fail(f"a tag may not be called {key!r}", "tags")
    return Board(board_id, board_type, probe, _serial(fields), tags, state)


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


def _refuse_duplicates(fields: Fields, board: Board, earlier: Sequence[Board]) -> None:
    for other in earlier:
        if other.id == board.id:
            fields.fail(f"id {board.id!r} stands twice", "id")
        if normal_uid(other.probe) == normal_uid(board.probe):
            fields.fail(f"probe {board.probe!r} is also the probe of {other.id}", "probe")
        if board.serial.by != "probe" and other.serial == board.serial:
            fields.fail(f"serial is also the console of {other.id}", "serial")
