"""Zephyr's hardware map -> entries for boards.yaml.

A hardware map is the list of boards that Zephyr's twister keeps (its documentation, "Hardware
map"): `id` or `probe_id` name the probe, `platform` the board, `runner` the program that flashes.
"""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from farm.rack.board import Board, BoardType, SerialSpec
from farm.rack.board_fields import ID, PROBE
from farm.rack.board_line import board_line
from farm.rack.inventory import Rack
from farm.rack.rack_claims import Claims
from farm.rack.yaml_fields import Fields, load_items

KEYS = (
    "connected", "id", "platform", "product", "runner", "serial", "serial_pty", "baud", "probe_id",
    "runner_params", "fixtures", "flash_timeout", "flash_with_test", "flash_before", "notes",
    "pre_script", "post_script", "post_flash_script", "script_param", "hooks",
)  # fmt: skip
USED = ("connected", "id", "platform", "product", "runner", "serial", "probe_id", "fixtures")
KINDS = (
    ("st-link", "stlink"), ("stlink", "stlink"), ("j-link", "jlink"), ("jlink", "jlink"),
    ("cmsis-dap", "cmsisdap"), ("daplink", "cmsisdap"),
)  # fmt: skip
"""A part of the product's name in small letters, and the kind of probe."""
UNKNOWN_TYPE = "TYPE"
_LONGEST = 99_999  # number behind a name
_BY_ID = "/dev/serial/by-id/"


@dataclass(frozen=True)
class Imported:
    """One proposed line for the list `boards:`, '' for none, and what a person should look at."""

    line: str
    doubts: tuple[str, ...]


@dataclass
class _Entries:
    """Of the map so far, beside those of the rack."""

    rack: Rack | None
    claims: Claims = field(default_factory=Claims)

    def __post_init__(self) -> None:
        for board in self.rack.boards if self.rack else ():
            self.claims.add(board)


def read_map(path: Path, rack: Rack | None) -> list[Imported]:
    """The boards of a hardware map as entries; types are those of `rack` with the same name.

    What the rack or the map has already is left out, with a doubt. Raises InventoryError with
    file and line for a map that makes no sense.
    """
    entries = _Entries(rack)
    rows = load_items(path, KEYS, "entry")
    return [_imported(fields, n, entries) for n, fields in enumerate(rows, 1)]


def _imported(fields: Fields, number: int, entries: _Entries) -> Imported:
    platform = fields.first_text("platform")
    slug = _slug(platform)
    if not re.fullmatch(ID, f"{slug}-{_LONGEST}"):
        fields.fail(f"platform is {platform!r}; it must be the name of a Zephyr board", "platform")
    board_type = _type_of(slug, entries.rack)
    tags, doubts = _tags(fields)
    if board_type == UNKNOWN_TYPE:
        doubts.append(f"no type is called {platform!r}; write one, or another for {UNKNOWN_TYPE}")
    runner = fields.text("runner", "")
    if runner not in ("", "pyocd"):
        doubts.append(f"twister flashes it with {runner}, here it is pyOCD; try it")
    doubts += [*_kind_doubts(fields), *_unused(fields)]
    connected = fields.flag("connected", default=True)
    board = Board(
        f"{slug}-{number:02}",
        BoardType(board_type, "", ""),
        _probe(fields),
        _serial(fields),
        tags,
        "active" if connected else "maintenance",
    )
    line = _entered(board, slug, number, entries, doubts)
    return Imported(line, tuple(f"entry {number}: {doubt}" for doubt in doubts))


def _entered(board: Board, slug: str, number: int, entries: _Entries, doubts: list[str]) -> str:
    """The line of a board whose id is free, or nothing when its probe or console is taken."""
    while (clash := entries.claims.add(board)) and clash.key == "id":
        number += 1
        board = replace(board, id=f"{slug}-{number:02}")
    if clash:
        doubts.append(f"left out: {clash.problem}")
        return ""
    return _line(board)


def _probe(fields: Fields) -> str:
    key = "probe_id" if "probe_id" in fields else "id"
    uid, kind = fields.text(key), _kind(fields) or "cmsisdap"
    if not re.fullmatch(PROBE, f"{kind}:{uid}"):
        fields.fail(f"{key} is {uid!r}; it must be a probe's serial number, in quotes", key)
    return f"{kind}:{uid}"


def _kind(fields: Fields) -> str:
    """By the product's name, "" where that tells nothing."""
    product = fields.text("product", "").lower()
    return next((kind for part, kind in KINDS if part in product), "")


def _kind_doubts(fields: Fields) -> list[str]:
    what = f"its product {fields.text('product', '')!r} is no probe known here; correct cmsisdap:"
    return [] if _kind(fields) else [f"{what} if it is of another kind"]


def _tags(fields: Fields) -> tuple[dict[str, str], list[str]]:
    """One tag a fixture, and doubts about those that no tag can name."""
    names = fields.texts("fixtures", most=32)
    tags = {f"fixture.{name}": "yes" for name in names if re.fullmatch(ID, f"fixture.{name}")}
    odd = [name for name in names if f"fixture.{name}" not in tags]
    return tags, [f"fixture {name!r} cannot be the name of a tag; left out" for name in odd]


def _type_of(slug: str, rack: Rack | None) -> str:
    """The type of that name: nucleo_f767zi/stm32f767xx is nucleo-f767zi."""
    return slug if rack is not None and slug in rack.types else UNKNOWN_TYPE


def _slug(platform: str) -> str:
    """Without the revision and the part behind the board's name."""
    return re.split("[/@]", platform)[0].replace("_", "-").lower()


def _serial(fields: Fields) -> SerialSpec:
    """Ports by number change at replugging: the probe's own console is surer than those."""
    port = fields.text("serial", "")
    return SerialSpec("path", port) if port.startswith(_BY_ID) else SerialSpec()


def _unused(fields: Fields) -> list[str]:
    port = fields.text("serial", "")
    doubts = [
        f"serial {port} changes when boards are replugged; the probe's own console is named instead"
    ]
    keys = [key for key in KEYS if key in fields and key not in USED]
    doubts = doubts if port and not port.startswith(_BY_ID) else []
    return doubts + ([f"{', '.join(keys)}: not used here, left out"] if keys else [])


def _line(board: Board) -> str:
    spec = {"by": board.serial.by} | ({"path": board.serial.value} if board.serial.value else {})
    state = "" if board.state == "active" else board.state
    return board_line(
        {"id": board.id, "type": board.type.name, "probe": board.probe, "serial": spec,
         "tags": board.tags, "state": state}
    )  # fmt: skip
