"""The flash controller of STM32F4 and F7: keys, erase, programming, option bytes.

Time does not pass in it: BSY reads 0. Programming only clears bits, as the cells do.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import unicorn

from farm.virtual.hook import EdgeHook, address_of
from farm.virtual.pages import Page
from farm.virtual.parts import Part

BASE = 0x40023C00
ACR, KEYR, OPTKEYR, SR, CR, OPTCR, OPTCR1 = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18
KEYS = (0x45670123, 0xCDEF89AB)
OPTION_KEYS = (0x08192A3B, 0x4C5D6E7F)
PG, SER, MER, STRT, LOCK = 1, 1 << 1, 1 << 2, 1 << 16, 1 << 31
OPTLOCK = 1
EOP, OPERR, WRPERR, PGAERR, PGPERR, PGSERR = 1, 1 << 1, 1 << 4, 1 << 5, 1 << 6, 1 << 7
_ERRORS = 0xF0
_Program = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32)


class _NativeFlash(ctypes.Structure):
    """`struct flash` of hook.c."""

    _fields_ = (
        ("bytes", ctypes.c_void_p),
        ("size", ctypes.c_uint32),
        ("base_count", ctypes.c_uint32),
        ("bases", ctypes.c_uint32 * 4),
        ("controller", ctypes.c_void_p),
        ("program", ctypes.c_void_p),
    )


class FlashController:
    """Registers over the cells `flash`; `on_change(offset, size)` comes before any change."""

    def __init__(
        self,
        part: Part,
        flash: memoryview,
        hook: EdgeHook,
        on_change: Callable[[int, int], None],
    ) -> None:
        self.page = Page(BASE, hook)
        self._part, self._flash, self._hook, self._on_change = part, flash, hook, on_change
        self._key_step = 0
        self._dead = False  # wrong key: locked until reset
        self.page.on_write(KEYR, self._write_key)
        self.page.on_write(OPTKEYR, self._write_option_key)
        self.page.on_write(SR, self._write_status)
        self.page.on_write(OPTCR, self._write_options)
        self.page.on_write(CR, self._write_control)
        self.reset()

    def reset(self) -> None:
        """Registers as after a system reset."""
        self.page.clear()
        self._key_step, self._dead = 0, False
        self.page[CR] = LOCK
        self.page[OPTCR] = self._part.optcr
        self.page[OPTCR1] = self._part.optcr1 or 0
        self._watch_control()

    def attach(self, core: Any, cells_at: int) -> None:
        """Let the core's stores into flash, whose bytes lie at `cells_at`, reach the controller."""
        if self._hook.library is None:
            core.hook_add(unicorn.UC_HOOK_MEM_WRITE_PROT, self._stored)
            return
        bases = (self._part.flash_base, *self._part.flash_aliases)
        self._callback = _Program(self._program)
        self._native = _NativeFlash(cells_at, self._part.flash_bytes, len(bases))
        self._native.bases[: len(bases)] = bases
        self._native.controller = ctypes.addressof(self.page.state)
        self._native.program = address_of(self._callback)
        kind, at = unicorn.UC_HOOK_MEM_WRITE_PROT, ctypes.addressof(self._native)
        self._hook.add_native(kind, self._hook.library.flash_store, at)

    def store(self, offset: int, size: int, value: int) -> None:
        """What a bus write into flash does: programs, or raises an error bit."""
        control = self.page[CR]
        if control & LOCK or not control & PG:
            self.page[SR] |= PGSERR
        elif 1 << (control >> 8 & 3) != size:
            self.page[SR] |= PGPERR
        elif offset % size:
            self.page[SR] |= PGAERR
        elif not self.page[SR] & _ERRORS:
            self._on_change(offset, size)
            old = int.from_bytes(self._flash[offset : offset + size], "little")
            self._flash[offset : offset + size] = (old & value).to_bytes(size, "little")

    def _program(self, offset: int, size: int, value: int) -> int:
        self.store(offset, size, value)
        return 0

    def _stored(self, _uc: Any, _type: int, address: int, size: int, value: int, _u: Any) -> bool:
        for base in (self._part.flash_base, *self._part.flash_aliases):
            if 0 <= address - base < self._part.flash_bytes:
                self.store(address - base, size, value & (1 << 8 * size) - 1)
        return True

    def _write_key(self, _offset: int, value: int) -> None:
        if self._dead or not self.page[CR] & LOCK or value != KEYS[self._key_step]:
            self._dead = self._dead or bool(self.page[CR] & LOCK)
            return
        self._key_step = (self._key_step + 1) % len(KEYS)
        if self._key_step == 0:
            self.page[CR] &= ~LOCK
            self._watch_control()

    def _write_option_key(self, _offset: int, value: int) -> None:
        if value == OPTION_KEYS[1]:
            self.page[OPTCR] &= ~OPTLOCK

    def _write_options(self, _offset: int, value: int) -> None:
        """Only the lock: option bytes of a virtual board do not change."""
        self.page[OPTCR] |= value & OPTLOCK

    def _write_status(self, _offset: int, value: int) -> None:
        self.page[SR] &= ~(value & (_ERRORS | EOP | OPERR))

    def _watch_control(self) -> None:
        """Unlocked and not starting anything, CR is plain; PG opens the fast path of hook.c."""
        locked = self.page[CR] & LOCK
        self.page.on_write(CR, self._write_control, 0 if locked else STRT | LOCK | SER | MER)

    def _write_control(self, _offset: int, value: int) -> None:
        if self.page[CR] & LOCK:
            return
        if value & STRT:
            self._erase(value)
        self.page[CR] = value & ~STRT
        self._watch_control()

    def _erase(self, control: int) -> None:
        """Sector or mass erase; the number of a sector that is not there raises PGSERR."""
        number = control >> 3 & 31
        if control & MER:
            self._fill(0, self._part.flash_bytes)
        elif control & SER and number < len(self._part.sectors):
            sector = self._part.sectors[number]
            self._fill(sector.offset, sector.bytes)
        elif control & SER:
            self.page[SR] |= PGSERR

    def _fill(self, offset: int, size: int) -> None:
        self._on_change(offset, size)
        self._flash[offset : offset + size] = b"\xff" * size
