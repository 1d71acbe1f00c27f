"""The faults of one virtual board at work: injected, counted down, struck, cleared."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from farm.virtual.faults_draw import Draw
from farm.virtual.faults_line import Line
from farm.virtual.faults_link import ProbeState
from farm.virtual.faults_table import KINDS, Fault, FaultError
from farm.virtual.faults_trigger import Action, Trigger, Triggers
from farm.virtual.hook import NEVER
from farm.virtual.machine import Machine


def _nothing() -> None:
    pass


@dataclass(eq=False)
class Active:
    """One fault of the board, what ends it, and how to see that it has ended by itself."""

    fault: Fault
    undo: Action = _nothing
    over: Callable[[], bool] = lambda: False
    trigger: Trigger | None = None  # while it still waits for its count


Begin = Callable[["FaultEngine", Active], dict[str, Any]]


class FaultEngine:
    """Everything that is wrong with one board; `begin` says how each kind starts.

    What a fault does to the core or the supply happens in `settle`, between two slices of the
    core: a count that runs out in the middle of one only ends the slice.
    """

    def __init__(
        self, machine: Machine, line: Line, probe: ProbeState, begin: dict[str, Begin]
    ) -> None:
        self.machine, self.line, self.probe = machine, line, probe
        self.cut_power: Action = _nothing
        self.give_power: Action = _nothing
        self.drift = 1.0  # what every oscillator really does, of what it should
        self._begin = begin
        self._triggers = Triggers()
        self._active: list[Active] = []
        self._pending: list[Action] = []
        self._silent = False  # what the core still sends in this slice is lost
        self._power_at_s: float | None = None
        self._counted_cycles = 0
        machine.flash.cells.on_word = lambda: self._triggers.tick("words")
        machine.flash.cells.on_erase = lambda: self._triggers.tick("erases")
        machine.faults.on_alarm = self._count_cycles

    # -- what the operator does --------------------------------------------------------------

    def inject(self, fault: Fault) -> dict[str, Any]:
        """Begin a fault; what it did at once, as JSON values. FaultError when it cannot be."""
        active = Active(fault)
        facts = self._begin[fault.kind](self, active)
        if KINDS[fault.kind].survives != "event" or active.trigger:
            self._active.append(active)
        self._follow()
        return facts

    def clear(self) -> int:
        """End every fault, those that wait for their count too; how many there were."""
        ended, self._active = self.active(), []
        for active in ended:
            if active.trigger:
                self._triggers.disarm(active.trigger)
            active.undo()
        self._follow()
        return len(ended)

    def active(self) -> list[Active]:
        """What is wrong, or still will be, in the order of injection."""
        self._active = [a for a in self._active if a.trigger or not a.over()]
        return list(self._active)

    # -- what the board tells ----------------------------------------------------------------

    def sent(self, data: bytes) -> bytes:
        """Of the bytes that the board's UART sent, those that come out before it is stopped."""
        if self._silent:
            return b""
        room = self._triggers.room("sent", len(data))
        self._triggers.tick("sent", len(data))
        return data[:room] if self._silent else data

    def receivable(self, data: bytes) -> bytes:
        """The bytes that may reach the UART before something is due."""
        return data[: self._triggers.room("received", len(data))]

    def received(self, count: int) -> None:
        """So many bytes have reached the UART."""
        self._triggers.tick("received", count)

    def requested(self) -> None:
        """A request to the debug port is about to be answered."""
        self._triggers.tick("requests")

    def power_went(self) -> None:
        """The supply is gone, by whoever's hand."""
        self._count_cycles()
        self.machine.flash.cells.unpowered = True

    def power_came(self) -> None:
        """The supply is back, the machine new."""
        self._power_at_s = None
        cells = self.machine.flash.cells
        cells.unpowered, cells.tear = False, None
        self.machine.flash.set_busy(False)
        self._counted_cycles = self.machine.cycles
        self._follow()

    def settle(self) -> None:
        """Do what has become due."""
        if self._power_at_s is not None and time.monotonic() >= self._power_at_s:
            self.give_power()
        while self._pending:
            pending, self._pending = self._pending, []
            for action in pending:
                action()
            self._silent = False
            self._follow()

    @property
    def core_hz(self) -> int:
        """How fast the core really runs."""
        return round(self.machine.clocks.clocks().core * self.drift)

    @property
    def due_s(self) -> float | None:
        """When `settle` has something to do, by time.monotonic()."""
        return self._power_at_s

    # -- what the kinds of fault use ---------------------------------------------------------

    def arm(self, active: Active, strike: Action, follow_up: Action = _nothing) -> None:
        """`strike` when the fault's count runs out, `follow_up` in the next `settle`."""
        values = dict(active.fault.values)
        count, after = str(values.get("count", "words")), int(values["after"])

        def due() -> None:
            active.trigger = None
            if KINDS[active.fault.kind].survives == "event" and active in self._active:
                self._active.remove(active)
            strike()
            self._pending.append(follow_up)
            self.machine.faults.pause()

        if after == 0:
            due()
            return
        self._count_cycles()
        active.trigger = self._triggers.arm(count, after, due)

    def fall_silent(self, active: Active) -> None:
        """The core stops at the byte that ran the count out."""
        self._silent = active.fault["count"] == "sent"

    def lose_power(self, active: Active) -> None:
        """As `fall_silent`, and flash keeps what it has; what is being written is torn."""
        self.fall_silent(active)
        cells = self.machine.flash.cells
        if active.fault["count"] in ("words", "erases") and active.fault["after"]:
            cells.tear = Draw(str(active.fault))
        else:
            cells.unpowered = True

    def give_power_in(self, seconds: float) -> None:
        """Let the supply come back by itself."""
        self._power_at_s = time.monotonic() + seconds

    def offset(self, address: int) -> int:
        """Where in flash an address lies; FaultError."""
        part = self.machine.part
        for base in (part.flash_base, *part.flash_aliases):
            if base <= address < base + part.flash_bytes:
                return address - base
        end = part.flash_base + part.flash_bytes
        raise FaultError(f"at={address:#x} is not in flash: {part.flash_base:#x} to {end:#x}")

    # -- helpers -----------------------------------------------------------------------------

    def _count_cycles(self) -> None:
        passed = self.machine.cycles - self._counted_cycles
        self._counted_cycles = self.machine.cycles
        self._triggers.tick("cycles", passed)
        self._set_alarm()

    def _set_alarm(self) -> None:
        left = self._triggers.room("cycles", NEVER)
        at = NEVER if left == NEVER else self._counted_cycles + left
        self.machine.faults.alarm_at = at

    def _follow(self) -> None:
        """The core's fast way into flash only while nobody looks at single words."""
        self._set_alarm()
        flash = self.machine.flash
        flash.watch_cells(self._triggers.counts("words") or flash.cells.broken)
