"""The serial console of a virtual board: a pseudo-terminal behind a stable symbolic link."""

from __future__ import annotations

import os
import pty
import termios
import tty
from collections.abc import Callable
from pathlib import Path

from farm.virtual.faults_line import Line

OUTPUT_LIMIT_BYTES = 64 * 1024
_CHUNK_BYTES = 4096
_DEFAULT_BAUD = 38400
_RATES = {  # by the constants of termios
    value: int(name[1:])
    for name, value in vars(termios).items()
    if name[0] == "B" and name[1:].isdigit()
}


class Console:
    """Bytes between a UART and whoever opens the link, in raw mode, never blocking.

    The daemon keeps the far end open itself: what the board says before anybody listens waits in
    the terminal, and a listener that leaves does not hang up the line. When nobody reads, output
    past OUTPUT_LIMIT_BYTES is lost, as at a real bridge; the board is never held up.
    """

    def __init__(self, link: Path, line: Line | None = None) -> None:
        self._line = line or Line()
        self._near, self._far = pty.openpty()
        os.fchmod(self._far, 0o600)  # the system's default lets the group tty write
        tty.setraw(self._far)  # before anybody writes: no echo, no line ends changed
        os.set_blocking(self._near, False)
        os.set_inheritable(self._near, False)
        self._output = bytearray()
        self._input = b""
        self._link = link
        draft = link.with_suffix(f".{os.getpid()}.tmp")
        draft.symlink_to(os.ttyname(self._far))
        draft.replace(link)

    def host_baud(self) -> float:
        """The rate that the listener has set; 0 for none: a terminal comes with 38400."""
        baud = _RATES.get(termios.tcgetattr(self._near)[5], 0)
        return 0.0 if baud == _DEFAULT_BAUD else float(baud)

    def fileno(self) -> int:
        """The descriptor that becomes readable when the host sends."""
        return self._near

    @property
    def has_input(self) -> bool:
        """Whether bytes from the host still wait for the receiver."""
        return bool(self._input)

    @property
    def has_output(self) -> bool:
        """Whether bytes of the board still wait for a reader."""
        return bool(self._output)

    def write(self, data: bytes) -> None:
        """Take bytes from the board's transmitter."""
        self._say(self._line.carry("out", data))

    def _say(self, data: bytes) -> None:
        self._output += data[: OUTPUT_LIMIT_BYTES - len(self._output)]

    def flush(self) -> int:
        """Hand waiting output to the terminal; how many bytes it took."""
        self._say(self._line.ripe("out"))
        sent = 0
        while self._output:
            try:
                count = os.write(self._near, self._output[:_CHUNK_BYTES])
            except BlockingIOError:
                break
            del self._output[:count]
            sent += count
        return sent

    def feed(self, receiver: Callable[[bytes], int], readable: bool = True) -> int:
        """Offer the host's bytes to the board's receiver; how many it took.

        `readable` False: the terminal has nothing, so that it need not be asked.

        What it does not take waits, and nothing more is read from the terminal meanwhile, so that
        a fast host is held up and loses nothing.
        """
        if not self._input:
            self._input = self._line.ripe("in") + (self._hear() if readable else b"")
        if not self._input:
            return 0
        accepted = receiver(self._input)
        self._input = self._input[accepted:]
        return accepted

    def _hear(self) -> bytes:
        try:
            return self._line.carry("in", os.read(self._near, _CHUNK_BYTES))
        except BlockingIOError:
            return b""

    def drop_input(self) -> None:
        """Forget what the receiver has not taken, as a power cut does."""
        self._input = b""
        self._line.drop()

    @property
    def due_s(self) -> float | None:
        """When bytes that a faulty line holds back come, by time.monotonic()."""
        return self._line.due_s

    def close(self) -> None:
        """Hang up and remove the link."""
        self._link.unlink(missing_ok=True)
        os.close(self._near)
        os.close(self._far)
