"""The address map of a virtual board: memories, register pages, private peripheral bus."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import unicorn

from farm.virtual.pages import PAGE_BYTES, Page

PPB_PAGE = 0x1000


class BusFaultError(Exception):
    """An access that the bus answers with an error."""

    def __init__(self, address: int) -> None:
        super().__init__(f"Bus fault at 0x{address:08x}: nothing answers there.")
        self.address = address


BusFault = BusFaultError  # the architecture's own name


@dataclass(frozen=True, eq=False)
class Memory:
    """Plain bytes on the bus, at one or more addresses."""

    bases: tuple[int, ...]
    data: memoryview
    store: Callable[[int, int, int], None] | None = None  # (offset, size, value); None: writable

    @property
    def pointer(self) -> int:
        """Where the bytes lie in this process."""
        return ctypes.addressof((ctypes.c_char * len(self.data)).from_buffer(self.data))


class Device(Protocol):
    """4 KiB of the private peripheral bus."""

    def read(self, offset: int, size: int, debugger: bool) -> int:
        """A read."""

    def write(self, offset: int, size: int, value: int, debugger: bool) -> None:
        """A write."""


class Bus:
    """Everything that has an address. Reads and writes here are the debugger's."""

    def __init__(self, on_write: Callable[[int, int], None]) -> None:
        self._on_write = on_write  # (address, size), before plain memory changes
        self._memories: list[tuple[int, int, Memory]] = []
        self._pages: dict[int, Page] = {}
        self._devices: dict[int, Device] = {}
        self._run: set[int] = set()  # KiB of RAM whose code has run

    def add_memory(self, memory: Memory) -> None:
        """Put a memory on the bus."""
        for base in memory.bases:
            self._memories.append((base, base + len(memory.data), memory))

    def add_page(self, page: Page) -> None:
        """Put a peripheral's registers on the bus."""
        self._pages[page.base] = page

    def add_device(self, base: int, device: Device) -> None:
        """Put a 4 KiB component on the private peripheral bus."""
        self._devices[base] = device

    def map(self, uc: Any, serve: Callable[[Any, int, Device], bool]) -> None:
        """Make all of it visible to the core; `serve(uc, base, device)`: is a device mapped so?"""
        for base, end, memory in self._memories:
            uc.mem_map_ptr(base, end - base, unicorn.UC_PROT_ALL, memory.pointer)
            # Not at once: mem_map_ptr without the right to write lets the bytes through.
            uc.mem_protect(base, end - base, self.rights(base))
        for page in self._pages.values():
            page.map(uc)
        for base, device in self._devices.items():
            if not serve(uc, base, device):
                uc.mmio_map(base, PPB_PAGE, _reader(device), None, _writer(device), None)

    def fetch(self, address: int, size: int) -> bytes:
        """Bytes of a memory; BusFault when they are not all in one."""
        for base, end, memory in self._memories:
            if base <= address and address + size <= end:
                return bytes(memory.data[address - base : address - base + size])
        raise BusFault(address)

    def read(self, address: int, size: int) -> int:
        """A read of 1, 2 or 4 aligned bytes."""
        page = self._pages.get(address & -PAGE_BYTES)
        if page:
            return page.load(address % PAGE_BYTES, size)
        device = self._devices.get(address & -PPB_PAGE)
        if device:
            return device.read(address % PPB_PAGE, size, debugger=True)
        return int.from_bytes(self.fetch(address, size), "little")

    def write(self, address: int, size: int, value: int) -> None:
        """A write of 1, 2 or 4 aligned bytes."""
        page = self._pages.get(address & -PAGE_BYTES)
        device = self._devices.get(address & -PPB_PAGE)
        if page:
            page.store(address % PAGE_BYTES, size, value)
        elif device:
            device.write(address % PPB_PAGE, size, value, debugger=True)
        else:
            masked = value & (1 << 8 * size) - 1
            self._write_memory(address, masked.to_bytes(size, "little"))

    def plain(self, address: int) -> bool:
        """Whether a memory is there, not registers."""
        return any(base <= address < end for base, end in self.memories())

    def write_block(self, address: int, data: bytes) -> None:
        """Many bytes into plain memory, or word by word into anything else."""
        self._write_memory(address, data)

    def mapped(self) -> list[tuple[int, int]]:
        """(base, end) of everything."""
        pages = [(base, base + PAGE_BYTES) for base in self._pages]
        return self.memories() + pages + [(base, base + PPB_PAGE) for base in self._devices]

    def memories(self) -> list[tuple[int, int]]:
        """(base, end) of the memories."""
        return [(base, end) for base, end, _ in self._memories]

    def rights(self, address: int) -> int:
        """What the core may do there, by Unicorn's bits, when nothing else is said.

        RAM is executable once code there has run: Unicorn's stores into executable memory are slow.
        """
        lost = 0
        for base, end, memory in self._memories:
            if base <= address < end:
                runs = memory.store or address & -PAGE_BYTES in self._run
                lost |= unicorn.UC_PROT_WRITE if memory.store else 0
                lost |= 0 if runs else unicorn.UC_PROT_EXEC
        return int(unicorn.UC_PROT_ALL) & ~lost

    def opens(self, page: int) -> bool:
        """Code is about to run in this KiB; False: it is no RAM."""
        self._run.add(page)
        return any(b <= page < e for b, e, memory in self._memories if not memory.store)

    def _write_memory(self, address: int, data: bytes) -> None:
        for base, end, memory in self._memories:
            if not (base <= address and address + len(data) <= end):
                continue
            offset = address - base
            if memory.store is None:
                self._on_write(address, len(data))
                memory.data[offset : offset + len(data)] = data
            else:
                _store_words(memory.store, offset, data)
            return
        raise BusFault(address)


def _store_words(store: Callable[[int, int, int], None], offset: int, data: bytes) -> None:
    size = 4 if offset % 4 == 0 and len(data) % 4 == 0 else 1 if len(data) != 2 else 2
    for at in range(0, len(data), size):
        store(offset + at, size, int.from_bytes(data[at : at + size], "little"))


def _reader(device: Device) -> Callable[..., int]:
    return lambda _uc, offset, size, _user: device.read(offset, size, debugger=False)


def _writer(device: Device) -> Callable[..., None]:
    return lambda _uc, offset, size, value, _user: device.write(offset, size, value, debugger=False)
