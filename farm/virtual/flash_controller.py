"""What the flash controllers of all families have in common: cells, keys, stores of the core.

Time does not pass in them: BSY reads 0. Programming only clears bits, as the cells do.
"""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import unicorn

from farm.virtual.hook import EdgeHook, address_of
from farm.virtual.pages import Page
from farm.virtual.parts import Part

ACR = 0x00
KEYS = (0x45670123, 0xCDEF89AB)
OPTION_KEYS = (0x08192A3B, 0x4C5D6E7F)
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
    native_stores = False  # whether flash_store() of hook.c knows this controller

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
        self._part, self._flash, self._hook, self._on_change = part, flash, hook, on_change
        self.page.on_write(ACR, self._write_latency)

    def reset(self) -> None:
        """Registers as after a system reset."""
        self.page.clear()
        for offset, value in self._part.flash_reset.items():
            self.page[offset] = value

    @property
    def wait_states(self) -> int:
        """LATENCY."""
        return self.page[ACR] & self.latency_mask

    @abstractmethod
    def store(self, offset: int, size: int, value: int) -> None:
        """What a bus write into flash does: programs, or raises an error bit."""

    def attach(self, core: Any, cells_at: int) -> None:
        """Let the core's stores into flash, whose bytes lie at `cells_at`, reach the controller."""
        if self._hook.library is None or not self.native_stores:
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

    def clear_bits(self, offset: int, size: int, value: int) -> None:
        """Program cells: ones become zeros where `value` has zeros."""
        self._on_change(offset, size)
        old = int.from_bytes(self._flash[offset : offset + size], "little")
        self._flash[offset : offset + size] = (old & value).to_bytes(size, "little")

    def erase(self, offset: int, size: int) -> None:
        """Set cells to ones."""
        self._on_change(offset, size)
        self._flash[offset : offset + size] = b"\xff" * size

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
        return True
