"""Debug probes and consoles as the operating system knows them: nothing is opened to be asked.

Opening a probe to ask it who it is would disturb whoever measures through it, so only what
is known already is read: pyserial's port list and, on Linux, sysfs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from farm.rack.board import plain_uid

SYSFS = Path("/sys/bus/usb/devices")
_ST, _SEGGER = 0x0483, 0x1366
_STLINK_PIDS = (
    0x3744, 0x3748, 0x374A, 0x374B, 0x374D, 0x374E, 0x374F, 0x3752, 0x3753, 0x3754, 0x3755, 0x3757,
)  # fmt: skip
_RAW_STLINK_CHARACTERS = 12
_CMSIS_DAP_IDS = ((0x0D28, 0x0204), (0x2E8A, 0x000C), (0x1FC9, 0x0143), (0x03EB, 0x2111))


class PortInfo(Protocol):
    """The part of pyserial's port description that pairing looks at."""

    device: str
    vid: int | None
    pid: int | None
    product: str | None
    serial_number: str | None
    location: str | None


@dataclass(frozen=True)
class UsbProbe:
    """A debug probe on USB: kind:uid as boards.yaml has it, the uid '' where USB tells none.

    location: of the device, as 1-1.4; ports: its consoles, in the order of their interfaces.
    """

    kind: str
    uid: str
    product: str
    location: str
    ports: tuple[PortInfo, ...] = field(default=())

    @property
    def probe(self) -> str:
        """As boards.yaml names it."""
        return f"{self.kind}:{self.uid}"


def find_probes(ports: Sequence[PortInfo], sysfs: Path = SYSFS) -> list[UsbProbe]:
    """Every debug probe, with its consoles, in the order of their USB locations.

    Consoles are paired by the USB device that both are on, then by serial number, since some
    probes have their console on another device of the same number.
    """
    devices = {probe.location: probe for probe in _from_sysfs(sysfs)}
    for port in ports:
        device = device_of(port.location)
        kind = probe_kind(port.vid, port.pid, port.product or "")
        if kind and device not in devices:
            uid = usb_uid(kind, port.serial_number or "")
            devices[device] = UsbProbe(kind, uid, port.product or "", device)
    return [_with_ports(devices[at], ports) for at in sorted(devices)]


def probes_of(probe: str, found: Sequence[UsbProbe]) -> list[UsbProbe]:
    """Those that are the probe which boards.yaml names so, kind:uid; more than one are twins."""
    kind, _, uid = probe.partition(":")
    return [each for each in found if each.kind == kind and is_uid(each.uid, uid)]


def device_of(location: str | None) -> str:
    """The device's part of a location: 1-1.4 of 1-1.4:1.2."""
    return (location or "").partition(":")[0]


def interface_of(port: PortInfo) -> int | None:
    """The USB interface number behind the last dot of a location such as 1-1.4:1.2."""
    _, _, last = (port.location or "").rpartition(".")
    has_interface = ":" in (port.location or "") and last.isdigit()
    return int(last) if has_interface else None


def same_uid(port: PortInfo, uid: str) -> bool:
    """Whether the port's serial number is that uid, however each tool spells it."""
    kind = probe_kind(port.vid, port.pid, port.product or "")
    return is_uid(usb_uid(kind, port.serial_number or ""), uid)


def is_uid(found: str, uid: str) -> bool:
    """Whether a number that was found is that uid; the number '' is nobody's."""
    return bool(found) and plain_uid(found) == plain_uid(uid)


def probe_kind(vid: int | None, pid: int | None, product: str) -> str:
    """The kind that boards.yaml calls this USB device, '' when it is no debug probe."""
    if vid == _ST and pid in _STLINK_PIDS:
        return "stlink"
    if vid == _SEGGER:
        return "jlink"
    if (vid, pid) in _CMSIS_DAP_IDS or "CMSIS-DAP" in product:
        return "cmsisdap"
    return ""


def usb_uid(kind: str, serial: str) -> str:
    """The id that pyOCD gives a USB serial: 12 characters of an ST-Link are raw bytes, as hex.

    pyOCD does so with every such number (pyocd/probe/stlink/usb.py), letters and digits too, and
    with those of no other kind.
    """
    if kind != "stlink" or len(serial) != _RAW_STLINK_CHARACTERS:
        return serial
    return serial.encode("utf-16-le")[::2].hex().upper()


def _with_ports(probe: UsbProbe, ports: Sequence[PortInfo]) -> UsbProbe:
    own = [port for port in ports if probe.location and device_of(port.location) == probe.location]
    own = own or [port for port in ports if probe.uid and same_uid(port, probe.uid)]
    own.sort(key=lambda port: (interface_of(port) or 0, port.device))
    return UsbProbe(probe.kind, probe.uid, probe.product, probe.location, tuple(own))


def _from_sysfs(sysfs: Path) -> list[UsbProbe]:
    found = []
    for device in sorted(sysfs.glob("*")) if sysfs.is_dir() else ():
        words = [_word(device / name) for name in ("idVendor", "idProduct", "product", "serial")]
        vendor, product_id, product, serial = words
        if kind := probe_kind(_hex(vendor), _hex(product_id), product):
            found.append(UsbProbe(kind, usb_uid(kind, serial), product, device.name))
    return found


def _word(path: Path) -> str:
    """As the device has it: a serial number of raw bytes may begin or end with blanks."""
    try:
        return path.read_bytes().decode("utf-8", "replace").removesuffix("\n")[:128]
    except OSError:
        return ""


def _hex(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None
