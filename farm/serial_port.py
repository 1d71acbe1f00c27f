"""The console of a board: which device it is, and that device opened."""

import contextlib
import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import serial
from serial.tools import list_ports

from farm.errors import BenchError, ConsoleError
from farm.rack.inventory import Board
from farm.usb import PortInfo, find_probes, interface_of, probes_of, same_uid
from farm.virtual import rack

READ_TIMEOUT_S = 0.02  # how long a read waits; deadlines are kept above it
WRITE_TIMEOUT_S = 5.0
_IN_USE = (errno.EAGAIN, errno.EBUSY)
_PROC = Path("/proc")
_WHY: Mapping[int, str] = {
    errno.EACCES: "may not be opened by this user; see docs/operators.md for its rights",
    errno.ENOENT: "is gone; check the cable",
}


def find_port(board: Board) -> str:
    """The device path of the board's console; BenchError when there is none or more than one."""
    if board.virtual:
        return _virtual_port(board)
    return port_of(board, () if board.serial.by == "path" else list_ports.comports())


def port_of(board: Board, ports: Sequence[PortInfo]) -> str:
    """The same for a real board, of these ports."""
    if board.serial.by == "path":
        return _existing(board, board.serial.value)
    return choose_port(board, ports)


def choose_port(board: Board, ports: Sequence[PortInfo]) -> str:
    """The one port among these that the board's SerialSpec means; BenchError otherwise.

    ConsoleError for one that a reset of the probe does not bring back: an adapter of its own, or
    several that fit.
    """
    found = [port for port in ports if _matches(board, port)] or _beside_probe(board, ports)
    if board.serial.interface is not None:
        found = [port for port in found if interface_of(port) == board.serial.interface]
    if len(found) != 1:
        names = ", ".join(port.device for port in found) or "none"
        kind = BenchError if board.serial.by == "probe" and not found else ConsoleError
        raise kind(
            f"one console expected by {board.serial.by}, found {names}; "
            "check the cable and the board's serial entry in boards.yaml",
            board.id,
        )
    return found[0].device


@contextmanager
def open_port(board: Board, baud: int) -> Iterator[serial.Serial]:
    """The board's console, opened for this process alone.

    BenchError when that fails, ConsoleError where no reset of the board would help.
    """
    device = find_port(board)
    try:
        port = serial.Serial(
            device, baud, timeout=READ_TIMEOUT_S, write_timeout=WRITE_TIMEOUT_S, exclusive=True
        )
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None) or 0
        why = _in_use(board, device) if number in _IN_USE else _WHY.get(number, "")
        if why:
            raise ConsoleError(f"its console {device} {why}", board.id) from error
        raise BenchError(f"its console {device} cannot be opened: {error}", board.id) from error
    with port:
        yield port


def _in_use(board: Board, device: str) -> str:
    """By whom, as far as this user may know, and what to do."""
    daemon = rack.find(board.probe_uid) if board.virtual else None
    users = _who_has(Path(device).resolve())
    others = [user for user in users if daemon is None or user[0] != daemon.pid]
    if not (who := " and ".join(f"process {pid} ({name})" for pid, name in others)):
        return "is in use by another program; end that, such as a terminal that was left open"
    return f"is in use by {who}; end that, or let it close the console"


def _who_has(device: Path) -> list[tuple[int, str]]:
    """Processes that have a device open, by /proc: those that this user may look into."""
    found = []
    for process in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended, or is somebody else's
            if any(link.is_symlink() and link.readlink() == device
                   for link in (process / "fd").iterdir()):  # fmt: skip
                found.append((int(process.name), (process / "comm").read_text().strip()))
    return found


def _virtual_port(board: Board) -> str:
    found = rack.find(board.probe_uid)
    if found is None or not found.alive:
        raise BenchError("its daemon is not up; run `tinyrack rack up`", board.id)
    return found.tty


def _existing(board: Board, path: str) -> str:
    if not Path(path).exists():
        raise ConsoleError(f"its console {path} does not exist; is the board plugged in?", board.id)
    return path


def _matches(board: Board, port: PortInfo) -> bool:
    spec = board.serial
    if spec.by == "location":
        return port.location == spec.value
    return same_uid(port, board.probe_uid if spec.by == "probe" else spec.value)


def _beside_probe(board: Board, ports: Sequence[PortInfo]) -> list[PortInfo]:
    """Ports without a serial number of their own, on the USB device of the board's probe."""
    nameless = [port for port in ports if port.location and not port.serial_number]
    if board.serial.by != "probe" or not nameless:
        return []
    own = probes_of(board.probe, find_probes(ports))
    return [port for probe in own for port in probe.ports if port in nameless]
