"""Addresses before which Unicorn ends a run by itself: the way to stop inside an IT block.

A hook cannot do it: what Unicorn 2.1.4 translates for an IT block does not ask whether it is to
stop. Its exits need no question. They cost nothing while the core runs, and the state of the IT
block stays in xPSR, so that the next run can begin in the middle of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from farm.virtual.bus import BusFault
from farm.virtual.core import Core
from farm.virtual.decode import holds

if TYPE_CHECKING:
    from farm.virtual.execution import Stop

_LONGEST = 14  # bytes from an IT to its last instruction
_NEVER = 0xFFFFFFF0


class Exits:
    """Breakpoints in IT blocks, and instructions there that may not be allowed to run.

    `fetch(address, size)` gives the bytes of code.
    """

    def __init__(self, core: Core, fetch: Callable[[int, int], bytes]) -> None:
        self._core, self._fetch = core, fetch
        self._judges: dict[int, Callable[[], Stop | None]] = {}
        self._armed: frozenset[int] = frozenset()

    def __contains__(self, address: int) -> bool:
        return address in self._armed

    @property
    def used(self) -> bool:
        """Whether there is or was one."""
        return bool(self._judges or self._armed)

    def add(self, address: int, judge: Callable[[], Stop | None]) -> bool:
        """Ask `judge` before the instruction there runs; whether that is new."""
        new = address not in self._judges
        self._judges[address] = judge
        return new

    def forget(self) -> None:
        """The code has changed."""
        self._judges.clear()

    def judge(self, address: int) -> Stop | None:
        """What is to happen in place of the instruction; None: nothing."""
        judge = self._judges.get(address)
        return judge() if judge and holds(self._core.condition, self._core.flags) else None

    def arm(self, breakpoints: Iterable[int]) -> bool:
        """Set those of the next run; whether they are others than before."""
        inside = {at for at in breakpoints if self._inside(at)}
        return self._set(frozenset(self._judges) | inside)

    def arm_step(self, pc: int) -> None:
        """An IT, and each instruction of its block, is a step of its own."""
        code = self._code(pc, 2)
        opens = code[1:] == b"\xbf" and bool(code[0] & 15)
        inside = self._core.it_state & 15
        self._set(frozenset({pc + _size(code)} if code and (opens or inside) else ()))

    def _inside(self, address: int) -> bool:
        """Whether an instruction may lie in the block of an IT before it."""
        before = self._code(address - _LONGEST, _LONGEST)
        if before and b"\xbf" not in before:
            return False
        starts = range(address - 2, address - _LONGEST - 2, -2)
        return any(self._reaches(start, address) for start in starts)

    def _reaches(self, start: int, address: int) -> bool:
        code = self._code(start, 2)
        mask, at = code[0] & 15 if code[1:] == b"\xbf" else 0, start + 2
        for _ in range(5 - (mask & -mask).bit_length() if mask else 0):
            if at == address:
                return True
            at += _size(self._code(at, 2))
        return False

    def _code(self, address: int, size: int) -> bytes:
        try:
            return self._fetch(address & 0xFFFFFFFF, size)
        except BusFault:
            return b""

    def _set(self, wanted: frozenset[int]) -> bool:
        if wanted == self._armed:
            return False
        self._core.uc.ctl_exits_enabled(bool(wanted))
        if wanted:
            self._core.uc.ctl_set_exits([*wanted, _NEVER])
        self._armed = wanted
        return True


def _size(code: bytes) -> int:
    return 4 if code and code[1] >> 3 >= 0b11101 else 2
