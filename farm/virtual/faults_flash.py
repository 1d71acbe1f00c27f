"""Worn and broken flash: words that do not program, sectors that do not erase, stuck bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from farm.virtual.faults_draw import Draw
from farm.virtual.faults_table import Fault, FaultError

WORD_BYTES = 4


@dataclass(eq=False)
class _Weak:
    fault: Fault
    offset: int
    left: int  # failures to come; -1: for ever

    def fails(self) -> bool:
        """Whether it fails this time; counts it."""
        if self.left > 0:
            self.left -= 1
            return True
        return self.left < 0

    @property
    def noticed(self) -> bool:
        """Whether the controller raises its error flag."""
        return bool(self.fault["how"] == "error")


class CellFaults:
    """The cells of one flash with their faults, in offsets from its start."""

    def __init__(self, cells: memoryview) -> None:
        self._cells = cells
        self.on_word: Callable[[], None] = lambda: None  # before each word that is programmed
        self.on_erase: Callable[[], None] = lambda: None  # before each sector or bank, or all
        self._programs: list[_Weak] = []
        self._erases: list[_Weak] = []
        self._stuck: dict[tuple[int, int], int] = {}
        self.busy = False  # the controller never finishes
        self.unpowered = False  # nothing changes any more
        self.tear: Draw | None = None  # the power fails within what is written next

    @property
    def broken(self) -> bool:
        """Whether any of the cells is."""
        return bool(self._programs or self._erases or self._stuck)

    def add(self, fault: Fault, offset: int) -> None:
        """A fault of one address."""
        weak = _Weak(fault, offset, fault["times"] or -1) if fault.kind != "flash-cell" else None
        if weak is None:
            self._stuck[offset, fault["bit"]] = fault["value"]
            self._hold(offset, 1)
        elif fault.kind == "flash-program":
            self._programs.append(weak)
        else:
            self._erases.append(weak)

    def remove(self, fault: Fault, offset: int) -> None:
        """Repair it; a bit that was stuck keeps its value until it is erased."""
        if fault.kind == "flash-cell":
            self._stuck.pop((offset, fault["bit"]), None)
        self._programs = [weak for weak in self._programs if weak.fault is not fault]
        self._erases = [weak for weak in self._erases if weak.fault is not fault]

    def worked_off(self, fault: Fault) -> bool:
        """Whether it has failed as often as it shall."""
        return any(w.fault is fault and not w.left for w in (*self._programs, *self._erases))

    def program(self, offset: int, size: int, value: int) -> bool:
        """Program one word; False when the controller has to raise its error flag."""
        if self.busy or self.unpowered:
            return True
        for weak in self._programs:
            first = weak.offset - weak.offset % WORD_BYTES
            if offset < first + WORD_BYTES and offset + size > first and weak.fails():
                return not weak.noticed
        old = int.from_bytes(self._cells[offset : offset + size], "little")
        self.on_word()
        if self.tear:  # the power failed in the middle: some of the bits are programmed
            value |= int.from_bytes(self._fails(size), "little")
        self._cells[offset : offset + size] = (old & value).to_bytes(size, "little")
        self._hold(offset, size)
        return True

    def erase(self, offset: int, size: int) -> bool:
        """Erase so many bytes; False when the controller has to raise its error flag."""
        if self.busy or self.unpowered:
            return True
        for weak in self._erases:
            if offset <= weak.offset < offset + size and weak.fails():
                return not weak.noticed
        self.on_erase()
        # Cut off half-way, cells may hold anything (RM0090, 3.6.3).
        self._cells[offset : offset + size] = self._fails(size) if self.tear else b"\xff" * size
        self._hold(offset, size)
        return True

    def _fails(self, size: int) -> bytes:
        """The power fails now; noise for what was being written."""
        noise = self.tear.noise(size) if self.tear else b""
        self.tear, self.unpowered = None, True
        return noise

    def rot(self, fault: Fault, offset: int, size: int) -> list[int]:
        """Let seeded programmed bits of the range read 1; the offsets of their bytes.

        FaultError when the range has fewer programmed bits.
        """
        data = bytes(self._cells[offset : offset + size])
        zeros = [(at, bit) for at, byte in enumerate(data) if byte < 255 for bit in _zeros(byte)]
        if len(zeros) < fault["bits"]:
            raise FaultError(f"only {len(zeros)} bits are programmed there, not {fault['bits']}")
        draw = Draw(str(fault))
        chosen = [zeros.pop(draw.below(len(zeros))) for _ in range(fault["bits"])]
        for at, bit in chosen:
            self._cells[offset + at] |= 1 << bit
        self._hold(offset, size)
        return sorted(offset + at for at, _ in chosen)

    def _hold(self, offset: int, size: int) -> None:
        """Stuck bits in the range keep their value."""
        for (at, bit), value in self._stuck.items():
            if offset <= at < offset + size:
                self._cells[at] = self._cells[at] & ~(1 << bit) | value << bit


def _zeros(byte: int) -> list[int]:
    return [bit for bit in range(8) if not byte >> bit & 1]
