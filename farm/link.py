"""Link: what the host asks a harness over its console, each exchange within a deadline.

Every request may be repeated, so a lost or damaged frame costs a bounded number of retries;
see farm/firmware/protocol.h for the requests.
"""

import secrets
import struct
import time
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from farm.banner import NONCE_BYTES, Banner, parse_banner
from farm.board_clock import ClockMark
from farm.errors import BenchError
from farm.frame import PAYLOAD_BYTES, VERSION, Frame, Splitter, Status, encode

ATTEMPTS = 4
EXCHANGE_S = 5.0  # for a request that computes nothing
HELLO_S = 0.25  # how often a board that may still be booting is asked
WORDS_LIMIT = PAYLOAD_BYTES // 4
LOAD_BYTES = PAYLOAD_BYTES - 4
_REPLY = 0x80
_LOST_INPUT = (  # `load` ended well, so it had it; a reset alone leaves it where it is
    " (it no longer has the input that it took: it was without power in between, or its memory "
    "changed); check its supply, and measure again"
)
_FAULT = 0xFF


class Command(IntEnum):
    """The requests; the numbers of enum protocol_kind."""

    HELLO = 1
    LOAD = 2
    RUN = 3
    READ = 4
    TIME = 5
    TRACE = 6
    STACK = 7
    CLOCK = 8


class Port(Protocol):
    """The part of a pyserial port that a link needs; read() waits only a short time."""

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""

    def read(self, size: int = 1, /) -> bytes:
        """Up to size bytes, none when none came in the port's own short time-out."""

    def write(self, data: bytes, /) -> int | None:
        """Send the bytes."""


@dataclass(frozen=True)
class Run:
    """One inference: its cycles (caches empty before it if cold) and its output."""

    cycles: int
    output: bytes


@dataclass(frozen=True)
class StackDepth:
    """One painted run: bytes used from the top, and bytes left untouched below them."""

    used_bytes: int
    intact_bytes: int


