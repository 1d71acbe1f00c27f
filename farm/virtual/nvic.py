"""Pending and active exceptions and their priorities, and the SysTick timer."""

from __future__ import annotations

from farm.virtual.core import Core
from farm.virtual.exception_state import ExceptionState, Numbers
from farm.virtual.hook import NEVER, EdgeHook

RESET, NMI, HARD_FAULT, MEM_MANAGE, BUS_FAULT, USAGE_FAULT = 1, 2, 3, 4, 5, 6
SVC, DEBUG_MONITOR, PEND_SV, SYSTICK, FIRST_IRQ = 11, 12, 14, 15, 16
_FIXED = {RESET: -3, NMI: -2, HARD_FAULT: -1}
_LOWEST = 256
_PRIORITY_BITS = 4


class Nvic:
    """Exceptions by number, over the state that native code shares; `core` tells the masks."""

    def __init__(self, irq_count: int, hook: EdgeHook, core: Core) -> None:
        self.state = ExceptionState(count=FIRST_IRQ + irq_count, alarm=NEVER)
        self.count = FIRST_IRQ + irq_count
        self._counters, self._core = hook.counters, core
        self.pending, self.active = Numbers(self.state.pending), Numbers(self.state.active)
        self.enabled = Numbers(self.state.enabled)
        self.lines = Numbers(self.state.lines)  # interrupt lines that are high
        self.priorities = self.state.priorities
        self.silenced = False  # a debugger holds back all from PendSV on (DHCSR.C_MASKINTS)

    def reset(self) -> None:
        """Nothing pending, active or enabled; every priority 0."""
        for numbers in (self.pending, self.active, self.enabled, self.lines):
            numbers.clear()
        self.priorities[:] = [0] * len(self.priorities)
        self.group_shift = 0

    @property
    def group_shift(self) -> int:
        """AIRCR.PRIGROUP."""
        return int(self.state.group_shift)

    @group_shift.setter
    def group_shift(self, value: int) -> None:
        self.state.group_shift = value
        self._changes()

    def _changes(self) -> None:
        """Another exception may have become ready to run: look at the next block."""
        self._counters.attention = 1

    def pend(self, number: int) -> None:
        """Make an exception pending."""
        if number < self.count:
            self.pending.add(number)
            self._changes()

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
            self._changes()

    def set_priority(self, number: int, value: int) -> None:
        """Only the upper four bits exist."""
        if number < self.count:
            self.priorities[number] = value & 0xFF & -(1 << 8 - _PRIORITY_BITS)
            self._changes()

    def activate(self, number: int) -> None:
        """The handler of an exception starts."""
        self.pending.discard(number)
        self.active.add(number)

    def deactivate(self, number: int) -> None:
        """The handler has returned; a line that is still high pends again."""
        self.active.discard(number)
        if number in self.lines:
            self.pending.add(number)

    def force_active(self, number: int, active: bool) -> None:
        """Firmware says by SHCSR whether a handler runs."""
        if active:
            self.active.add(number)
        else:
            self.active.discard(number)
        self._changes()

    @property
    def most_urgent(self) -> int:
        """The pending and enabled exception that comes first; 0: none."""
        end = PEND_SV if self.silenced else self.count
        ready = [n for n in self.pending if n < end and (n < FIRST_IRQ or n in self.enabled)]
        return min(ready, key=lambda n: (_FIXED.get(n, self.priorities[n]), n), default=0)

    @property
    def now(self) -> int:
        """The exception whose handler runs; 0: thread mode."""
        return self._core.ipsr

    @property
    def announced(self) -> int:
        """ICSR.VECTPENDING: BASEPRI and FAULTMASK hold back, PRIMASK does not (B3.2.4)."""
        _, basepri, faultmask = self._core.masks
        best = self.most_urgent
        allowed = best and self.group(best) < self._raised(0, basepri, faultmask)
        return best if allowed else 0

    def group(self, number: int) -> int:
        """The priority that decides about preemption; lower is more urgent."""
        fixed = _FIXED.get(number)
        return fixed if fixed is not None else self._grouped(self.priorities[number])

    def _grouped(self, priority: int) -> int:
        return priority >> self.group_shift + 1 << self.group_shift + 1

    def running(self, masks: tuple[int, int, int] = (0, 0, 0)) -> int:
        """The priority of what runs, raised by (PRIMASK, BASEPRI, FAULTMASK)."""
        return min([self._raised(*masks), *(self.group(n) for n in self.active)])

    def _raised(self, primask: int, basepri: int, faultmask: int) -> int:
        """The priority that the masks give to thread mode."""
        level = self._grouped(basepri) if basepri else _LOWEST
        level = min(level, 0) if primask else level
        return -1 if faultmask else level

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
_CALIBRATION = 0xC0000000  # no reference clock, no calibrated 10 ms


class SysTick:
    """A down-counter over the core's cycles (or an eighth of them)."""

    def __init__(self, hook: EdgeHook, nvic: Nvic) -> None:
        self._counters, self._nvic, self._state = hook.counters, nvic, nvic.state

    def reset(self) -> None:
        """Stopped."""
        self._state.control = self._state.reload = self._state.start = self._state.seen = 0

    @property
    def _period(self) -> int:
        return int((self._state.reload + 1) * (1 if self._state.control & CSR_CLKSOURCE else 8))

    @property
    def _counts(self) -> bool:
        return bool(self._state.control & CSR_ENABLE and self._state.reload)

    @property
    def next_event(self) -> int:
        """The cycle of the next interrupt."""
        if not self._state.control & CSR_TICKINT or not self._counts:
            return NEVER
        return int(self._state.start) + self._period

    def tick(self, cycles: int) -> None:
        """Pend the exception if its time has come at this cycle."""
        if cycles < self.next_event:
            return
        self._state.start += (cycles - self._state.start) // self._period * self._period
        self._state.seen = -1
        self._nvic.pend(SYSTICK)

    def read(self, offset: int) -> int:
        """CSR, RVR, CVR or CALIB at offset 0, 4, 8, 12."""
        if offset == 0:
            return int(self._state.control) | self._take_flag()
        return {4: int(self._state.reload), 8: self._value(), 12: _CALIBRATION}.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """CSR, RVR or CVR; a write to CVR clears it."""
        if offset == 0:
            if value & CSR_ENABLE and not self._state.control & CSR_ENABLE:
                self._restart()
            self._state.control = value & 7
        elif offset == 4:
            self._state.reload = value & 0xFFFFFF
        elif offset == 8:
            self._restart()
        self._counters.attention = 1  # a new deadline

    def _restart(self) -> None:
        self._state.start, self._state.seen = self._counters.cycles, 0

    def _value(self) -> int:
        if not self._counts:
            return 0
        scale = 1 if self._state.control & CSR_CLKSOURCE else 8
        reload = int(self._state.reload)
        gone = (int(self._counters.cycles) - int(self._state.start)) // scale % (reload + 1)
        return reload - gone + 1 if gone else 0

    def _take_flag(self) -> int:
        if not self._counts:
            return 0
        periods = int(self._counters.cycles - self._state.start) // self._period
        flag = CSR_COUNTFLAG if periods != self._state.seen else 0
        self._state.seen = periods
        return flag
