"""The console UART, in the register layouts of STM32F4 ("old") and F7 ("new").

Bytes take no time: the transmitter is always empty, received bytes wait in a queue instead of
overrunning, and when that is full the sender waits. A disabled transmitter or receiver loses its
bytes, as the real one does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from farm.virtual.hook import EdgeHook
from farm.virtual.pages import READ_STATUS, WRITE_TRANSMIT, Page
from farm.virtual.parts import Usart as UsartPart

RXNE, TC, TXE = 1 << 5, 1 << 6, 1 << 7
RE, TE, RXNEIE, TCIE, TXEIE = 1 << 2, 1 << 3, 1 << 5, 1 << 6, 1 << 7
QUEUE_LIMIT_BYTES = 4096
OVER8 = 1 << 15
TEACK, REACK = 1 << 21, 1 << 22


@dataclass(frozen=True)
class _Layout:
    status: int
    receive: int
    transmit: int
    control: int
    divisor: int
    enable: int  # UE in CR1
    acknowledges: bool  # TEACK and REACK exist


_LAYOUTS = {
    "old": _Layout(0x00, 0x04, 0x04, 0x0C, 0x08, 1 << 13, acknowledges=False),
    "new": _Layout(0x1C, 0x24, 0x28, 0x00, 0x0C, 1 << 0, acknowledges=True),
}


class Usart:
    """One UART; `on_line(asserted)` is its interrupt line."""

    def __init__(self, part: UsartPart, hook: EdgeHook, on_line: Callable[[bool], None]) -> None:
        self.page = Page(part.base, hook, part.clock)
        self._part, self._layout = part, _LAYOUTS[part.style]
        self._hook, self._on_line = hook, on_line
        self.powered: Callable[[], bool] = lambda: True  # the supply of its pins
        self._queue: deque[int] = deque()
        hook.counters.status_bit = RXNE
        self.page.set_modes(self._layout.status, read=READ_STATUS)
        self.page.on_write(self._layout.status, lambda _offset, _value: None)
        self.page.on_read(self._layout.receive, self._read_data)
        self.page.on_write(self._layout.transmit, self._write_data)
        self.page.on_write(self._layout.control, self._write_control)
        self.reset()

    def reset(self) -> None:
        """Registers as after a system reset; bytes on their way are lost."""
        self.page.clear()
        self._queue.clear()
        self._update()

    def baud(self, kernel_hz: int) -> float:
        """The rate that the divisor gives with this kernel clock; 0 when none is set."""
        divisor = self.page[self._layout.divisor]
        if self.page[self._layout.control] & OVER8:  # the fraction has three bits, at 2..0
            divisor, kernel_hz = divisor & ~15 | (divisor & 7) << 1, 2 * kernel_hz
        return self._part.scale * kernel_hz / divisor if divisor else 0.0

    def receive(self, data: bytes) -> int:
        """Bytes from the other end of the wire; how many were taken."""
        if not self._enabled(RE) or not self.powered():
            return len(data)  # nobody listens: lost, as on the wire
        taken = data[: QUEUE_LIMIT_BYTES - len(self._queue)]
        self._queue.extend(taken)
        self._update()
        return len(taken)

    def _enabled(self, direction: int) -> bool:
        wanted = self._layout.enable | direction
        return bool(self.page.state.clocked) and self.page[self._layout.control] & wanted == wanted

    def _read_data(self, _offset: int) -> int:
        self._hook.counters.idle_reads = 0
        value = self._queue.popleft() if self._queue else 0
        self._update()
        return value

    def _write_data(self, _offset: int, value: int) -> None:
        """Reached when disabled or without power, or when the native queue is full."""
        if self._enabled(TE) and self.powered():
            self._hook.transmit(value)

    def _write_control(self, _offset: int, value: int) -> None:
        self.page[self._layout.control] = value
        if not self._enabled(RE):
            self._queue.clear()
        self.page.on_write(self._layout.transmit, self._write_data)
        if self._enabled(TE) and self.powered():
            self.page.set_modes(self._layout.transmit, write=WRITE_TRANSMIT)
        self._update()

    def _update(self) -> None:
        """Status register and interrupt line follow the queue and the control register."""
        control = self.page[self._layout.control]
        status = TXE | TC | (RXNE if self._queue else 0)
        if self._layout.acknowledges:
            status |= (TEACK if self._enabled(TE) else 0) | (REACK if self._enabled(RE) else 0)
        self.page[self._layout.status] = status
        wanted = (RXNE if control & RXNEIE else 0) | control & (TCIE | TXEIE)
        self._on_line(bool(status & wanted))
