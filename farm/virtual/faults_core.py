"""What can be wrong with the core: it hangs, or something is due at a cycle of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from farm.virtual.hook import NEVER, Counters


def _nothing() -> None:
    pass


@dataclass
class CoreFaults:
    """Read by the machine between two stretches of instructions."""

    counters: Counters
    hung: bool = False  # the core spins on the spot, deaf to interrupts, until a reset
    alarm_at: int = NEVER  # call `on_alarm` when the machine's cycles get there
    on_alarm: Callable[[], None] = field(default=_nothing)

    def pause(self) -> None:
        """End the slice that runs now at its next block."""
        self.counters.stop, self.counters.fuel = 1, 0

    def strikes(self, cycles: int) -> bool:
        """Whether the alarm was due; it has been called then."""
        due = cycles >= self.alarm_at
        if due:
            self.alarm_at = NEVER
            self.on_alarm()
        return due
