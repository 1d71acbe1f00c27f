"""The USB reset of a debug probe, which frees one whose firmware hangs (Linux)."""

import fcntl
import os
import time
from pathlib import Path

from serial.tools import list_ports

from farm.errors import BenchError
from farm.rack.board import Board, normal_uid
from farm.usb import SYSFS, UsbProbe, find_probes
from farm.virtual import rack

USBDEVFS_RESET = ord("U") << 8 | 20  # linux/usbdevice_fs.h: _IO('U', 20)
_BUS = Path("/dev/bus/usb")
_BACK_S = 10.0
_POLL_S = 0.1


def reset(board: Board, deadline_s: float = _BACK_S) -> str:
    """Reset the probe's USB device and wait until it is there again; what was reset.

    The device is found anew by its serial number, since its number changes. A virtual board's
    daemon is ended and started. BenchError when the probe is not found, now or afterwards.
    """
    if board.virtual:
        rack.down([board.probe_uid])
        rack.ensure_up(board, deadline_s)
        return "its daemon, started again"
    location = _location(board)
    _reset_device(board, _node(location))
    deadline = time.monotonic() + deadline_s
    while time.monotonic() < deadline:
        time.sleep(_POLL_S)  # the deadline is above
        if any(normal_uid(probe.uid) == normal_uid(board.probe) for probe in _probes()):
            return f"the probe at {location}"
    raise BenchError(
        f"its probe did not come back within {deadline_s:.0f} s of a USB reset; replug it", board.id
    )


def _location(board: Board) -> str:
    found = [p for p in _probes() if p.uid and normal_uid(p.uid) == normal_uid(board.probe)]
    if len(found) != 1 or not found[0].location:
        raise BenchError(
            f"{len(found)} USB devices have its probe's number, one is expected; check cables",
            board.id,
        )
    return found[0].location


def _probes() -> list[UsbProbe]:
    return find_probes(list_ports.comports())


def _node(location: str, sysfs: Path = SYSFS) -> Path:
    """The device's file under /dev/bus/usb."""
    names = ("busnum", "devnum")
    bus, number = (int((sysfs / location / name).read_text(encoding="ascii")) for name in names)
    return _BUS / f"{bus:03}" / f"{number:03}"


def _reset_device(board: Board, node: Path) -> None:
    try:
        descriptor = os.open(node, os.O_WRONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, USBDEVFS_RESET, 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise BenchError(
            f"the USB reset of its probe failed ({error.strerror}); may this user write {node}?",
            board.id,
        ) from error
