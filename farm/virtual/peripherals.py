"""The memories and peripherals of a part, on its bus."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable
from typing import Any

import unicorn

from farm.virtual.bus import Bus, Memory
from farm.virtual.flash_controller import FlashController
from farm.virtual.flash_f4 import F4Flash
from farm.virtual.flash_h7 import H7Flash
from farm.virtual.flash_l4 import L4Flash
from farm.virtual.hook import EdgeHook
from farm.virtual.nvic import Nvic
from farm.virtual.pages import Page
from farm.virtual.parts import Part
from farm.virtual.rcc import ClockControl, Overrun
from farm.virtual.rcc_f4 import F4Clocks
from farm.virtual.rcc_h7 import H7Clocks
from farm.virtual.rcc_l4 import L4Clocks
from farm.virtual.usart import Usart

_FLASHES: dict[str, type[F4Flash | L4Flash | H7Flash]] = {
    "f4": F4Flash,
    "l4": L4Flash,
    "h7": H7Flash,
}
_CLOCKS: dict[str, type[F4Clocks | L4Clocks | H7Clocks]] = {
    "f4": F4Clocks,
    "l4": L4Clocks,
    "h7": H7Clocks,
}


class Peripherals:
    """Everything around the core.

    `on_flash(offset, size)` is called before flash changes, `on_overrun()` when `overrun` does.
    """

    def __init__(
        self,
        part: Part,
        flash: bytearray | mmap.mmap,
        hook: EdgeHook,
        nvic: Nvic,
        on_flash: Callable[[int, int], None],
        on_overrun: Callable[[], None],
    ) -> None:
        cells = memoryview(flash)
        self._plain = [Page(r.base, hook, r.clock) for r in part.registers]
        self.flash: FlashController = _FLASHES[part.flash_family](part, cells, hook, on_flash)
        self.usart = Usart(part.usart, hook, lambda high: nvic.set_line(part.usart.irq, high))
        self.clocks: ClockControl = _CLOCKS[part.clock.family](
            part,
            hook,
            (*self._plain, self.usart.page),
            lambda: self.flash.wait_states,
            on_overrun,
        )
        self.flash.on_latency = self.clocks.update
        supply = part.usart.supply
        if supply:
            power = self.clocks.power
            self.usart.powered = lambda: bool(power[supply.offset] >> supply.bit & 1)
        self._dbgmcu = Page(part.dbgmcu, hook)
        self._dbgmcu[0] = part.dbgmcu_idcode
        self._dbgmcu.on_write(0, lambda _offset, _value: None)
        bases = (part.flash_base, *part.flash_aliases)
        self._cells = Memory(bases, cells, store=self.flash.store)
        self._rams = [
            Memory((r.base, *r.aliases), memoryview(bytearray(r.bytes))) for r in part.rams
        ]
        self._rom = _system_memory(part)

    def put_on(self, bus: Bus) -> None:
        """Give everything its address."""
        for memory in self.memories:
            bus.add_memory(memory)
        own = (self.flash.page, self.usart.page, self._dbgmcu)
        for page in (*self._plain, *self.clocks.pages, *own):
            bus.add_page(page)

    def attach(self, uc: Any) -> None:
        """Catch the core's stores into flash."""
        self.flash.attach(uc, self._cells.pointer)

    @property
    def memories(self) -> tuple[Memory, ...]:
        """What holds bytes and nothing else."""
        return (*self._rams, self._cells, self._rom)

    @property
    def overrun(self) -> Overrun:
        """What is too slow for the core's clock: nothing, the flash, or the core itself."""
        return self.clocks.overrun

    def shut_flash(self, uc: Any, shut: bool) -> None:
        """Take flash away from the core, which reads it too fast; or give it back."""
        allowed = unicorn.UC_PROT_NONE if shut else unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
        for base in self._cells.bases:
            uc.mem_protect(base, len(self._cells.data), allowed)

    def fill_rams(self, seed: str) -> None:
        """Noise, as after power-up; the same seed gives the same noise."""
        self.clocks.kept.clear()
        self.clocks.reset_by = "power-on"
        for index, ram in enumerate(self._rams):
            noise = hashlib.shake_128(f"{seed} {index}".encode())
            ram.data[:] = noise.digest(len(ram.data))

    def reset(self) -> None:
        """Registers as after a system reset; memories stay."""
        for page in self._plain:
            page.clear()
        self.flash.reset()
        self.usart.reset()
        self.clocks.reset()


def _system_memory(part: Part) -> Memory:
    """Unique id (of the part: boards do not differ) and flash size, read-only."""
    where = part.system_memory
    data = bytearray(b"\xff" * where["bytes"])
    uid, size = where["uid"] - where["base"], where["flash_size"] - where["base"]
    data[uid : uid + 12] = hashlib.sha256(part.name.encode()).digest()[:12]
    data[size : size + 2] = (part.flash_bytes // 1024).to_bytes(2, "little")
    return Memory((where["base"],), memoryview(data), store=lambda _o, _s, _v: None)
