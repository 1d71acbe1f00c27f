"""Watchpoints: the comparators of the DWT against what the core executes.

On silicon a watchpoint is asynchronous: the core stops behind the instruction that matched. Here it
stops before the instruction, which the machine then finishes by a step.
"""

from __future__ import annotations

from typing import Any

import unicorn

from farm.virtual.dwt import INSTRUCTION, Comparator, Dwt
from farm.virtual.execution import Runner, Stop
from farm.virtual.fence import Range


class Watchpoints:
    """Nothing is hooked, and nothing is slower, while no comparator is in use."""

    def __init__(self, uc: Any, dwt: Dwt, runner: Runner) -> None:
        self._uc, self._dwt, self._runner = uc, dwt, runner
        self._data: tuple[Comparator, ...] = ()
        self._code: dict[Comparator, Any] = {}
        self.muted = False  # an instruction that has matched is being finished

    def apply(self, watching: bool) -> None:
        """Follow a change of the comparators; `watching`: somebody wants to know."""
        wanted = self._dwt.comparators if watching else ()
        self._data = tuple(w for w in wanted if w.function != INSTRUCTION)
        code = {w for w in wanted if w.function == INSTRUCTION}
        for gone in set(self._code) - code:
            self._uc.hook_del(self._code.pop(gone))
            self._runner.stale = True
        for new in code - set(self._code):
            self._code[new] = self._hook(new)
            self._runner.stale = True

    def ranges(self) -> list[Range]:
        """Where data is watched."""
        return [(w.first, w.first + w.size - 1, w.accesses) for w in self._data]

    def judge(self, address: int, size: int, access: int, value: int | None) -> Stop | None:
        """Whether an access matches; the address of its first byte counts (DDI 0403E, C1.8.1)."""
        asked = (w for w in self._data if w.accesses & access and w.matches(size, value))
        hit = [w for w in asked if 0 <= address - w.first < w.size]
        for watch in hit:
            self._dwt.match(watch.number)
        return Stop.WATCH if hit and not self.muted else None

    def _hook(self, watch: Comparator) -> Any:
        def on_code(_uc: Any, _address: int, _size: int, _user: Any) -> None:
            self._dwt.match(watch.number)
            if not self.muted:
                self._runner.trap(Stop.WATCH)

        last = watch.first + watch.size - 1
        return self._uc.hook_add(unicorn.UC_HOOK_CODE, on_code, begin=watch.first, end=last)
