"""Recorder: the console of a board, whose last bytes are kept for the report of a failure."""

from collections.abc import Iterator
from contextlib import contextmanager

from farm.link import Port
from farm.mcus import load_mcu
from farm.rack.inventory import Board
from farm.serial_port import open_port

KEPT_BYTES = 4096


class Recorder:
    """A port (see farm.link.Port) that keeps the last 4 KiB that were read from it."""

    def __init__(self, board: Board, port: Port) -> None:
        self.board = board
        self._port = port
        self._heard = bytearray()

    @property
    def tail(self) -> bytes:
        """What the board said last."""
        return bytes(self._heard)

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""
        return self._port.in_waiting

    def read(self, size: int = 1, /) -> bytes:
        """Up to size bytes, none when none came in the port's own short time-out (20 ms)."""
        data = self._port.read(size)
        self._heard += data
        del self._heard[:-KEPT_BYTES]
        return data

    def write(self, data: bytes, /) -> int | None:
        """Send the bytes."""
        return self._port.write(data)


@contextmanager
def recorded(board: Board) -> Iterator[Recorder]:
    """The board's console, open; BenchError when it cannot be opened."""
    with open_port(board, load_mcu(board.type.mcu).uart.baud) as port:
        yield Recorder(board, port)
