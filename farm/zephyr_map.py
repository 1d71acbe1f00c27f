"""Zephyr's hardware map -> entries for boards.yaml.

A hardware map is the list of boards that Zephyr's twister keeps (its documentation, "Hardware
map"): `id` or `probe_id` name the probe, `platform` the board, `runner` the program that flashes.
"""

from dataclasses import dataclass
from pathlib import Path

from farm.inventory import Rack
from farm.yaml_fields import Fields, load_items

KEYS = (
    "connected", "id", "platform", "product", "runner", "serial", "serial_pty", "baud", "probe_id",
    "runner_params", "fixtures", "flash_timeout", "flash_with_test", "flash_before", "notes",
    "pre_script", "post_script", "post_flash_script", "script_param", "hooks",
)  # fmt: skip
KINDS = (("st-link", "stlink"), ("stlink", "stlink"), ("j-link", "jlink"), ("jlink", "jlink"))
"""A part of the product's name in small letters, and the kind of probe; else CMSIS-DAP."""
UNKNOWN_TYPE = "TYPE"


@dataclass(frozen=True)
class Imported:
    """One proposed line for the list `boards:`, and what a person should look at."""

    line: str
    doubts: tuple[str, ...]


def read_map(path: Path, rack: Rack | None) -> list[Imported]:
    """The boards of a hardware map as entries; types are those of `rack` with the same name.

    Raises InventoryError with file and line for a map that makes no sense.
    """
    rows = load_items(path, KEYS, "entry")
    return [_imported(fields, n, rack) for n, fields in enumerate(rows, 1)]


def _imported(fields: Fields, number: int, rack: Rack | None) -> Imported:
    uid = fields.text("probe_id" if "probe_id" in fields else "id", pattern=r"[A-Za-z0-9._:-]+",
                      hint="a probe's serial number, in quotes")  # fmt: skip
    platform = _platform(fields)
    product = fields.text("product", "")
    kind = next((k for part, k in KINDS if part in product.lower()), "cmsisdap")
    runner = fields.text("runner", "")
    state = "active" if fields.flag("connected", default=True) else "maintenance"
    board_type = _type_of(platform, rack)
    tags = {f"fixture.{name}": "yes" for name in fields.texts("fixtures", most=32)}
    doubts = []
    if board_type == UNKNOWN_TYPE:
        doubts.append(f"no type is called {platform!r}; write one, or another for {UNKNOWN_TYPE}")
    if runner not in ("", "pyocd"):
        doubts.append(f"twister flashes it with {runner}, here it is pyOCD; try it")
    line = _line(f"{_slug(platform)}-{number:02}", board_type, f"{kind}:{uid}", _serial(fields),
                 tags, state)  # fmt: skip
    return Imported(line, tuple(f"entry {number}: {doubt}" for doubt in doubts))


def _platform(fields: Fields) -> str:
    """The first of the platforms, which may be one name or a list of them."""
    return fields.first_text("platform")


def _type_of(platform: str, rack: Rack | None) -> str:
    """The type of that name: nucleo_f767zi/stm32f767xx is nucleo-f767zi."""
    wanted = _slug(platform)
    return wanted if rack is not None and wanted in rack.types else UNKNOWN_TYPE


def _slug(platform: str) -> str:
    return platform.partition("/")[0].replace("_", "-").lower()


def _serial(fields: Fields) -> str:
    """Ports by number change at replugging: the probe's own console is surer than those."""
    port = fields.text("serial", "")
    if port.startswith("/dev/serial/by-id/"):
        return f'{{by: path, path: "{port}"}}'
    return "{by: probe}"


def _line(
    name: str, board_type: str, probe: str, serial: str, tags: dict[str, str], state: str
) -> str:
    line = f'  - {{id: {name}, type: {board_type}, probe: "{probe}", serial: {serial}'
    if tags:
        line += f", tags: {{{', '.join(f'{key}: {value!r}' for key, value in tags.items())}}}"
    return line + (f", state: {state}}}" if state != "active" else "}")
