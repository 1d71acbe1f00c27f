"""boards.yaml -> Rack: which boards exist, of which type, behind which probe and port."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from farm.errors import InventoryError, NoBoardError
from farm.rack.board import Board, BoardType, PowerSpec, SerialSpec, normal_uid
from farm.rack.board_fields import (
    BOARD_KEYS,
    DEFAULT_KEYS,
    TYPE_KEYS,
    mcu_names,
    read_board,
    read_type,
)
from farm.rack.rack_claims import Claims
from farm.rack.selector import chosen
from farm.rack.yaml_fields import Fields, load_fields, near_miss

__all__ = [
    "BOARD_KEYS",
    "Board",
    "BoardType",
    "PowerSpec",
    "Rack",
    "SerialSpec",
    "load_rack",
    "mcu_names",
    "normal_uid",
    "select",
    "warnings",
]
VERSION = 1
ROOT_KEYS = ("version", "store", "defaults", "types", "boards")


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
    _check_version(loose)
    root = Fields(file, loose.node, "the file", ROOT_KEYS)
    defaults = root.mapping("defaults", DEFAULT_KEYS, required=False)
    named = root.named("types", TYPE_KEYS, "type")
    types = {name: read_type(name, fields) for name, fields in named}
    boards: list[Board] = []
    claims = Claims()
    for fields in root.items("boards", BOARD_KEYS, "board"):
        board = read_board(fields, types, defaults)
        if clash := claims.add(board):
            fields.fail(clash.problem, clash.key)
        boards.append(board)
    return Rack(file, types, tuple(boards), root.text("store", ""))


def find_rack(path: str | Path | None = None) -> Rack | None:
    """Read the rack that is named, as `load_rack` does, else ./boards.yaml, if there is one."""
    named = path is not None or os.environ.get("TINYRACK_BOARDS")
    return load_rack(path) if named or rack_path().is_file() else None


def _check_version(root: Fields) -> None:
    """Before any key that only a newer tinyrack knows; a newer file may spell it otherwise."""
    said = root.word("version")
    numbers = re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})*", said)
    if numbers and tuple(int(part) for part in said.split(".")) > (VERSION,):
        root.fail(
            f"version {said} is of a newer tinyrack; this one reads version {VERSION}, upgrade it",
            "version",
        )
    if root.number("version", low=0, high=10**6) != VERSION:
        root.fail(f"this tinyrack reads version {VERSION}", "version")


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
