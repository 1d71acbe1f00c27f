"""What a virtual board's daemon answers: requests in, replies out, over one machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from struct import pack, unpack
from typing import Any, Literal, Protocol

from farm.virtual.bus import BusFault
from farm.virtual.dap import Bus, DebugPort, LinkFaultError, NoAcknowledgeError
from farm.virtual.faults_engine import FaultEngine
from farm.virtual.faults_link import ProbeState
from farm.virtual.faults_rpc import perform
from farm.virtual.rpc import (
    MAX_PAYLOAD_BYTES,
    Op,
    ProtocolError,
    Reply,
    Request,
    Status,
    take_all_requests,
)

_ADDRESS_LIMIT = 1 << 32
_SWJ_LIMIT_BITS = 256
_OFF, _ON, _CYCLE = _SWITCH = (0, 1, 2)
_READS = (Op.DP_READ, Op.AP_READ, Op.NRST_STATE, Op.MEM_READ, Op.BLOCK_READ)
_PROBE_ALONE = (Op.SWJ, Op.NRST, Op.NRST_STATE)  # what works on a board without power


class Board(Bus, Protocol):
    """The machine behind the debug port."""

    @property
    def state(self) -> Literal["running", "halted", "lockup"]:
        """What the core does."""
        ...

    @property
    def cycles(self) -> int:
        """Core cycles since power-up."""
        ...

    @property
    def instructions(self) -> int:
        """Instructions retired since power-up."""
        ...

    def read_block(self, addr: int, n: int) -> bytes:
        """`n` bytes of plain memory; BusFault where it is not plain memory."""
        ...

    def write_block(self, addr: int, data: bytes) -> None:
        """Store into plain memory; BusFault where it is not plain memory."""
        ...

    def hold_reset(self, asserted: bool) -> None:
        """Drive nRST."""
        ...

    def power_cycle(self) -> None:
        """Cut the power and give it back: memory contents lost, flash kept."""
        ...


@dataclass(eq=False)
class Caller:
    """One connected client; `pid` is what the kernel says of its process.

    unplugged: its probe was, since its claim; plugged in again, it is another one to the client.
    """

    pid: int
    unplugged: bool = False


@dataclass
class Service:
    """Answers requests; at most one caller holds the debug port at a time."""

    board: Board
    port: DebugPort
    facts: Mapping[str, Any]  # what STATUS reports besides the board's state
    on_power_cut: Callable[[], None] = lambda: None
    probe: ProbeState = field(default_factory=ProbeState)
    faults: FaultEngine | None = None
    powered: bool = True
    holder: Caller | None = None
    stopping: bool = False
    in_reset: bool = False
    _handlers: dict[Op, Callable[[Request], Reply]] = field(init=False)

    def __post_init__(self) -> None:
        self._handlers = {
            Op.DP_READ: self._read_dp,
            Op.DP_WRITE: self._write_dp,
            Op.AP_READ: self._read_ap,
            Op.AP_WRITE: self._write_ap,
            Op.SWJ: self._swj,
            Op.NRST: self._drive_reset,
            Op.NRST_STATE: lambda _: Reply(value=int(self.in_reset)),
            Op.MEM_READ: self._read,
            Op.MEM_WRITE: self._write,
            Op.BLOCK_READ: self._read_block,
            Op.BLOCK_WRITE: self._write_block,
        }

    def answer(self, request: Request, caller: Caller) -> Reply:
        """The reply to one request of one caller."""
        if request.op is Op.STATUS:
            return Reply(payload=json.dumps(self.status()).encode())
        if request.op is Op.FAULT:
            return perform(self.faults, request.payload)
        if request.op is Op.BATCH:
            return self._answer_all(request, caller)
        return self._answer_one(request, caller)

    def _answer_one(self, request: Request, caller: Caller) -> Reply:
        if self.holder not in (None, caller) and not _forced_shutdown(request):
            return Reply(Status.BUSY, payload=self._who().encode())
        if request.op is Op.SHUTDOWN:
            self.stopping = True
            return Reply()
        if request.op is Op.POWER:
            return self._switch_power(request)
        return self._through_probe(request, caller)

    def delay_s(self, op: Op) -> float:
        """How long a slow probe keeps the reply."""
        probed = op in self._handlers or op in (Op.CLAIM, Op.BATCH)
        return self.probe.slow_s if probed else 0.0

    def hung_up(self, caller: Caller) -> None:
        """Free what a caller that went away held; its probe no longer pulls nRST."""
        if self.holder is caller:
            self.holder = None
            self._reset_line(asserted=False)

    def status(self) -> dict[str, Any]:
        """What STATUS reports, as JSON values."""
        return {
            **self.facts,
            "state": self.board.state if self.powered else "off",
            "probe_present": self.probe.present,
            **self._fault_facts(),
            "cycles": self.board.cycles,
            "instructions": self.board.instructions,
            "holder_pid": self.holder.pid if self.holder else None,
        }

    def _fault_facts(self) -> dict[str, Any]:
        if self.faults is None:
            return {}
        shown = [str(each.fault) for each in self.faults.active()]
        return {"faults": shown, "core_hz": self.faults.core_hz}

    # -- power -------------------------------------------------------------------------------

    @property
    def runs(self) -> bool:
        """Whether the board has power and nobody holds it in reset."""
        return self.powered and not self.in_reset

    def power_off(self) -> None:
        """Take the board's supply away; its probe has its own."""
        if self.powered:
            self.powered = False
            self.port.power_on_reset()
            self.on_power_cut()
            if self.faults:
                self.faults.power_went()

    def power_on(self) -> None:
        """Give the supply back: RAM holds noise, flash what it had."""
        if not self.powered:
            self.board.power_cycle()
            self.powered = True
            if self.in_reset:
                self.board.hold_reset(True)
            if self.faults:
                self.faults.power_came()

    def _switch_power(self, request: Request) -> Reply:
        if request.value not in _SWITCH:
            return Reply(Status.REFUSED, payload=b"power is 0 (off), 1 (on) or 2 (off and on)")
        if request.value != _ON:
            self.power_off()
        if request.value != _OFF:
            self.power_on()
        return Reply()

    # -- what the event loop tells the faults --------------------------------------------------

    def settle(self) -> None:
        """Do what faults have become due."""
        if self.faults:
            self.faults.settle()

    @property
    def due_s(self) -> float | None:
        """When `settle` has something to do, by time.monotonic()."""
        return self.faults.due_s if self.faults else None

    def receivable(self, data: bytes) -> bytes:
        """The bytes that may reach the UART before a fault is due."""
        return self.faults.receivable(data) if self.faults else data

    def received(self, count: int) -> None:
        """So many bytes have reached the UART."""
        if self.faults:
            self.faults.received(count)

    # -- requests ------------------------------------------------------------------------------

    def _answer_all(self, request: Request, caller: Caller) -> Reply:
        """One by one; behind a write that failed nothing more is done."""
        try:
            requests = take_all_requests(request.payload)
        except ProtocolError as error:
            return Reply(Status.REFUSED, payload=str(error).encode())
        replies = b""
        for each in requests:
            reply = self.answer(each, caller)
            replies += reply.encode()
            if reply.status is not Status.OK and each.op not in _READS:
                break
        if len(replies) > MAX_PAYLOAD_BYTES:
            return Reply(Status.REFUSED, payload=b"the replies do not fit one message")
        return Reply(payload=replies)

    def _through_probe(self, request: Request, caller: Caller) -> Reply:
        if self.faults:
            self.faults.requested()
        lost = self.probe.take_drop()
        if lost and self.holder:
            self.holder.unplugged = True
            self.hung_up(self.holder)
        if not self.probe.present or (caller.unplugged and request.op is not Op.CLAIM):
            return Reply(Status.GONE)
        if request.op is Op.CLAIM:
            return self._claim(caller)
        if self.holder is not caller:
            return Reply(Status.REFUSED, payload=b"claim the debug port first")
        return self._perform(request)

    def _claim(self, caller: Caller) -> Reply:
        if self.probe.refuses():
            return Reply(Status.REFUSED, payload=b"the probe cannot be opened")
        self.holder, caller.unplugged = caller, False
        return Reply()

    def _perform(self, request: Request) -> Reply:
        if not self.powered and request.op not in _PROBE_ALONE:
            return Reply(Status.NO_ACK)
        try:
            return self._handlers[request.op](request)
        except NoAcknowledgeError:
            return Reply(Status.NO_ACK)
        except LinkFaultError as fault:
            return Reply(Status.FAULT, fault.address or request.address)
        except BusFault as fault:
            return Reply(Status.FAULT, fault.address % _ADDRESS_LIMIT)
        except _NonsenseError as nonsense:
            return Reply(Status.REFUSED, payload=str(nonsense).encode())

    def _who(self) -> str:
        pid = self.holder.pid if self.holder else 0
        return f"process {pid} is using the debug port of {self.facts['uid']}"

    def _read_dp(self, request: Request) -> Reply:
        return Reply(value=self.port.read_dp(request.address & 0xC))

    def _write_dp(self, request: Request) -> Reply:
        self.port.write_dp(request.address & 0xC, request.value)
        return Reply()

    def _read_ap(self, request: Request) -> Reply:
        if request.value * 4 > MAX_PAYLOAD_BYTES:
            raise _NonsenseError(f"{request.value} words do not fit one reply")
        words = self.port.read_ap(request.address & 0xC, request.value)
        return Reply(payload=pack(f"<{len(words)}I", *words))

    def _write_ap(self, request: Request) -> Reply:
        if len(request.payload) % 4:
            raise _NonsenseError("a write of whole words needs a multiple of 4 bytes")
        words = unpack(f"<{len(request.payload) // 4}I", request.payload)
        self.port.write_ap(request.address & 0xC, words)
        return Reply()

    def _swj(self, request: Request) -> Reply:
        length = request.value
        if not self.powered:
            return Reply()
        if length > _SWJ_LIMIT_BITS or len(request.payload) * 8 < length:
            raise _NonsenseError(f"a sequence of {length} bits does not match its payload")
        self.port.swj_sequence(length, int.from_bytes(request.payload, "little"))
        return Reply()

    def _drive_reset(self, request: Request) -> Reply:
        self._reset_line(asserted=bool(request.value))
        return Reply()

    def _reset_line(self, *, asserted: bool) -> None:
        if asserted != self.in_reset:
            self.in_reset = asserted
            if self.powered:
                self.board.hold_reset(asserted)

    def _read(self, request: Request) -> Reply:
        self._check_access(request)
        return Reply(value=self.board.read(request.address, request.size))

    def _write(self, request: Request) -> Reply:
        self._check_access(request)
        value = request.value & (1 << 8 * request.size) - 1
        self.board.write(request.address, request.size, value)
        return Reply()

    def _read_block(self, request: Request) -> Reply:
        self._check_range(request.address, request.value)
        try:
            return Reply(payload=self.board.read_block(request.address, request.value))
        except BusFault:  # not plain memory: access by access, as the access port would
            steps = _accesses(request.address, request.value)
            parts = [self.board.read(at, size).to_bytes(size, "little") for at, size in steps]
            return Reply(payload=b"".join(parts))

    def _write_block(self, request: Request) -> Reply:
        address, data = request.address, request.payload
        self._check_range(address, len(data))
        try:
            self.board.write_block(address, data)
        except BusFault:
            for at, size in _accesses(address, len(data)):
                start = at - address
                value = int.from_bytes(data[start : start + size], "little")
                self.board.write(at, size, value)
        return Reply()

    def _check_access(self, request: Request) -> None:
        if request.size not in (1, 2, 4) or request.address % request.size:
            raise _NonsenseError(f"no access of {request.size} bytes at {request.address:#x}")
        self._check_range(request.address, request.size)

    def _check_range(self, address: int, count: int) -> None:
        if count > MAX_PAYLOAD_BYTES or address + count > _ADDRESS_LIMIT:
            raise _NonsenseError(f"no block of {count} bytes at {address:#x}")
        if not self.port.connected:
            raise NoAcknowledgeError


class _NonsenseError(Exception):
    """A request whose fields do not fit together."""


def _forced_shutdown(request: Request) -> bool:
    return request.op is Op.SHUTDOWN and not request.value


def _accesses(address: int, count: int) -> list[tuple[int, int]]:
    """(address, size) of the fewest aligned accesses that cover a block."""
    steps = []
    end = address + count
    while address < end:
        size = next(n for n in (4, 2, 1) if address % n == 0 and address + n <= end)
        steps.append((address, size))
        address += size
    return steps
