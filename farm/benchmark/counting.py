"""Instructions of one inference and of each of its layers, by the image that boards run.

The image runs on an emulated part in this process, so that breakpoints can stop it where an
inference begins and ends; the harness is asked over its console as on any board.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile

from farm.errors import BenchError
from farm.image import Image
from farm.link import Link
from farm.virtual.machine import Machine
from farm.virtual.parts import Part, load_part

DEADLINE_S = 300.0
_SLICE_CYCLES = 10_000_000
_FP_CTRL, _FP_COMP = 0xE0002000, 0xE0002008
_DHCSR, _RUN_DEBUGGED = 0xE000EDF0, 0xA05F0001  # C_DEBUGEN with its key; clears C_HALT
_LR, _PC = 14, 15
_ENTRY, _RETURN = 0, 1  # comparators


@dataclass(frozen=True)
class Counts:
    """Instructions retired, those that an IT block skips included; layers in execution order."""

    inference: int
    layers: tuple[int, ...]
    output: bytes


def count_instructions(image: Image, inputs: bytes) -> Counts:
    """Of a warm inference on these inputs; BenchError when the image does not answer well."""
    part = load_part(image.mcu)
    stepped = _Stepped(part, image)
    link = Link(stepped, f"emulated {part.name}", DEADLINE_S)
    output_bytes = link.banner(DEADLINE_S).output_bytes
    link.load(inputs)
    stepped.watch("tinyrack_run")
    output = link.run(output_bytes, DEADLINE_S, cold=False).output
    inference = stepped.spans[0]
    stepped.watch("tinyrack_trace", each="note")
    link.trace(len(image.layers), DEADLINE_S)
    layers = stepped.between[: len(image.layers)]
    return Counts(inference, tuple(layers), output)


class _Stepped:
    """A machine as the port of a link, and what it counted at breakpoints.

    spans: from the entry of the watched function to its return; between: from the entry, or the
    return of the last call of `each`, to the next call of `each`.
    """

    def __init__(self, part: Part, image: Image) -> None:
        flash = bytearray(b"\xff" * part.flash_bytes)
        for address, data in image.segments():
            start = address - part.flash_base
            flash[start : start + len(data)] = data
        self._sent = bytearray()
        self._part, self._symbols = part, _functions(image.elf)
        self._machine = Machine(part, flash, self._sent.extend)
        self.spans: list[int] = []
        self.between: list[int] = []
        self._watched = self._each = self._since = 0

    # -- the port of a link --------------------------------------------------------------------

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""
        return len(self._sent)

    def read(self, size: int = 1, /) -> bytes:
        """Up to size bytes; runs the machine while there is none and it does not wait."""
        while not self._sent:
            self._machine.run(_SLICE_CYCLES)
            if self._machine.state == "halted":
                self._at_breakpoint()
            elif self._machine.idle or self._machine.state != "running":
                break
        data = bytes(self._sent[:size])
        del self._sent[:size]
        return data

    def write(self, data: bytes, /) -> int:
        """Hand over everything, running the machine as it takes it."""
        left = data
        while left:
            left = left[self._machine.uart_in(left) :]
            if self._machine.state == "lockup":
                raise OSError("the emulated core is in lockup")
            if left:
                self._machine.run(_SLICE_CYCLES)
        return len(data)

    # -- breakpoints ---------------------------------------------------------------------------

    def watch(self, function: str, each: str = "") -> None:
        """Count from now on; calls of `each` count only behind an entry of the function."""
        self._watched = self._symbols[function]
        self._each = self._symbols[each] if each else 0
        self.spans, self.between = [], []
        self._machine.write(_DHCSR, 4, _RUN_DEBUGGED)
        self._machine.write(_FP_CTRL, 4, 3)
        self._stop_at(_ENTRY, self._watched)

    def _at_breakpoint(self) -> None:
        pc = self._machine.transfer_register(_PC, None) & ~1
        back = self._machine.transfer_register(_LR, None) & ~1
        now = self._machine.instructions
        if pc == self._watched:
            self._since = now
            self._stop_at(_ENTRY, self._each or back)
            self._stop_at(_RETURN, 0)
        elif pc == self._each:
            self.between.append(now - self._since)
            self._stop_at(_ENTRY, 0)
            self._stop_at(_RETURN, back)
        elif self._each:
            self._since = now
            self._stop_at(_ENTRY, self._each)
            self._stop_at(_RETURN, 0)
        else:
            self.spans.append(now - self._since)
            self._stop_at(_ENTRY, 0)
        self._machine.write(_DHCSR, 4, _RUN_DEBUGGED)

    def _stop_at(self, comparator: int, address: int) -> None:
        """Set a comparator; 0 frees it."""
        value = address | 1
        if self._part.breakpoint_revision == 1:
            value = address & 0x1FFFFFFC | 1 | (2 if address & 2 else 1) << 30
        self._machine.write(_FP_COMP + 4 * comparator, 4, value if address else 0)


def _functions(elf: bytes) -> dict[str, int]:
    """Addresses of the functions that are watched; BenchError when the image lacks one."""
    table = ELFFile(io.BytesIO(elf)).get_section_by_name(".symtab")
    wanted = ("tinyrack_run", "tinyrack_trace", "note")
    found = {
        s.name: int(s["st_value"]) & ~1
        for s in (table.iter_symbols() if table else ())
        if s.name in wanted and s["st_info"]["type"] == "STT_FUNC"
    }
    if missing := [name for name in wanted if name not in found]:
        raise BenchError(f"the image has no function {missing[0]}; instructions cannot be counted")
    return found
