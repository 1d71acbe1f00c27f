"""Caches as native/memory.c and its Python twin share them: sets, ways, lines of rows.

A line is found or given a place whole; of its rows only those that were fetched are there. The
longest unused line of a set goes first. Real caches may choose another: the Cortex-M7's policy is
not documented in what was read, and that of ST's accelerators is, as LRU (RM0090, 3.5.2).
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

_WORD = ctypes.c_uint32
_SEARCHED_WAYS = 4  # more are found through a table by line


class CacheState(ctypes.Structure):
    """`struct cache` of native/memory.h."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("clock", "hits", "misses", "losses")),
        *((name, _WORD) for name in ("line_shift", "row_shift", "set_mask", "ways")),
        ("tags", ctypes.POINTER(_WORD)),
        ("filled", ctypes.POINTER(_WORD)),
        ("stamps", ctypes.POINTER(ctypes.c_uint64)),
        ("where", ctypes.POINTER(ctypes.c_uint8)),
        ("late", ctypes.c_void_p),
    )


@dataclass(frozen=True)
class Geometry:
    """`sets` of `ways` lines; a line's rows are fetched one by one."""

    sets: int
    ways: int
    line_bytes: int
    row_bytes: int


class Cache:
    """One cache. `window_bytes`: addresses lie below, as the cache calls them; for many ways."""

    def __init__(self, geometry: Geometry, window_bytes: int = 0) -> None:
        slots = geometry.sets * geometry.ways
        self.geometry = geometry
        self.state = CacheState(
            clock=1,
            line_shift=geometry.line_bytes.bit_length() - 1,
            row_shift=geometry.row_bytes.bit_length() - 1,
            set_mask=geometry.sets - 1,
            ways=geometry.ways,
        )
        self._tags, self._filled = (_WORD * slots)(), (_WORD * slots)()
        self._stamps = (ctypes.c_uint64 * slots)()
        self.state.tags = ctypes.cast(self._tags, ctypes.POINTER(_WORD))
        self.state.filled = ctypes.cast(self._filled, ctypes.POINTER(_WORD))
        self.state.stamps = ctypes.cast(self._stamps, ctypes.POINTER(ctypes.c_uint64))
        self._where: ctypes.Array[ctypes.c_uint8] | None = None
        if geometry.ways > _SEARCHED_WAYS:
            self._where = (ctypes.c_uint8 * (window_bytes // geometry.line_bytes))()
            self.state.where = ctypes.cast(self._where, ctypes.POINTER(ctypes.c_uint8))

    def clear(self) -> None:
        """Nothing is in it."""
        for array in (self._tags, self._filled, self._stamps, self._where):
            if array is not None:
                ctypes.memset(array, 0, ctypes.sizeof(array))
        self.state.losses += 1

    def drop(self, set_index: int, way: int) -> None:
        """Empty one slot, if there is such a one."""
        if set_index <= self.state.set_mask and way < self.state.ways:
            self._empty(set_index * self.state.ways + way)

    def drop_line(self, address: int) -> None:
        """Empty the line that holds an address, if it is there."""
        slot = self._slot_of(address >> self.state.line_shift)
        if slot is not None:
            self._empty(slot)

    def look_up(self, start: int, last: int) -> tuple[int, int]:
        """(missing rows, a bit for each missing row of the first line), which are there now.

        What look_up_all() of native/memory.c does.
        """
        inside = (1 << self.state.line_shift) - 1
        end = start | inside
        first = self._look_up(start, min(end, last))
        missing = first.bit_count()
        while end < last:
            start = end + 1
            end = start | inside
            missing += self._look_up(start, min(end, last)).bit_count()
        return missing, first

    def _look_up(self, start: int, last: int) -> int:
        state = self.state
        inside = (1 << state.line_shift) - 1
        low, high = (start & inside) >> state.row_shift, (last & inside) >> state.row_shift
        rows = (2 << high) - (1 << low)
        line = start >> state.line_shift
        slot = self._slot_of(line)
        if slot is None:
            slot = self._replace(line)
        missing = rows & ~int(self._filled[slot])
        self._filled[slot] |= rows
        state.clock += 1
        self._stamps[slot] = state.clock
        state.hits += not missing
        state.misses += missing.bit_count()
        return int(missing)

    def _slot_of(self, line: int) -> int | None:
        if self._where is not None:
            inside = line < len(self._where) and self._where[line]
            return int(self._where[line]) - 1 if inside else None
        first = (line & self.state.set_mask) * self.state.ways
        slots = range(first, first + self.state.ways)
        return next((s for s in slots if self._tags[s] == line + 1), None)

    def _replace(self, line: int) -> int:
        """Give a line the slot that is unused for longest; an empty one has the stamp 0."""
        first = (line & self.state.set_mask) * self.state.ways
        slot = min(range(first, first + self.state.ways), key=lambda s: self._stamps[s])
        self._empty(slot)
        if self._where is not None:
            self._where[line] = slot + 1
        self._tags[slot] = line + 1
        return slot

    def _empty(self, slot: int) -> None:
        self.state.losses += self._tags[slot] != 0
        if self._where is not None and self._tags[slot]:
            self._where[self._tags[slot] - 1] = 0
        self._tags[slot] = self._filled[slot] = self._stamps[slot] = 0
