"""Register pages: 1 KiB of a peripheral's registers, served in C where no model is needed."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import unicorn
from unicorn.unicorn_py3.unicorn import uclib

from farm.virtual.hook import Counters, EdgeHook
from farm.virtual.native import address_of
from farm.virtual.parts import Clock

PAGE_BYTES = 0x400
READ_PLAIN, READ_CALL, READ_STATUS = range(3)
WRITE_PLAIN, WRITE_CALL, WRITE_CALL_ON_MASK, WRITE_TRANSMIT = range(4)
_CALL_FUEL = 64
_Read = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32)
_Write = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32)


class PageState(ctypes.Structure):
    """`struct page` of native/board.h."""

    _fields_ = (
        ("regs", ctypes.c_uint32 * 256),
        ("write_mask", ctypes.c_uint32 * 256),
        ("read_mode", ctypes.c_uint8 * 256),
        ("write_mode", ctypes.c_uint8 * 256),
        ("clocked", ctypes.c_uint32),
        ("counters", ctypes.POINTER(Counters)),
        ("read", ctypes.c_void_p),
        ("write", ctypes.c_void_p),
    )


class Page:
    """The registers of one peripheral.

    A register is plain memory until `on_read` or `on_write` gives it a behaviour; the functions
    get the offset and see whole words. Without its clock (`state.clocked` 0) it reads 0 and
    ignores writes.
    """

    def __init__(self, base: int, hook: EdgeHook, clock: Clock | None = None) -> None:
        self.base = base
        self.clock = clock
        self.state = PageState(clocked=1, counters=ctypes.pointer(hook.counters))
        self.regs = self.state.regs
        self._hook = hook
        self._readers: dict[int, Callable[[int], int]] = {}
        self._writers: dict[int, Callable[[int, int], None]] = {}
        self._callbacks = (_Read(self._read), _Write(self._write))
        self.state.read, self.state.write = (address_of(c) for c in self._callbacks)

    def __getitem__(self, offset: int) -> int:
        return int(self.regs[offset >> 2])

    def __setitem__(self, offset: int, value: int) -> None:
        self.regs[offset >> 2] = value & 0xFFFFFFFF

    def clear(self) -> None:
        """All registers 0, as after reset; behaviours stay."""
        ctypes.memset(self.regs, 0, ctypes.sizeof(self.regs))

    def on_read(self, offset: int, reader: Callable[[int], int]) -> None:
        """Let `reader(offset)` give the value."""
        self._readers[offset] = reader
        self.state.read_mode[offset >> 2] = READ_CALL

    def on_write(self, offset: int, writer: Callable[[int, int], None], mask: int = 0) -> None:
        """Let `writer(offset, value)` store; with a mask only values that touch it."""
        self._writers[offset] = writer
        self.state.write_mode[offset >> 2] = WRITE_CALL_ON_MASK if mask else WRITE_CALL
        self.state.write_mask[offset >> 2] = mask

    def set_modes(self, offset: int, read: int | None = None, write: int | None = None) -> None:
        """Change how a register is served, by the constants above."""
        if read is not None:
            self.state.read_mode[offset >> 2] = read
        if write is not None:
            self.state.write_mode[offset >> 2] = write

    def load(self, offset: int, size: int) -> int:
        """What a bus read gives; the Python twin of load() in native/pages.c."""
        if not self.state.clocked:
            return 0
        i, c = offset >> 2 & 255, self._hook.counters
        value, mode = self.regs[i], self.state.read_mode[i]
        if mode == READ_CALL:
            c.fuel -= _CALL_FUEL
            value = self._read(i << 2)
        elif mode == READ_STATUS and not value & c.status_bit:
            c.idle_reads += 1
            if c.idle_reads >= c.idle_limit:
                c.stop = 1
        return int(value) >> 8 * (offset & 3) & ((1 << 8 * size) - 1)

    def store(self, offset: int, size: int, data: int) -> None:
        """What a bus write does; the Python twin of store() in native/pages.c."""
        if not self.state.clocked:
            return
        i, shift, c = offset >> 2 & 255, 8 * (offset & 3), self._hook.counters
        lanes = ((1 << 8 * size) - 1) << shift
        value = (self.regs[i] & ~lanes | data << shift & lanes) & 0xFFFFFFFF
        mode = self.state.write_mode[i]
        calls = mode == WRITE_CALL or (
            mode == WRITE_CALL_ON_MASK and value & self.state.write_mask[i]
        )
        if mode == WRITE_TRANSMIT:
            self._hook.transmit(value)
        elif calls:
            c.fuel -= _CALL_FUEL
            self._write(i << 2, value)
        else:
            self.regs[i] = value

    def map(self, core: Any) -> None:
        """Make the page visible to the core."""
        if self._hook.library is None:
            core.mmio_map(
                self.base,
                PAGE_BYTES,
                lambda _uc, offset, size, _user: self.load(offset, size),
                None,
                lambda _uc, offset, size, value, _user: self.store(offset, size, value),
                None,
            )
            return
        me = ctypes.addressof(self.state)
        load, store = address_of(self._hook.library.load), address_of(self._hook.library.store)
        status = uclib.uc_mmio_map(core._uch, self.base, PAGE_BYTES, load, me, store, me)
        if status != unicorn.UC_ERR_OK:
            raise unicorn.UcError(status)

    def _read(self, offset: int) -> int:
        reader = self._readers.get(offset)
        return reader(offset) & 0xFFFFFFFF if reader else 0

    def _write(self, offset: int, value: int) -> None:
        writer = self._writers.get(offset)
        if writer:
            writer(offset, value)