class Link:
    """The harness on one board; every method raises BenchError when it does not answer well.

    `exchange_s` bounds each request that computes nothing.
    """

    def __init__(self, port: Port, board_id: str = "", exchange_s: float = EXCHANGE_S) -> None:
        self._port, self._board_id, self._exchange_s = port, board_id, exchange_s
        self._splitter = Splitter()
        self._arrived: deque[Frame] = deque()
        self._early_fault: Frame | None = None
        self._sequence = 0
        self.retries = 0
        self._input_crc = 0

    @property
    def damaged_frames(self) -> int:
        """How many damaged frames have arrived so far."""
        return self._splitter.damaged

    def banner(self, deadline_s: float = 5.0) -> Banner:
        """Wait until the harness says who it is; asks again all the time, as it may be booting."""
        attempts = max(ATTEMPTS, int(deadline_s / HELLO_S))
        nonce = secrets.token_bytes(NONCE_BYTES)
        try:
            return parse_banner(self._ask(Command.HELLO, nonce, deadline_s, attempts, nonce))
        except ValueError as error:
            raise self._error(f"its banner makes no sense: {error}") from error

    def infer(self, data: bytes, deadline_s: float = 10.0, *, cold: bool = False) -> bytes:
        """The network's outputs for these inputs, each behind the one before it."""
        self.load(data)
        return self.run(self.banner().output_bytes, deadline_s, cold=cold).output

    def load(self, data: bytes) -> None:
        """Put the inputs into the board's memory; later requests name them by their CRC."""
        for offset in range(0, len(data), LOAD_BYTES):
            part = data[offset : offset + LOAD_BYTES]
            words = self._words(Command.LOAD, struct.pack("<I", offset) + part, self._exchange_s, 2)
            if words != (offset, len(part)):
                raise self._error(f"it took {words} for {len(part)} bytes of input at {offset}")
        self._input_crc = zlib.crc32(data)

    def run(self, output_bytes: int, deadline_s: float, *, cold: bool) -> Run:
        """One inference on the loaded input; output_bytes is what the banner says."""
        request = struct.pack("<II", self._input_crc, int(cold))
        cycles, crc = self._words(Command.RUN, request, deadline_s, 2)
        output = b"".join(
            self._read(offset, min(PAYLOAD_BYTES, output_bytes - offset))
            for offset in range(0, output_bytes, PAYLOAD_BYTES)
        )
        if zlib.crc32(output) != crc:
            raise self._error("the output changed while it was read; measure again")
        return Run(cycles, output)

    def time(self, count: int, deadline_s: float, *, warm: int = 1) -> tuple[int, ...]:
        """Cycles of `count` inferences (1..61), behind `warm` (0..16) that are not timed."""
        request = struct.pack("<III", self._input_crc, warm, count)
        return self._words(Command.TIME, request, deadline_s, count)

    def trace(self, layer_count: int, deadline_s: float) -> tuple[int, ...]:
        """Cycles of each layer, in a pass of its own for every 61 layers."""
        ends_at = time.monotonic() + deadline_s
        cycles: tuple[int, ...] = ()
        while len(cycles) < layer_count:
            count = min(WORDS_LIMIT, layer_count - len(cycles))
            request = struct.pack("<III", self._input_crc, len(cycles), count)
            cycles += self._words(Command.TRACE, request, ends_at - time.monotonic(), count)
        return cycles

    def stack(self, deadline_s: float) -> tuple[StackDepth, StackDepth]:
        """The stack's depth in two inferences, painted with a pattern and with its complement."""
        request = struct.pack("<I", self._input_crc)
        words = self._words(Command.STACK, request, deadline_s, 4)
        return StackDepth(*words[:2]), StackDepth(*words[2:])

    def clock(self, marks: int, spacing_cycles: int, deadline_s: float) -> tuple[ClockMark, ...]:
        """Marks (2..64) that the harness sends every spacing_cycles, with the host's time."""
        request = struct.pack("<II", marks, spacing_cycles)
        ends_at = time.monotonic() + deadline_s
        found: list[ClockMark] = []
        for attempt in range(ATTEMPTS):
            self.retries += attempt > 0
            self._next_sequence()  # marks of a series given up must not mix with those of the next
            self._send(Command.CLOCK, request)
            left_s = ends_at - time.monotonic()
            found = self._marks(marks, ends_at - left_s + left_s / (ATTEMPTS - attempt))
            if len(found) == marks:
                return tuple(found)
        raise self._error(f"only {len(found)} of {marks} clock marks came in {deadline_s:.1f} s")

    def _marks(self, marks: int, ends_at: float) -> list[ClockMark]:
        """The marks of one series, up to the first one that is missing."""
        found: list[ClockMark] = []
        while len(found) < marks:
            frame = self._reply(Command.CLOCK, ends_at)
            if frame is None or frame.status == Status.DAMAGED:
                break
            index, cycles = self._unpack(self._payload(Command.CLOCK, frame), 2, Command.CLOCK)
            if index != len(found):
                break
            found.append(ClockMark(cycles, time.monotonic()))
        return found

    def _read(self, offset: int, count: int) -> bytes:
        request = struct.pack("<II", offset, count)
        data = self._ask(Command.READ, request, self._exchange_s)
        if len(data) != count:
            raise self._error(f"it sent {len(data)} bytes of output at {offset}, not {count}")
        return data

    def _words(
        self, command: Command, request: bytes, deadline_s: float, count: int
    ) -> tuple[int, ...]:
        return self._unpack(self._ask(command, request, deadline_s), count, command)

    def _unpack(self, payload: bytes, count: int, command: Command) -> tuple[int, ...]:
        if len(payload) != 4 * count:
            raise self._error(f"it answered {command.name} with {len(payload)} bytes")
        return struct.unpack(f"<{count}I", payload)

    def _ask(
        self,
        command: Command,
        request: bytes,
        deadline_s: float,
        attempts: int = ATTEMPTS,
        beginning: bytes = b"",
    ) -> bytes:
        """The reply's payload. All attempts share the deadline evenly; BenchError past it.

        A late reply to an earlier attempt is as good, so all have the same sequence number.
        """
        ends_at = time.monotonic() + deadline_s
        self._next_sequence()
        for attempt in range(attempts):
            left_s = ends_at - time.monotonic()
            if left_s <= 0:
                break
            self.retries += attempt > 0
            self._send(command, request)
            attempt_ends_at = ends_at - left_s + left_s / (attempts - attempt)
            frame = self._reply(command, attempt_ends_at, beginning)
            if frame is not None and frame.status != Status.DAMAGED:
                return self._payload(command, frame)
        raise self._no_answer(command, deadline_s)

    def _no_answer(self, command: Command, deadline_s: float) -> BenchError:
        if self._early_fault:
            return self._fault(self._early_fault)
        return self._error(
            f"no answer to {command.name} in {deadline_s:.1f} s "
            f"({self.damaged_frames} damaged frames); check the console and reset the board"
        )

    def _next_sequence(self) -> None:
        self._sequence = self._sequence % 255 + 1  # 0 is what a damaged request is answered with

    def _send(self, command: Command, request: bytes) -> None:
        # The zero in front ends whatever part of a frame the board may still hold.
        data = b"\0" + encode(Frame(command, self._sequence, request))
        try:
            self._port.write(data)
        except OSError as error:
            raise self._error(f"the console cannot be written: {error}") from error

    def _reply(self, command: Command, ends_at: float, beginning: bytes = b"") -> Frame | None:
        """The reply to the last request, or the word that it arrived damaged; None when late.

        Only a reply with that beginning counts, if it is one at all. What else arrives is left
        over from an earlier exchange.
        """
        while self._arrived or time.monotonic() < ends_at:
            self._arrived.extend(self._splitter.feed(self._receive()) if not self._arrived else ())
            while self._arrived:
                frame = self._arrived.popleft()
                self._note_fault(command, frame)
                is_reply = (frame.kind, frame.sequence) == (command | _REPLY, self._sequence)
                if is_reply and (frame.status or frame.payload.startswith(beginning)):
                    return frame
                if frame.kind == _REPLY and frame.status == Status.DAMAGED:
                    return frame
        return None

    def _note_fault(self, command: Command, frame: Frame) -> None:
        """Raise a fault of the core; before the banner it may be that of an earlier image."""
        if frame.kind == _FAULT and command == Command.HELLO:
            self._early_fault = frame
        elif frame.kind == _FAULT:
            raise self._fault(frame)

    def _receive(self) -> bytes:
        try:
            return self._port.read(max(1, self._port.in_waiting))
        except OSError as error:
            raise self._error(f"the console is gone: {error}; is the board connected?") from error

    def _payload(self, command: Command, frame: Frame) -> bytes:
        if frame.version != VERSION:
            raise self._error(f"it speaks protocol version {frame.version}, this is {VERSION}")
        if frame.status not in (Status.OK, Status.MORE):
            names = {status.value: status.name for status in Status}
            why = names.get(frame.status, str(frame.status))
            more = _LOST_INPUT if frame.status == Status.BAD_INPUT else ""
            raise self._error(f"it refused {command.name}: {why.lower().replace('_', ' ')}{more}")
        return frame.payload

    def _fault(self, frame: Frame) -> BenchError:
        words = _padded_words(frame.payload, 6)
        names = ("CFSR", "HFSR", "BFAR", "SP", "PC", "LR")
        shown = ", ".join(f"{name} {word:#010x}" for name, word in zip(names, words, strict=True))
        return self._error(f"the core faulted ({shown}); reset it and measure again")

    def _error(self, problem: str) -> BenchError:
        return BenchError(
            f"the harness on {self._board_id or 'the board'}: {problem}", self._board_id
        )


def _padded_words(payload: bytes, count: int) -> Sequence[int]:
    return struct.unpack(f"<{count}I", payload[: 4 * count].ljust(4 * count, b"\0"))
