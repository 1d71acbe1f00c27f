"""The memory protection unit in front of the core: what it forbids does not happen."""

from __future__ import annotations

from typing import Any

import unicorn

from farm.virtual.bus import Bus
from farm.virtual.core import Core
from farm.virtual.execution import Runner, Stop
from farm.virtual.fence import LOAD, STORE, Range
from farm.virtual.mpu import EXECUTE, HFNMIENA, READ, WRITE, Mpu, ProtectionFaultError, Span
from farm.virtual.nvic import Nvic

_ACCESSES = {LOAD: READ, STORE: WRITE}


class Protection:
    """Applies the regions of `mpu` to the core's accesses, and to exception frames.

    Only memory that exists and that somebody may not touch costs anything.
    """

    def __init__(self, core: Core, bus: Bus, nvic: Nvic, mpu: Mpu, runner: Runner) -> None:
        self._core, self._bus, self._nvic, self._mpu = core, bus, nvic, mpu
        self._runner = runner
        self._hooks: dict[tuple[int, int], Any] = {}
        self._unprivileged = False  # code without privilege has been seen

    @property
    def active(self) -> bool:
        """Whether it checks at the priority that runs now (MPU_CTRL.HFNMIENA)."""
        if not self._mpu.enabled:
            return False
        return bool(self._mpu.control & HFNMIENA) or self._nvic.running(self._core.masks) >= 0

    def apply(self) -> None:
        """Follow a change of the registers, where code may not run; the fence asks ranges()."""
        self._unprivileged |= self._core.gave_up_privilege
        wanted = set(self._never_run())
        for gone in set(self._hooks) - wanted:
            self._core.uc.hook_del(self._hooks.pop(gone))
            self._runner.stale = True
        for first, last in wanted - set(self._hooks):
            self._hooks[first, last] = self._core.uc.hook_add(
                unicorn.UC_HOOK_CODE, self._on_fetch, begin=first, end=last
            )
            self._runner.stale = True

    @property
    def unprivileged(self) -> bool:
        """Whether there has been code without privilege since the last reset."""
        return self._unprivileged

    def reset(self) -> None:
        """All code is privileged again."""
        self._unprivileged = False

    def _common(self, span: Span) -> int:
        """What all code may do that there is."""
        return span.privileged & (span.unprivileged if self._unprivileged else span.privileged)

    def ranges(self) -> list[Range]:
        """Where loads or stores are forbidden to either level."""
        if not self._mpu.enabled:
            return []
        found = []
        for span in self._mpu.spans:
            both = self._common(span)
            access = (0 if both & READ else LOAD) | (0 if both & WRITE else STORE)
            if access:
                found.append((span.first, span.end - 1, access))
        return found

    def judge(self, address: int, size: int, access: int, value: int | None) -> Stop | None:
        """Whether the code that runs now may do this."""
        del value
        allowed = all(
            self._mpu.allows(at, _ACCESSES[access], self._core.privileged)
            for at in (address, address + size - 1)
        )
        return None if allowed or not self.active else Stop.PROTECTED

    def read(self, address: int, size: int, privileged: bool) -> bytes:
        """Bytes of an exception frame; a bus fault or ProtectionFaultError."""
        self._check(address, size, READ, privileged)
        return self._bus.fetch(address, size)

    def write(self, address: int, data: bytes, privileged: bool) -> None:
        """An exception frame; a bus fault or ProtectionFaultError."""
        self._check(address, len(data), WRITE, privileged)
        self._bus.write_block(address, data)

    def explains(self, stop: Stop, pc: int, address: int) -> Stop:
        """The same stop, or what the unit makes of it: it comes before the bus."""
        if stop is Stop.FETCH and self._forbids(pc, EXECUTE):
            return Stop.NO_EXECUTE
        if stop is Stop.BUS and self._forbids(address, READ):
            return Stop.PROTECTED
        return stop

    def _forbids(self, address: int, access: int) -> bool:
        return self.active and not self._mpu.allows(address, access, self._core.privileged)

    def _check(self, address: int, size: int, access: int, privileged: bool) -> None:
        if not self.active:
            return
        for at in range(address, address + size, 4):
            if not self._mpu.allows(at, access, privileged):
                raise ProtectionFaultError(at & 0xFFFFFFFF)

    def _never_run(self) -> list[tuple[int, int]]:
        """Parts of memory that either level may not execute."""
        if not self._mpu.enabled:
            return []
        spans = [s for s in self._mpu.spans if not self._common(s) & EXECUTE]
        return [
            (max(span.first, base), min(span.end, end) - 1)
            for base, end in self._bus.memories()
            for span in spans
            if span.first < end and base < span.end
        ]

    def _on_fetch(self, _uc: Any, address: int, _size: int, _user: Any) -> None:
        if self._forbids(address, EXECUTE):
            self._runner.trap(Stop.NO_EXECUTE, address)
