"""Which memory of a part makes the core wait, how long, and behind which cache it lies.

The costs follow FLASH_ACR, CCR and the clocks; the caches' geometry is that of the part: CCSIDR
for the caches of a Cortex-M7, parts/<name>.yaml for ST's accelerators.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from farm.virtual.caches import Cache, CacheState, Geometry
from farm.virtual.memory_plan import Region
from farm.virtual.mpu import Mpu
from farm.virtual.parts import Part
from farm.virtual.rcc import Clocks

PRFTEN, ICEN, DCEN, ICRST, DCRST = 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12  # of FLASH_ACR
DC, IC = 1 << 16, 1 << 17  # of CCR
ACCELERATOR, TCM = "accelerator", "tcm"
_WRITE_BACK = 0x20000000  # from here on the default map lets stores allocate (DDI 0403E, B3.1)
_SHARED, _INNER_AND_OUTER, _BACK = 1 << 18, 4, 3  # of RASR: S, TEX from which on both, C and B
_ICIALLU, _ICIMVAU = 0xF50, 0xF58  # in the system control space
_BY_ADDRESS, _BY_SET_AND_WAY = (0xF5C, 0xF70), (0xF60, 0xF74)  # they drop; cleaning changes nothing
_FETCH_BYTES = 8  # what a Cortex-M7 without its cache fetches at once


@dataclass(frozen=True)
class _Place:
    """Memory that may not answer at once; `wait_states` None: those of FLASH_ACR."""

    base: int
    bytes: int
    bus: str
    wait_states: int | None
    cached: bool = True
    allocates: bool = False


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
        self._whole = _places(part, latency) if latency else ()
        self.caches = _caches(part)
        self._by_address = {ctypes.addressof(c.state): c for c in self.caches.values()}
        self._put_places(self._whole)

    def _put_places(self, places: tuple[_Place, ...]) -> None:
        self._places = places
        self.code = (Region * len(places))(*map(_region, places))
        self.data = (Region * len(places))(*map(_region, places))

    def split(self, mpu: Mpu) -> bool:
        """Cut memory where the MPU's regions begin or end to change caching; whether it did."""
        edges = {s.first for s in mpu.spans} if mpu.enabled else set()
        places = tuple(part for place in self._whole for part in _cut(place, edges, mpu))
        if places == self._places:
            return False
        self._put_places(places)
        return True

    def maintain(self, offset: int, value: int) -> None:
        """A cache maintenance operation of a Cortex-M7 (DDI 0403E, B2.2.7 and B3.2.2)."""
        if "data" not in self.caches:
            return
        code, data = self.caches["code"], self.caches["data"]
        shift = 32 - (data.geometry.ways - 1).bit_length()
        if offset == _ICIALLU:
            code.clear()
            self.caches["fetch"].clear()
        elif offset == _ICIMVAU:
            code.drop_line(value)
        elif offset in _BY_ADDRESS:
            data.drop_line(value)
        elif offset in _BY_SET_AND_WAY:
            line = data.geometry.line_bytes
            data.drop((value & (1 << shift) - 1) // line, value >> shift)

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
                self._put(code, "code" if control & IC and place.cached else "fetch")
                self._put(data, "data" if control & DC and place.cached else "")
                data.allocates = place.allocates

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
        _Place(base, ram.bytes, ram.bus, ram.wait_states, allocates=base >= _WRITE_BACK)
        for ram in part.rams
        for base in (ram.base, *ram.aliases)
        if latency[ram.bus] + ram.wait_states
    ]
    return (*flash, *rams)


def _cut(place: _Place, edges: set[int], mpu: Mpu) -> Iterator[_Place]:
    """The place in parts that are cached alike; neighbours are joined."""
    inside = [e for e in edges if place.base < e < place.base + place.bytes]
    found: list[_Place] = []
    for first, end in pairwise(sorted({place.base, *inside, place.base + place.bytes})):
        part = replace(place, base=first, bytes=end - first)
        attributes = mpu.attributes(first) if place.bus != ACCELERATOR else None
        if attributes is not None:
            part = replace(part, cached=cacheable(attributes), allocates=allocating(attributes))
        if found and replace(found[-1], base=first, bytes=part.bytes) == part:
            part = replace(part, base=found[-1].base, bytes=found.pop().bytes + part.bytes)
        found.append(part)
    yield from found


def cacheable(attributes: int) -> bool:
    """Whether a Cortex-M7 caches memory with this RASR (DDI 0403E, table B3-13).

    Shared memory is not cached (DDI 0489F, 5.9).
    """
    kind, policy = attributes >> 19 & 7, attributes >> 16 & 3
    if attributes & _SHARED:
        return False
    return (
        bool(policy) if kind >= _INNER_AND_OUTER else policy == _BACK or (kind == 0 and policy > 1)
    )


def allocating(attributes: int) -> bool:
    """Whether stores to memory with this RASR allocate a line."""
    kind, policy = attributes >> 19 & 7, attributes >> 16 & 3
    return policy == 1 if kind >= _INNER_AND_OUTER else kind == 1 and policy == _BACK


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
