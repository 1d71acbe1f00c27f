"""The data watchpoint and trace unit: cycle counter, watchpoints on data and instructions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from farm.virtual.debug_parts import ARM, GENERIC_CLASS, component_id
from farm.virtual.fence import LOAD, STORE
from farm.virtual.parts import Part

COMPARATORS = 4  # DWT_CTRL.NUMCOMP of Cortex-M4 and M7
INSTRUCTION, _LOAD, _STORE, _EITHER = 4, 5, 6, 7  # FUNCTION
_ACCESSES = (_LOAD, _STORE, _EITHER)
_MATCHED = 1 << 24
_VALUED = 1  # the comparator that can match data values
_DATAVMATCH, _LNK1ENA = 1 << 8, 1 << 9
_VALUE_FIELDS = 0x000FFD00  # DATAVMATCH, DATAVSIZE, DATAVADDR0, DATAVADDR1
_ANYWHERE = 0xE0000000  # bytes: all but the private peripheral bus


@dataclass(frozen=True)
class Comparator:
    """Matches accesses that begin in these bytes, or the instruction there.

    With a `value`, only accesses of `width` bytes that move it.
    """

    number: int
    first: int
    size: int
    function: int
    value: int | None = None
    width: int = 0

    def matches(self, size: int, value: int | None) -> bool:
        """Whether an access that moves this has the value; None is not known, and matches none."""
        if self.value is None:
            return True
        lanes = (1 << 8 * size) - 1
        return size == self.width and value is not None and value & lanes == self.value & lanes

    @property
    def accesses(self) -> int:
        """Which match: loads, stores or both."""
        return {_LOAD: LOAD, _STORE: STORE}.get(self.function, LOAD | STORE)


class Dwt:
    """DWT: the cycle counter and the comparators; `on_change()` when what they match changes.

    A comparator matches the address of an access or of an instruction (DDI 0403E, section C1.8.1).
    Comparator 1 also matches a data value, at the addresses of the comparators that it is linked
    to, or anywhere when it names itself; the width of the access must be DATAVSIZE's (unverified).
    Not modelled: values read from peripherals, cycles, trace packets, the event counters.
    """

    CTRL, CYCCNT, FIRST, LOCK_ACCESS, LOCK_STATUS = 0x000, 0x004, 0x020, 0xFB0, 0xFB4
    KEY = 0xC5ACCE55

    def __init__(
        self,
        part: Part,
        now: Callable[[], int],
        traced: Callable[[], bool],
        on_change: Callable[[], None],
    ) -> None:
        self._part, self._now, self._traced, self._on_change = part, now, traced, on_change
        self.power_up()

    def power_up(self) -> None:
        """Stopped at 0, and locked where there is a lock."""
        self._control = 0
        self._locked = self._part.dwt_lock
        self._base = 0  # the cycle at which CYCCNT would have been 0, while it runs
        self._held = 0  # CYCCNT while it is stopped
        self._comparators = [0] * (4 * COMPARATORS)  # COMP, MASK, FUNCTION, nothing; four times
        self._matched: set[int] = set()

    @property
    def running(self) -> bool:
        """Whether CYCCNT counts."""
        return bool(self._control & 1) and self._traced()

    def follow_trace(self, change: Callable[[], None]) -> None:
        """Do `change` to what makes the counter run, keeping its value."""
        count = self._count()
        change()
        self._set(count)

    def read(self, offset: int) -> int:
        """A register."""
        if offset == self.CTRL:
            return COMPARATORS << 28 | self._control
        if offset == self.CYCCNT:
            return self._count()
        if offset == self.LOCK_STATUS and self._part.dwt_lock:
            return 1 | (2 if self._locked else 0)
        if offset >= 0xFD0:
            return component_id(offset, 0x002, ARM, GENERIC_CLASS)
        if self.FIRST <= offset < self.FIRST + 16 * COMPARATORS:
            return self._read_comparator((offset - self.FIRST) // 4)
        return 0

    def write(self, offset: int, value: int, debugger: bool) -> None:
        """A register; firmware needs the key first where there is a lock."""
        if offset == self.LOCK_ACCESS:
            self._locked = self._part.dwt_lock and value != self.KEY
        elif self._locked and not debugger:
            return
        elif offset == self.CTRL:
            self.follow_trace(lambda: setattr(self, "_control", value & 0x0FFFFFFF))
        elif offset == self.CYCCNT:
            self._set(value)
        elif self.FIRST <= offset < self.FIRST + 16 * COMPARATORS:
            index = (offset - self.FIRST) // 4
            function = 0xF | (_VALUE_FIELDS if index // 4 == _VALUED else 0)
            self._comparators[index] = value & (0xFFFFFFFF, 0xF, function, 0)[index % 4]
            self._on_change()

    @property
    def comparators(self) -> tuple[Comparator, ...]:
        """Those that can match now."""
        if not self._traced():
            return ()
        known = (*_ACCESSES, INSTRUCTION)
        plain = (self._place(n) for n in range(COMPARATORS))
        return (*(c for c in plain if c and c.function in known), *self._valued())

    def _place(self, number: int) -> Comparator | None:
        """A comparator of addresses; None when its mask does not fit its address."""
        address, mask, function = self._comparators[4 * number : 4 * number + 3]
        fits = not address & (1 << mask) - 1
        valued = function & _DATAVMATCH
        kind = function if valued else function & 0xF
        return Comparator(number, address, 1 << mask, kind) if fits else None

    def _valued(self) -> list[Comparator]:
        """The comparator of a data value, once for each place where it is looked for."""
        value, _, function = self._comparators[4 * _VALUED : 4 * _VALUED + 3]
        if not function & _DATAVMATCH or function & 0xF not in _ACCESSES:
            return []
        width, access = 1 << (function >> 10 & 3), function & 0xF
        linked = {function >> 12 & 0xF, function >> 16 & 0xF} - {_VALUED}
        found = [self._place(n) for n in sorted(linked) if n < COMPARATORS]
        places = [(c.first, c.size) for c in found if c] if linked else [(0, _ANYWHERE)]
        return [Comparator(_VALUED, at, size, access, value, width) for at, size in places]

    def match(self, number: int) -> None:
        """A comparator has matched: its FUNCTION.MATCHED stays set until it is read."""
        self._matched.add(number)

    def _read_comparator(self, index: int) -> int:
        value = self._comparators[index] | (_LNK1ENA if index == 4 * _VALUED + 2 else 0)
        if index % 4 == 2 and index // 4 in self._matched:
            self._matched.discard(index // 4)
            return value | _MATCHED
        return value

    def _count(self) -> int:
        return self._now() - self._base & 0xFFFFFFFF if self.running else self._held

    def _set(self, count: int) -> None:
        self._base, self._held = self._now() - count, count
