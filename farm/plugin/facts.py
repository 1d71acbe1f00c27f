"""What is said of boards beside the result of a test: properties, and sections of a failure."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from farm.errors import FarmError
from farm.manager import BoardManager
from farm.mcus import load_mcu
from farm.measure import Measurement
from farm.plugin.console import Recorder
from farm.rack.inventory import Board
from farm.serial_port import open_port

TAIL_BYTES = 2048
_LISTEN_S = 0.3
_MOST_RUNGS = 5
_FROM_MEASUREMENT = (
    "board", "board_type", "virtual", "image_sha256", "cycles", "iqr_cycles", "peak_sram_bytes",
)  # fmt: skip
_FROM_PROVENANCE = ("probe", "unique_id", "lease_token", "tinyrack", "pyocd", "compiler", "attempt")


def of_boards(boards: Sequence[Board], tokens: dict[str, int]) -> list[tuple[str, object]]:
    """The properties of the boards that a test holds."""
    many = len(boards) > 1
    found: list[tuple[str, object]] = []
    for number, board in enumerate(boards):
        end = f"_{number + 1}" if many else ""
        found += [
            (f"held_board{end}", board.id),
            (f"held_board_type{end}", board.type.name),
            (f"held_probe{end}", board.probe),
            (f"held_lease_token{end}", tokens.get(board.id, 0)),
        ]
    return found


def of_measurement(m: Measurement) -> list[tuple[str, object]]:
    """The properties of a measurement."""
    found: list[tuple[str, object]] = [(key, getattr(m, key)) for key in _FROM_MEASUREMENT]
    found += [(key, m.provenance[key]) for key in _FROM_PROVENANCE if key in m.provenance]
    return [*found, ("samples", len(m.samples))]


def sections(
    boards: Sequence[Board],
    properties: Sequence[tuple[str, object]],
    farm: BoardManager | None,
    consoles: Sequence[Recorder],
    *,
    listening: bool,
) -> Iterator[tuple[str, str]]:
    """(title, text) to show with a failure.

    listening: whether the boards are still the test's, so that their consoles may be opened.
    """
    if properties:
        yield "board facts", "\n".join(f"{key} = {value}" for key, value in properties)
    for board in boards:
        if farm is not None and (rungs := _rungs(farm, board)):
            yield f"last recovery of {board.id}", "\n".join(rungs)
        recorded = [console.tail for console in consoles if console.board.id == board.id]
        if not recorded and not listening:
            continue
        tail = recorded[-1] if recorded else _listen(board)
        how = "so far" if recorded else "now"
        yield f"UART tail of {board.id}, {how}", _shown(tail) or "(silence)"


def _rungs(farm: BoardManager, board: Board) -> list[str]:
    with suppress(FarmError):  # a failure is being reported: its own reason counts
        last = farm.store.recoveries(board.id)[-_MOST_RUNGS:]
        return [f"{r.utc} {r.rung}, {r.seconds:.1f} s: {r.outcome} {r.detail}" for r in last]
    return []


def _listen(board: Board) -> bytes:
    """What the board says now; nothing when its console is in use or gone."""
    heard = b""
    with suppress(FarmError, OSError), open_port(board, load_mcu(board.type.mcu).uart.baud) as port:
        deadline = time.monotonic() + _LISTEN_S
        while time.monotonic() < deadline:
            heard += port.read(TAIL_BYTES)
    return heard[-TAIL_BYTES:]


def _shown(data: bytes) -> str:
    """Bytes as text, whatever a board sends: anything but plain letters as an escape."""
    text = data.decode("ascii", "backslashreplace")
    return re.sub(r"[^\n\t\x20-\x7e]", lambda found: f"\\x{ord(found[0]):02x}", text)
