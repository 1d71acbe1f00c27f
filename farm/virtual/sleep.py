"""Sleep: WFI, WFE, SLEEPONEXIT, and what wakes the core."""

from __future__ import annotations

from farm.virtual.core import Core
from farm.virtual.nvic import Nvic
from farm.virtual.scs import SystemControl


class Sleep:
    """Whether the core sleeps, and what wakes it."""

    def __init__(self, core: Core, nvic: Nvic, scs: SystemControl) -> None:
        self._core, self._nvic, self._scs = core, nvic, scs
        self._state = nvic.state  # its `event` is WFE's event register
        self.reset()

    def reset(self) -> None:
        """Awake, and no event is remembered."""
        self.asleep = False
        self._waiting = False  # by WFE
        self._state.event = 0

    def send_event(self) -> None:
        """SEV, or the entry or return of an exception: the next WFE does not sleep."""
        self._state.event = 1

    def wait_for_interrupt(self) -> None:
        """WFI."""
        self.asleep, self._waiting = True, False

    def wait_for_event(self) -> None:
        """WFE: uses up the event if there is one."""
        self.asleep, self._waiting = not self._state.event, True
        self._state.event = 0

    def exception_returns(self, thread: bool) -> None:
        """Back from a handler; `thread`: to thread mode."""
        self.asleep, self._waiting = thread and self._scs.sleeps_on_exit, False
        self._state.event = 1

    def ends(self) -> bool:
        """WFI also ends on an interrupt that only PRIMASK holds back, WFE by an event."""
        if not self._waiting:
            _, basepri, faultmask = self._core.masks
            return self._nvic.next((0, basepri, faultmask)) != 0
        woken = bool(self._state.event)
        woken = woken or (self._scs.sends_on_pend and bool(self._nvic.pending))
        self._state.event = int(self._state.event and not woken)
        return woken
