"""Fences: addresses whose loads or stores ask before they happen; all others run at full speed.

The pages of a fence lose the right in Unicorn, whose hooks for forbidden accesses then ask the
guards. (A hook on every access is no way: besides its cost, Unicorn 2.1.4 leaves the state of an IT
block behind after it, and the next block runs under that condition. The same is mended here.)
Behind a load that was let through, loads from its page are not asked for again within the same
block of instructions; nor are loads from a page whose code has just run.
A store into flash asks nobody: its controller decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import unicorn
from unicorn import arm_const

from farm.virtual.bus import Bus
from farm.virtual.execution import Runner, Stop
from farm.virtual.parts import Ram

LOAD, STORE = 1, 2
# A store that is not asked for would open its page to loads.
_RIGHTS = {LOAD: unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE, STORE: unicorn.UC_PROT_WRITE}
_PAGE = 1 << 10  # the smallest unit of rights
_STORES_FROM, _STORES_TO = 0x20000000, 0xFFFFFFFF
_IT_STATE = 0x0600FC00  # of xPSR

Range = tuple[int, int, int]
"""First and last address, and which accesses ask."""


class Guard(Protocol):
    """Who is asked."""

    def ranges(self) -> Sequence[Range]:
        """Where it wants to be asked."""

    def judge(self, address: int, size: int, access: int, value: int | None) -> Stop | None:
        """What an access leads to; None: nothing. `value`: what moves, if that is known."""


class Fence:
    """Asks the guards; register it before anything else that catches forbidden stores."""

    def __init__(self, uc: Any, bus: Bus, runner: Runner, rams: Sequence[Ram]) -> None:
        self._uc, self._bus, self._runner = uc, bus, runner
        self._guards: list[Guard] = []
        self._lowered: dict[tuple[int, int], int] = {}  # (first, end): the rights taken away
        uc.hook_add(unicorn.UC_HOOK_MEM_READ_PROT, self._on_load)
        runner.opens = self._opens
        low = [(b, b + r.bytes - 1) for r in rams for b in (r.base, *r.aliases) if b < _STORES_FROM]
        for first, last in (*low, (_STORES_FROM, _STORES_TO)):
            kind = unicorn.UC_HOOK_MEM_WRITE_PROT
            uc.hook_add(kind, self._on_store, begin=first, end=last)

    def add(self, guard: Guard) -> None:
        """Ask `guard` too."""
        self._guards.append(guard)

    @property
    def stands(self) -> bool:
        """Whether some access asks. An exception in native code would then be wrong: behind it
        Unicorn no longer tells at which instruction a hook for memory has ended the run.
        """
        return bool(self._lowered)

    def apply(self) -> None:
        """Follow a change of the guards' ranges."""
        wanted = self._wanted()
        if wanted == self._lowered:
            return
        for (first, end), _ in self._lowered.items() - wanted.items():
            self._uc.mem_protect(first, end - first, self._bus.rights(first))
        for (first, end), lost in wanted.items() - self._lowered.items():
            self._uc.mem_protect(first, end - first, self._bus.rights(first) & ~lost)
        self._lowered = wanted
        self._runner.stale = True

    def _wanted(self) -> dict[tuple[int, int], int]:
        asked = [r for guard in self._guards for r in guard.ranges()]
        found: dict[tuple[int, int], int] = {}
        if not asked:
            return found
        for base, end in self._bus.mapped():
            touching = [r for r in asked if r[0] < end and base <= r[1]]
            edges = {base, end}
            for first, last, _ in touching:
                edges |= {max(first & -_PAGE, base), min((last | _PAGE - 1) + 1, end)}
            for start, stop in pairwise(sorted(edges)):
                lost = _lost(touching, start, stop)
                found.update({(start, stop): lost} if lost else {})
        return found

    def _ask(self, address: int, size: int, access: int, value: int | None) -> bool:
        """Whether the access may happen."""
        for guard in self._guards:
            stop = guard.judge(address, size, access, value)
            if stop:
                self._runner.trap(stop, address)
                return False
        self._runner.forget_pages()
        xpsr = self._uc.reg_read(arm_const.UC_ARM_REG_XPSR)
        if xpsr & _IT_STATE:
            self._uc.reg_write(arm_const.UC_ARM_REG_XPSR, xpsr & ~_IT_STATE)
        return True

    def _fenced(self, address: int) -> bool:
        return any(first <= address < end for first, end in self._lowered)

    def _opens(self, address: int) -> bool:
        """Let a KiB of RAM run code, whatever the protection unit says; whether that is new."""
        page = address & -_PAGE
        if not self._bus.opens(page):
            return False
        lost = sum(lost for (first, end), lost in self._lowered.items() if first <= page < end)
        self._uc.mem_protect(page, _PAGE, self._bus.rights(page) & ~lost)
        return True

    def _on_load(self, _uc: Any, _t: int, address: int, size: int, _v: int, _u: Any) -> bool:
        address &= 0xFFFFFFFF
        self._runner.note_fault(address)
        if not self._fenced(address):
            return False
        value = self._bus.read(address, size) if self._bus.plain(address) else None
        return self._ask(address, size, LOAD, value)

    def _on_store(self, _uc: Any, _t: int, address: int, size: int, value: int, _u: Any) -> bool:
        """Unicorn drops a store into memory that was let through, so it is done here."""
        address &= 0xFFFFFFFF
        if not self._fenced(address):
            return False
        allowed, plain = self._ask(address, size, STORE, value), self._bus.plain(address)
        if allowed and plain:
            self._bus.write(address, size, value)
            self._uc.ctl(unicorn.UC_CTL_TLB_FLUSH, unicorn.UC_CTL_IO_WRITE)
        return allowed or plain


def _lost(ranges: Sequence[Range], start: int, stop: int) -> int:
    lost = 0
    for first, last, accesses in ranges:
        if first < stop and start <= last:
            for access, right in _RIGHTS.items():
                lost |= right if accesses & access else 0
    return lost
