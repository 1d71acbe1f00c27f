"""The memories and peripherals of a part, on its bus."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable
from typing import Any

from farm.virtual.bus import Bus, Memory
from farm.virtual.flash_controller import FlashController
from farm.virtual.hook import EdgeHook
from farm.virtual.nvic import Nvic
from farm.virtual.pages import Page
from farm.virtual.parts import Part
from farm.virtual.rcc import ClockControl
from farm.virtual.usart import Usart

_DBGMCU = 0xE0042000


class Peripherals:
    """Everything around the core; `on_flash(offset, size)` is called before flash changes."""

    def __init__(
        self,
        part: Part,
        flash: bytearray | mmap.mmap,
        hook: EdgeHook,
        nvic: Nvic,
        on_flash: Callable[[int, int], None],
    ) -> None:
        cells = memoryview(flash)
        self._plain = [Page(r.base, hook, r.clock) for r in part.registers]
        self._flash = FlashController(part, cells, hook, on_flash)
        self.usart = Usart(part.usart, hook, lambda high: nvic.set_line(part.usart.irq, high))
        self._clocks = ClockControl(part, hook, (*self._plain, self.usart.page))
        self._dbgmcu = Page(_DBGMCU, hook)
        self._dbgmcu[0] = part.dbgmcu_idcode
        self._dbgmcu.on_write(0, lambda _offset, _value: None)
        bases = (part.flash_base, *part.flash_aliases)
        self._cells = Memory(bases, cells, store=self._flash.store)
        self._rams = [Memory((r.base,), memoryview(bytearray(r.bytes))) for r in part.rams]
        self._rom = _system_memory(part)

    def put_on(self, bus: Bus) -> None:
        """Give everything its address."""
        for memory in (*self._rams, self._cells, self._rom):
            bus.add_memory(memory)
        clocks = (self._clocks.rcc, self._clocks.power)
        for page in (*self._plain, *clocks, self._flash.page, self.usart.page, self._dbgmcu):
            bus.add_page(page)

    def attach(self, uc: Any) -> None:
        """Catch the core's stores into flash."""
        self._flash.attach(uc, self._cells.pointer)

    def fill_rams(self, seed: str) -> None:
        """Noise, as after power-up; the same seed gives the same noise."""
        for index, ram in enumerate(self._rams):
            noise = hashlib.shake_128(f"{seed} {index}".encode())
            ram.data[:] = noise.digest(len(ram.data))

    def reset(self) -> None:
        """Registers as after a system reset; memories stay."""
        for page in self._plain:
            page.clear()
        self._flash.reset()
        self.usart.reset()
        self._clocks.reset()


def _system_memory(part: Part) -> Memory:
    """Unique id (of the part: boards do not differ) and flash size, read-only."""
    where = part.system_memory
    data = bytearray(b"\xff" * where["bytes"])
    uid, size = where["uid"] - where["base"], where["flash_size"] - where["base"]
    data[uid : uid + 12] = hashlib.sha256(part.name.encode()).digest()[:12]
    data[size : size + 2] = (part.flash_bytes // 1024).to_bytes(2, "little")
    return Memory((where["base"],), memoryview(data), store=lambda _o, _s, _v: None)
