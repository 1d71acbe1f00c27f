"""The console's wire: what noise makes of the bytes on it, seeded, byte by byte.

What happens to the n-th byte of a direction depends on the fault and on n alone, not on how the
bytes were cut into pieces or on when they came.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Literal

from farm.virtual.faults_draw import Draw
from farm.virtual.faults_table import Fault

Way = Literal["out", "in"]


class Noise:
    """One fault of the line, in one direction."""

    def __init__(self, fault: Fault, way: Way) -> None:
        self._fault, self._count = fault, 0
        self._draw = Draw(f"{fault} {way}")

    def bytes_for(self, value: int) -> tuple[list[int], float]:
        """What comes out for one byte, and the seconds that the line stands still before it."""
        if not self._strikes():
            return [value], 0.0
        match self._fault.kind:
            case "uart-lose":
                return [], 0.0
            case "uart-repeat":
                return [value, value], 0.0
            case "uart-flip":
                return [value ^ 1 << self._draw.below(8)], 0.0
            case _:
                return [value], self._fault["ms"] / 1000

    def _strikes(self) -> bool:
        self._count += 1
        if self._fault["every"]:
            return bool(self._count % self._fault["every"] == 0)
        return self._draw.happens(self._fault["chance"])


class Line:
    """Both directions of the wire between the board's UART and the terminal."""

    def __init__(self) -> None:
        self._noise: dict[Way, list[tuple[Fault, Noise]]] = {"out": [], "in": []}
        self._waiting: dict[Way, deque[tuple[float, bytes]]] = {"out": deque(), "in": deque()}

    def add(self, fault: Fault) -> None:
        """Let a fault of the line begin with the next byte."""
        for way, noise in self._noise.items():
            if fault["way"] in (way, "both"):
                noise.append((fault, Noise(fault, way)))

    def remove(self, fault: Fault) -> None:
        """End a fault; bytes that it holds back still come when they are due."""
        for way in self._noise:
            self._noise[way] = [each for each in self._noise[way] if each[0] is not fault]

    def carry(self, way: Way, data: bytes) -> bytes:
        """Put bytes on the line; what comes out at its other end now."""
        if not self._noise[way] and not self._waiting[way]:
            return data
        for value in data:
            self._put(way, value)
        return self.ripe(way)

    def ripe(self, way: Way) -> bytes:
        """The bytes that were held back and are due now."""
        waiting, now_s = self._waiting[way], time.monotonic()
        out = bytearray()
        while waiting and waiting[0][0] <= now_s:
            out += waiting.popleft()[1]
        return bytes(out)

    def drop(self) -> None:
        """Forget the bytes on their way to the board, as its power cut does."""
        self._waiting["in"].clear()

    @property
    def due_s(self) -> float | None:
        """When the next byte that is held back is due, by time.monotonic()."""
        return min((queue[0][0] for queue in self._waiting.values() if queue), default=None)

    def _put(self, way: Way, value: int) -> None:
        values, delay_s = [value], 0.0
        for _, noise in self._noise[way]:
            passed = [noise.bytes_for(each) for each in values]
            values = [out for outs, _ in passed for out in outs]
            delay_s += sum(late_s for _, late_s in passed)
        waiting = self._waiting[way]
        last_s = waiting[-1][0] if waiting else time.monotonic()
        waiting.append((last_s + delay_s, bytes(values)))
