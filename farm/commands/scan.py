"""`tinyrack boards scan`: find debug probes and consoles without opening any, propose entries.

Opening a probe to ask it who it is would disturb whoever measures through it, so only what
the operating system knows already is read: pyserial's port list and, on Linux, sysfs.
"""

from argparse import Namespace
from dataclasses import asdict, dataclass
from pathlib import Path

from serial.tools import list_ports

from farm.inventory import Board, load_rack, normal_uid, rack_path
from farm.output import print_json, print_line, print_table

_ST, _SEGGER = 0x0483, 0x1366
_STLINK_PIDS = (0x3744, 0x3748, 0x374A, 0x374B, 0x374D, 0x374E, 0x374F, 0x3752, 0x3753, 0x3754)
_CMSIS_DAP_IDS = ((0x0D28, 0x0204), (0x2E8A, 0x000C), (0x1FC9, 0x0143), (0x03EB, 0x2111))
_SYSFS = Path("/sys/bus/usb/devices")


@dataclass(frozen=True)
class Found:
    """A probe as USB describes it; `board` is its id in the rack file, if it has one."""

    probe: str
    product: str
    location: str
    port: str = ""
    board: str = ""


def scan(args: Namespace) -> int:
    """Show the probes that are plugged in and entries for those not in the rack file."""
    known: tuple[Board, ...] = ()
    if args.boards_file is not None or rack_path().is_file():
        known = load_rack(args.boards_file).boards
    found = [_named(probe, known) for probe in find_probes()]
    if args.json:
        print_json({"results": [asdict(probe) | {"entry": entry(probe)} for probe in found]})
        return 0
    if not found:
        print_line("no debug probe is plugged in (virtual boards need none)")
        return 0
    cells = [(f.probe, f.product, f.location, f.port or None, f.board or "new") for f in found]
    print_table("", ("probe", "product", "USB location", "console", "board"), cells)
    for probe in found:
        if not probe.board:
            print_line(entry(probe))
    return 0


def find_probes(sysfs: Path = _SYSFS) -> list[Found]:
    """Every debug probe on USB, by id, without opening it."""
    ports = {}
    for port in list_ports.comports():
        if port.serial_number and probe_kind(port.vid, port.pid, port.product or ""):
            ports[normal_uid(usb_uid(port.serial_number))] = port
    found = {normal_uid(f.probe): f for f in _from_sysfs(sysfs)}
    for uid, port in ports.items():
        kind = probe_kind(port.vid, port.pid, port.product or "")
        product, location = port.product or "", (port.location or "").partition(":")[0]
        probe = f"{kind}:{usb_uid(port.serial_number or '')}"
        found[uid] = Found(probe, product, location, port.device)
    return [found[uid] for uid in sorted(found)]


def probe_kind(vid: int | None, pid: int | None, product: str) -> str:
    """The kind that boards.yaml calls this USB device, '' when it is no debug probe."""
    if vid == _ST and pid in _STLINK_PIDS:
        return "stlink"
    if vid == _SEGGER:
        return "jlink"
    if (vid, pid) in _CMSIS_DAP_IDS or "CMSIS-DAP" in product:
        return "cmsisdap"
    return ""


def usb_uid(serial: str) -> str:
    """The id that pyOCD gives a USB serial: old ST-Links have 12 raw bytes, shown as hex."""
    plain = serial.isascii() and serial.isalnum()
    return serial if plain else serial.encode("latin-1", "replace").hex().upper()


def entry(probe: Found) -> str:
    """A line for the `boards:` list; the type is for the user to fill in."""
    return f'  - {{id: NAME, type: TYPE, probe: "{probe.probe}", serial: {{by: probe}}}}'


def _from_sysfs(sysfs: Path) -> list[Found]:
    found = []
    for device in sorted(sysfs.glob("*")) if sysfs.is_dir() else ():
        words = [_word(device / name) for name in ("idVendor", "idProduct", "product", "serial")]
        vendor, product_id, product, serial = words
        kind = probe_kind(_hex(vendor), _hex(product_id), product)
        if kind and serial:
            found.append(Found(f"{kind}:{usb_uid(serial)}", product, device.name))
    return found


def _word(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()[:128]
    except OSError:
        return ""


def _hex(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None


def _named(probe: Found, known: tuple[Board, ...]) -> Found:
    for board in known:
        if not board.virtual and normal_uid(board.probe) == normal_uid(probe.probe):
            return Found(probe.probe, probe.product, probe.location, probe.port, board.id)
    return probe
