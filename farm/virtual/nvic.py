"""Pending and active exceptions and their priorities, and the SysTick timer."""

from __future__ import annotations

from collections.abc import Callable

from farm.virtual.hook import NEVER, EdgeHook

RESET, NMI, HARD_FAULT, MEM_MANAGE, BUS_FAULT, USAGE_FAULT = 1, 2, 3, 4, 5, 6
SVC, DEBUG_MONITOR, PEND_SV, SYSTICK, FIRST_IRQ = 11, 12, 14, 15, 16
_FIXED = {RESET: -3, NMI: -2, HARD_FAULT: -1}
_LOWEST = 256
_PRIORITY_BITS = 4


class Nvic:
    """Exceptions by number; `on_change()` is called when one may have become ready to run."""

    def __init__(self, irq_count: int, on_change: Callable[[], None]) -> None:
        self.count = FIRST_IRQ + irq_count
        self._on_change = on_change
        self.reset()

    def reset(self) -> None:
        """Nothing pending, active or enabled; every priority 0."""
        self.pending: set[int] = set()
        self.lines: set[int] = set()  # interrupt lines that are high
        self.enabled: set[int] = set()
        self.active: list[int] = []
        self.priorities = [0] * self.count
        self.group_shift = 0  # AIRCR.PRIGROUP

    def pend(self, number: int) -> None:
        """Make an exception pending."""
        if number < self.count:
            self.pending.add(number)
            self._on_change()

    def set_line(self, irq: int, high: bool) -> None:
        """Drive a level-sensitive interrupt line."""
        number = FIRST_IRQ + irq
        if high and number not in self.lines:
            self.lines.add(number)
            self.pend(number)
        elif not high:
            self.lines.discard(number)
            self.pending.discard(number)

    def enable(self, number: int) -> None:
        """Enable an interrupt."""
        if number < self.count:
            self.enabled.add(number)
            self._on_change()

    def set_priority(self, number: int, value: int) -> None:
        """Only the upper four bits exist."""
        if number < self.count:
            self.priorities[number] = value & 0xFF & -(1 << 8 - _PRIORITY_BITS)

    def activate(self, number: int) -> None:
        """The handler of an exception starts."""
        self.pending.discard(number)
        self.active.append(number)

    def deactivate(self, number: int) -> None:
        """The handler has returned; a line that is still high pends again."""
        if number in self.active:
            self.active.remove(number)
        if number in self.lines:
            self.pending.add(number)

    def force_active(self, number: int, active: bool) -> None:
        """Firmware says by SHCSR whether a handler runs."""
        if active and number not in self.active:
            self.active.insert(0, number)
        elif not active and number in self.active:
            self.active.remove(number)

    @property
    def most_urgent(self) -> int:
        """The pending and enabled exception that comes first; 0: none."""
        ready = [n for n in self.pending if n < FIRST_IRQ or n in self.enabled]
        return min(ready, key=lambda n: (_FIXED.get(n, self.priorities[n]), n), default=0)

    def group(self, number: int) -> int:
        """The priority that decides about preemption; lower is more urgent."""
        fixed = _FIXED.get(number)
        return fixed if fixed is not None else self._grouped(self.priorities[number])

    def _grouped(self, priority: int) -> int:
        return priority >> self.group_shift + 1 << self.group_shift + 1

    def running(self, masks: tuple[int, int, int] = (0, 0, 0)) -> int:
        """The priority of what runs, raised by (PRIMASK, BASEPRI, FAULTMASK)."""
        primask, basepri, faultmask = masks
        levels = [_LOWEST, *(self.group(n) for n in self.active)]
        if basepri:
            levels.append(self._grouped(basepri))
        if primask:
            levels.append(0)
        if faultmask:
            levels.append(-1)
        return min(levels)

    def next(self, masks: tuple[int, int, int]) -> int:
        """The exception to enter now; 0: none."""
        if not self.pending:
            return 0
        best = self.most_urgent
        return best if best and self.group(best) < self.running(masks) else 0

    def masked(self, masks: tuple[int, int, int]) -> bool:
        """Whether only the mask registers hold back a pending exception."""
        return any(masks) and not self.next(masks) and self.next((0, 0, 0)) != 0


CSR_ENABLE, CSR_TICKINT, CSR_CLKSOURCE, CSR_COUNTFLAG = 1, 2, 4, 1 << 16


class SysTick:
    """A down-counter over the core's cycles (or an eighth of them)."""

    def __init__(self, hook: EdgeHook, nvic: Nvic) -> None:
        self._counters, self._nvic = hook.counters, nvic
        self.reset()

    def reset(self) -> None:
        """Stopped."""
        self.control = self.reload = 0
        self._start = 0  # the cycle at which the counter last was 0
        self._seen = 0  # periods already reported through COUNTFLAG

    @property
    def _period(self) -> int:
        return (self.reload + 1) * (1 if self.control & CSR_CLKSOURCE else 8)

    @property
    def next_event(self) -> int:
        """The cycle of the next interrupt."""
        if not self.control & CSR_TICKINT or not self.control & CSR_ENABLE or not self.reload:
            return NEVER
        return self._start + self._period

    def tick(self) -> None:
        """Pend the exception if its time has come."""
        now = self._counters.cycles
        if now < self.next_event:
            return
        periods = (now - self._start) // self._period
        self._start += periods * self._period
        self._seen = -1
        self._nvic.pend(SYSTICK)

    def read(self, offset: int) -> int:
        """CSR, RVR, CVR or CALIB at offset 0, 4, 8, 12."""
        if offset == 0:
            return self.control | self._take_flag()
        return {4: self.reload, 8: self._value(), 12: 0xC0000000}.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """CSR, RVR or CVR; a write to CVR clears it."""
        if offset == 0:
            self._enable(value & 7)
        elif offset == 4:
            self.reload = value & 0xFFFFFF
        elif offset == 8:
            self._start, self._seen = self._counters.cycles, 0
        self._counters.stop = 1  # a new deadline

    def _enable(self, value: int) -> None:
        if value & CSR_ENABLE and not self.control & CSR_ENABLE:
            self._start, self._seen = self._counters.cycles, 0
        self.control = value

    def _value(self) -> int:
        if not self.control & CSR_ENABLE or not self.reload:
            return 0
        scale = 1 if self.control & CSR_CLKSOURCE else 8
        gone = (self._counters.cycles - self._start) // scale % (self.reload + 1)
        return self.reload - gone + 1 if gone else 0

    def _take_flag(self) -> int:
        if not self.control & CSR_ENABLE or not self.reload:
            return 0
        periods = (self._counters.cycles - self._start) // self._period
        flag = CSR_COUNTFLAG if periods != self._seen else 0
        self._seen = periods
        return flag
