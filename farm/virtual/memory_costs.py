"""Which memory of a part makes the core wait, how long, and behind which cache it lies.

The costs follow FLASH_ACR, CCR and the clocks; the caches' geometry is that of the part: CCSIDR
for the caches of a Cortex-M7, parts/<name>.yaml for ST's accelerators.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass

from farm.virtual.caches import Cache, CacheState, Geometry
from farm.virtual.memory_plan import Region
from farm.virtual.parts import Part
from farm.virtual.rcc import Clocks

PRFTEN, ICEN, DCEN, ICRST, DCRST = 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12  # of FLASH_ACR
DC, IC = 1 << 16, 1 << 17  # of CCR
ACCELERATOR, TCM = "accelerator", "tcm"
_WRITE_BACK = 0x20000000  # from here on the default map lets stores allocate (DDI 0403E, B3.1)
_FETCH_BYTES = 8  # what a Cortex-M7 without its cache fetches at once


@dataclass(frozen=True)
class _Place:
    """Memory that may not answer at once; `wait_states` None: those of FLASH_ACR."""

    base: int
    bytes: int
    bus: str
    wait_states: int | None


def geometry(ccsidr: int) -> Geometry:
    """The cache that a CCSIDR describes (DDI 0403E, B4.8.4)."""
    line = 16 << (ccsidr & 7)
    return Geometry((ccsidr >> 13 & 0x7FFF) + 1, (ccsidr >> 3 & 0x3FF) + 1, line, line)


class Costs:
    """The regions of code and data, kept up to date in place.

    `latency` is what each bus adds to the wait states behind it; nothing waits without it.
    """

    def __init__(self, part: Part, latency: Mapping[str, int]) -> None:
        self._part, self._latency = part, latency
        self._places = _places(part, latency) if latency else ()
        self.caches = _caches(part)
        self._by_address = {ctypes.addressof(c.state): c for c in self.caches.values()}
        self.code = (Region * len(self._places))(*map(_region, self._places))
        self.data = (Region * len(self._places))(*map(_region, self._places))

    @property
    def row_bytes(self) -> int:
        """The narrowest row of a data cache."""
        names = ("accelerator_data", "data")
        return min(self.caches[n].geometry.row_bytes for n in names if n in self.caches)

    def code_at(self, address: int) -> Region | None:
        """The region that code at this address is fetched from; None: it answers at once."""
        found = (r for r in self.code if 0 <= address - r.base < r.size)
        return next(found, None)

    def is_flash(self, address: int) -> bool:
        """Whether a word lies in flash."""
        bases = (self._part.flash_base, *self._part.flash_aliases)
        return any(0 <= address - base <= self._part.flash_bytes - 4 for base in bases)

    def cache_of(self, region: Region) -> Cache | None:
        """The cache before a region, if it is on."""
        if not region.cache:
            return None
        return self._by_address[ctypes.addressof(region.cache.contents)]

    def update(self, clocks: Clocks, acr: int, latency: int, control: int) -> None:
        """Take over what the registers say: FLASH_ACR, the wait states in it, and CCR."""
        for on, reset, name in ((ICEN, ICRST, "accelerator"), (DCEN, DCRST, "accelerator_data")):
            if name in self.caches and acr & reset and not acr & on:
                self.caches[name].clear()
        for index, place in enumerate(self._places):
            waits = latency if place.wait_states is None else place.wait_states
            bus_cycles = self._latency[place.bus] + waits
            stall = -(-bus_cycles * clocks.core // clocks.flash) if clocks.flash else 0
            code, data = self.code[index], self.data[index]
            code.stall = data.stall = stall
            if place.bus == ACCELERATOR:
                rows = -(-(waits + 1) * clocks.core // clocks.flash) if clocks.flash else 0
                code.row_cycles = rows if acr & PRFTEN else 0
                self._put(code, "accelerator" if acr & ICEN else "row")
                split = "accelerator_data" in self.caches
                name = "accelerator_data" if split else "accelerator"
                self._put(data, name if acr & (DCEN if split else ICEN) else "")
            else:
                self._put(code, "code" if control & IC else "fetch")
                self._put(data, "data" if control & DC else "")
                data.allocates = place.base >= _WRITE_BACK

    def _put(self, region: Region, name: str) -> None:
        """Put a cache before a region; none where nothing has to be waited for."""
        cache = self.caches.get(name) if region.stall else None
        region.cache = ctypes.pointer(cache.state) if cache else ctypes.POINTER(CacheState)()


def _places(part: Part, latency: Mapping[str, int]) -> tuple[_Place, ...]:
    bases = (part.flash_base, *part.flash_aliases)
    flash = [
        _Place(base, part.flash_bytes, bus, None)
        for base, bus in zip(bases, part.flash_buses, strict=True)
    ]
    rams = [
        _Place(base, ram.bytes, ram.bus, ram.wait_states)
        for ram in part.rams
        for base in (ram.base, *ram.aliases)
        if latency[ram.bus] + ram.wait_states
    ]
    return (*flash, *rams)


def _region(place: _Place) -> Region:
    """The accelerator knows flash by its own addresses, whatever alias is used."""
    origin = 0 if place.bus == ACCELERATOR else place.base
    return Region(base=place.base, size=place.bytes, origin=origin)


def _caches(part: Part) -> dict[str, Cache]:
    found, row = {}, part.flash_row_bytes
    art = part.accelerator
    if art:
        found["row"] = Cache(Geometry(1, 1, row, row))
        code = Geometry(1, art.code_lines, art.line_bytes, row)
        found["accelerator"] = Cache(code, part.flash_bytes)
        if art.data_lines:
            data = Geometry(1, art.data_lines, art.line_bytes, row)
            found["accelerator_data"] = Cache(data, part.flash_bytes)
    if part.caches["ccsidr_code"]:
        found["fetch"] = Cache(Geometry(1, 1, _FETCH_BYTES, _FETCH_BYTES))
        found["code"] = Cache(geometry(part.caches["ccsidr_code"]))
        found["data"] = Cache(geometry(part.caches["ccsidr_data"]))
    return found
