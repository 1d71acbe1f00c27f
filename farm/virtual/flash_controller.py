"""What the flash controllers of all families have in common: cells, keys, stores of the core.

Time does not pass in them: BSY reads 0. Programming only clears bits, as the cells do.
"""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import unicorn

from farm.virtual.faults_flash import CellFaults
from farm.virtual.flash_state import FlashState
from farm.virtual.hook import EdgeHook
from farm.virtual.native import address_of
from farm.virtual.pages import READ_PLAIN, READ_STATUS, Page
from farm.virtual.parts import Part

ACR = 0x00
KEYS = (0x45670123, 0xCDEF89AB)
OPTION_KEYS = (0x08192A3B, 0x4C5D6E7F)
_CODE_BYTES = 0x400  # prices of code are kept by pages of this size
_Program = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint64)


class KeyLock:
    """A register that takes two keys in turn; a wrong one shuts it until the next reset."""

    def __init__(self, keys: tuple[int, int] = KEYS) -> None:
        self._keys = keys
        self.reset()

    def reset(self) -> None:
        """Ready for the first key."""
        self._step, self._dead = 0, False

    def opens(self, value: int, locked: bool) -> bool:
        """Whether this write, the second of two right ones, unlocks."""
        if self._dead or not locked or value != self._keys[self._step]:
            self._dead = self._dead or locked
            return False
        self._step = (self._step + 1) % len(self._keys)
        return self._step == 0


class FlashController(ABC):
    """Registers over the cells `flash`; `on_change(offset, size)` comes before any change.

    `on_latency()` is called when FLASH_ACR, and with it `wait_states`, may have changed.
    """

    latency_mask = 0xF
    busy: tuple[tuple[int, int], ...] = ()  # (status register, bit) of each bank's "busy"
    failed: tuple[tuple[int, int], ...] = ()  # the same of the error flag that a bad cell raises
    native_take: str  # the function of native/flash.c that does the good case of `store`

    def __init__(
        self,
        base: int,
        part: Part,
        flash: memoryview,
        hook: EdgeHook,
        on_change: Callable[[int, int], None],
    ) -> None:
        self.page = Page(base, hook)
        self.on_latency: Callable[[], None] = lambda: None
        self._part, self._hook, self._on_change = part, hook, on_change
        self.cells = CellFaults(flash)
        bases = (part.flash_base, *part.flash_aliases)
        self._state = FlashState(size=part.flash_bytes, base_count=len(bases))
        self._state.bases[: len(bases)] = bases
        self.words = self._state.words
        self.page.on_write(ACR, self._write_latency)

    def reset(self) -> None:
        """Registers as after a system reset."""
        self.page.clear()
        for offset, value in self._part.flash_reset.items():
            self.page[offset] = value
        for word in self.words:
            word.drop()
        self._state.code_start = self._state.code_end = 0
        self._show_busy()

    @property
    def wait_states(self) -> int:
        """LATENCY."""
        return self.page[ACR] & self.latency_mask

    @abstractmethod
    def store(self, offset: int, size: int, value: int) -> None:
        """What a bus write into flash does: programs, or raises an error bit."""

    def attach(self, core: Any, cells_at: int) -> None:
        """Let the core's stores into flash, whose bytes lie at `cells_at`, reach the controller."""
        library = self._hook.library
        if library is None:
            core.hook_add(unicorn.UC_HOOK_MEM_WRITE_PROT, self._stored)
            return
        self._callback = _Program(self._program)
        self._state.bytes = cells_at
        self._state.controller = ctypes.addressof(self.page.state)
        self._state.take = address_of(getattr(library, self.native_take))
        self._state.program = address_of(self._callback)
        kind, at = unicorn.UC_HOOK_MEM_WRITE_PROT, ctypes.addressof(self._state)
        self._hook.add_native(kind, library.flash_store, at)

    def executes(self, address: int) -> None:
        """Code at the core's `address` has been looked at: stores near it are told of."""
        for base in self._state.bases[: self._state.base_count]:
            offset = address - base
            if 0 <= offset < self._state.size:
                self._note_code(offset & -_CODE_BYTES)

    def _note_code(self, offset: int) -> None:
        state, end = self._state, offset + 2 * _CODE_BYTES  # a block may reach into the next
        state.code_start = min(offset, state.code_start) if state.code_end else offset
        state.code_end = max(end, state.code_end)

    def clear_bits(self, offset: int, size: int, value: int) -> None:
        """Program cells: ones become zeros where `value` has zeros."""
        self._on_change(offset, size)
        if not self.cells.program(offset, size, value):
            self._raise_error(offset)

    def erase(self, offset: int, size: int) -> None:
        """Set cells to ones."""
        self._on_change(offset, size)
        if not self.cells.erase(offset, size):
            self._raise_error(offset)

    def changes(self, offset: int, size: int) -> None:
        """Cells are about to change by themselves: what was derived from them goes."""
        self._on_change(offset, size)

    def set_busy(self, busy: bool) -> None:
        """Be busy until told otherwise, whatever resets come."""
        self.cells.busy = busy
        self._show_busy()
        self.watch_cells(busy)

    def watch_cells(self, watched: bool) -> None:
        """Have every word that is programmed pass through `cells`, not only those with errors."""
        self._state.watched = watched or self.cells.busy

    def _show_busy(self) -> None:
        """A core that polls a controller stuck for ever costs the host as little as one asleep."""
        for register, bit in self.busy:
            self.page[register] = self.page[register] & ~bit | (bit if self.cells.busy else 0)
            self.page.set_modes(register, read=READ_STATUS if self.cells.busy else READ_PLAIN)

    def _raise_error(self, offset: int) -> None:
        bank = offset * len(self.failed) // self._part.flash_bytes
        register, bit = self.failed[bank]
        self.page[register] |= bit

    def _write_latency(self, _offset: int, value: int) -> None:
        self.page[ACR] = value
        self.on_latency()

    def _program(self, offset: int, size: int, value: int) -> int:
        self.store(offset, size, value)
        return 0

    def _stored(self, _uc: Any, _type: int, address: int, size: int, value: int, _u: Any) -> bool:
        for base in (self._part.flash_base, *self._part.flash_aliases):
            if 0 <= address - base < self._part.flash_bytes:
                self.store(address - base, size, value & (1 << 8 * size) - 1)
        return address & 0xFFFFFFFF < 0x20000000  # in other read-only memory it is lost
