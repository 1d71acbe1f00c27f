"""The console of a board: which device it is, and that device opened."""

import contextlib
import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import serial
from serial.tools import list_ports

from farm.errors import BenchError, ConsoleBusyError
from farm.inventory import Board
from farm.usb import PortInfo, interface_of, same_uid
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
    if board.serial.by == "path":
        return _existing(board, board.serial.value)
    return choose_port(board, list_ports.comports())


def choose_port(board: Board, ports: Sequence[PortInfo]) -> str:
    """The one port among these that the board's SerialSpec means; BenchError otherwise."""
    found = [port for port in ports if _matches(board, port)]
    if board.serial.interface is not None:
        found = [port for port in found if interface_of(port) == board.serial.interface]
    if len(found) != 1:
        names = ", ".join(port.device for port in found) or "none"
        raise BenchError(
            f"one console expected by {board.serial.by}, found {names}; "
            "check the cable and the board's serial entry in boards.yaml",
            board.id,
        )
    return found[0].device


@contextmanager
def open_port(board: Board, baud: int) -> Iterator[serial.Serial]:
    """The board's console, opened for this process alone.

    BenchError when that fails, ConsoleBusyError when another program has it.
    """
    device = find_port(board)
    try:
        port = serial.Serial(
            device, baud, timeout=READ_TIMEOUT_S, write_timeout=WRITE_TIMEOUT_S, exclusive=True
        )
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in _IN_USE:
            raise ConsoleBusyError(
                f"its console {device} {_in_use(board, device)}", board.id
            ) from error
        why = _WHY.get(getattr(error, "errno", None) or 0, f"cannot be opened: {error}")
        raise BenchError(f"its console {device} {why}", board.id) from error
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
        raise BenchError(f"its console {path} does not exist; is the board plugged in?", board.id)
    return path


def _matches(board: Board, port: PortInfo) -> bool:
    spec = board.serial
    if spec.by == "location":
        return port.location == spec.value
    return same_uid(port, board.probe if spec.by == "probe" else spec.value)
