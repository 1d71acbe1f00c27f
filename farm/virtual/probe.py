"""A pyOCD debug probe that reaches a virtual board through its daemon."""

# mypy: disallow-subclassing-any=False
# pyOCD has no usable types for mypy, so its base classes are Any here.

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import Any, TypeVar

from pyocd.board.board import Board
from pyocd.board.board_ids import BoardInfo
from pyocd.core import exceptions
from pyocd.core.memory_interface import MemoryInterface
from pyocd.probe.debug_probe import DebugProbe

from farm import targets
from farm.leases.lease import holder_of_virtual
from farm.virtual import rack
from farm.virtual.pipeline import Pending, Pipeline
from farm.virtual.rpc import (
    MAX_PAYLOAD_BYTES,
    AccessFaultError,
    BoardBusyError,
    BoardGoneError,
    Client,
    Op,
    ProtocolError,
    Reply,
    Request,
    RequestRefusedError,
    RpcError,
    WireSilentError,
)

VENDOR = "Tinyrack"
_DFSR, _DCRSR, _DCRDR = 0xE000_ED30, 0xE000_EDF4, 0xE000_EDF8
_POSTED = (_DFSR, _DCRSR, _DCRDR)  # pyOCD goes on at once, and such a write cannot fail
_T = TypeVar("_T")


class VirtualProbe(DebugProbe):
    """The debug port of one virtual board, while its daemon is up."""

    @classmethod
    def get_all_connected_probes(
        cls, unique_id: str | None = None, is_explicit: bool = False
    ) -> list[VirtualProbe]:
        """Every virtual board whose daemon answers and whose id contains `unique_id`."""
        del is_explicit  # the ids look the same with and without the prefix
        part = (unique_id or "").lower()
        return [cls(s) for s in rack.status() if s.probe_present and part in s.uid.lower()]

    @classmethod
    def get_probe_with_id(cls, unique_id: str, is_explicit: bool = False) -> VirtualProbe | None:
        """The virtual board with exactly this id, if its daemon answers."""
        del is_explicit
        try:
            found = rack.find(unique_id)
        except ValueError:  # no id of ours, some other probe's
            return None
        return cls(found) if found and found.probe_present else None

    def __init__(self, status: rack.DaemonStatus) -> None:
        super().__init__()
        self._status = status
        self._client: Client | None = None
        self._pipeline: Pipeline | None = None
        self._wire: DebugProbe.Protocol | None = None

    @property
    def vendor_name(self) -> str:
        """Who makes the probe."""
        return VENDOR

    @property
    def product_name(self) -> str:
        """What `pyocd list` shows: no silicon here."""
        return f"virtual board ({self._status.mcu})"

    @property
    def firmware_version(self) -> str:
        """The package that the board is emulated by."""
        return f"tinyrack {version('tinyrack')}"

    @property
    def unique_id(self) -> str:
        """The id that `-u` takes."""
        return self._status.uid

    @property
    def supported_wire_protocols(self) -> list[DebugProbe.Protocol]:
        """SWD only."""
        return [DebugProbe.Protocol.DEFAULT, DebugProbe.Protocol.SWD]

    @property
    def wire_protocol(self) -> DebugProbe.Protocol | None:
        """SWD between connect and disconnect, else None."""
        return self._wire

    @property
    def is_open(self) -> bool:
        """Whether this probe holds the board's debug port."""
        return self._client is not None

    @property
    def capabilities(self) -> set[DebugProbe.Capability]:
        """PyOCD itself drives the wire sequences and the SELECT register."""
        can = DebugProbe.Capability
        return {can.SWJ_SEQUENCE, can.BANKED_DP_REGISTERS, can.APv2_ADDRESSES}

    @property
    def associated_board_info(self) -> BoardInfo:
        """The board's name and pyOCD target."""
        name = f"virtual {self._status.mcu}"
        return BoardInfo(name=name, target=self._status.target, vendor=VENDOR)

    def create_associated_board(self) -> Board:
        """Without this pyOCD would fall back to a generic core."""
        targets.register()
        return Board(self.session, board_info=self.associated_board_info)

    def open(self) -> None:
        """Take the debug port; ProbeError when somebody else has it or holds the board."""
        held = holder_of_virtual(self.unique_id)
        if held is not None and held.pid != os.getpid():
            raise exceptions.ProbeError(f"{self.unique_id} is held by process {held.pid}")
        try:
            self._client = Client(self._status.socket)
        except BoardGoneError as error:
            raise exceptions.ProbeDisconnected(str(error)) from error
        self._pipeline = Pipeline(self._client)
        try:
            self._call(Request(Op.CLAIM))
        except exceptions.Error:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the debug port."""
        if self._client and self._pipeline:
            with contextlib.suppress(RpcError):  # whoever leaves hears of no late error
                self._pipeline.flush()
            self._client.close()
        self._client = self._pipeline = None
        self._wire = None

    def connect(self, protocol: DebugProbe.Protocol | None = None) -> None:
        """Use SWD; pyOCD sends the sequences itself."""
        if protocol not in (None, *self.supported_wire_protocols):
            raise exceptions.ProbeError(f"the virtual board {self.unique_id} has SWD only")
        self._wire = DebugProbe.Protocol.SWD

    def disconnect(self) -> None:
        """Leave the wire."""
        self._wire = None

    def swj_sequence(self, length: int, bits: int) -> None:
        """Send `length` bits, least significant first."""
        data = bits.to_bytes((length + 7) // 8, "little")
        self._call(Request(Op.SWJ, value=length, payload=data))

    def set_clock(self, frequency: float) -> None:
        """Nothing: there is no wire to be slow."""

    def reset(self) -> None:
        """Pulse nRST."""
        self.assert_reset(True)
        self.assert_reset(False)

    def assert_reset(self, asserted: bool) -> None:
        """Pull nRST low, or let it go."""
        self._call(Request(Op.NRST, value=int(asserted)))

    def is_reset_asserted(self) -> bool:
        """Whether nRST is low."""
        return bool(self._call(Request(Op.NRST_STATE)).value)

    def read_dp(self, addr: int, now: bool = True) -> int | Callable[[], int]:
        """A DP register, or with `now` False a callable for it."""
        return _now_or_later(lambda: self._call(Request(Op.DP_READ, addr)).value, now)

    def write_dp(self, addr: int, data: int) -> None:
        """Set a DP register."""
        self._call(Request(Op.DP_WRITE, addr, data))

    def read_ap(self, addr: int, now: bool = True) -> int | Callable[[], int]:
        """An AP register of the AP and bank that SELECT holds."""
        return _now_or_later(lambda: self._read_ap(addr, 1)[0], now)

    def write_ap(self, addr: int, data: int) -> None:
        """Set an AP register of the AP and bank that SELECT holds."""
        self.write_ap_multiple(addr, [data])

    def read_ap_multiple(
        self, addr: int, count: int = 1, now: bool = True
    ) -> list[int] | Callable[[], list[int]]:
        """One AP register, `count` times."""
        return _now_or_later(lambda: self._read_ap(addr, count), now)

    def write_ap_multiple(self, addr: int, values: Sequence[int]) -> None:
        """Each value to one AP register."""
        for start, count in _chunks(len(values) * 4):
            some = values[start // 4 : (start + count) // 4]
            payload = struct.pack(f"<{len(some)}I", *some)
            self._call(Request(Op.AP_WRITE, addr & 0xC, payload=payload))

    def get_memory_interface_for_ap(self, ap_address: Any) -> BoardMemory | None:
        """Whole blocks in one message, for the access port that reaches memory."""
        reaches = ap_address.nominal_address == 0
        return BoardMemory(self._call, self._post) if reaches else None

    def flush(self) -> None:
        """Have done what still waits."""
        with self._lock:
            if self._pipeline:
                try:
                    self._pipeline.flush()
                except RpcError as error:
                    raise self._as_pyocd(error, Request(Op.BATCH)) from error

    def _read_ap(self, addr: int, count: int) -> list[int]:
        words: list[int] = []
        for _, size in _chunks(count * 4):
            reply = self._call(Request(Op.AP_READ, addr & 0xC, size // 4))
            words += struct.unpack(f"<{size // 4}I", reply.payload)
        return words

    def _call(self, request: Request) -> Reply:
        """The reply to a request; what goes wrong becomes what pyOCD knows how to handle."""
        with self._lock:
            try:
                return self._open_pipeline().call(request)
            except RpcError as error:
                raise self._as_pyocd(error, request) from error

    def _post(self, request: Request) -> Callable[[], Reply]:
        """A request that may wait for the next one; and a function for its reply."""
        with self._lock:
            try:
                pending = self._open_pipeline().post(request)
            except RpcError as error:
                raise self._as_pyocd(error, request) from error
        return lambda: self._result(pending)

    def _result(self, pending: Pending) -> Reply:
        with self._lock:
            try:
                return pending.result()
            except RpcError as error:
                raise self._as_pyocd(error, pending.request) from error

    def _open_pipeline(self) -> Pipeline:
        if self._pipeline is None:
            raise exceptions.ProbeDisconnected(f"probe {self.unique_id} is not open")
        return self._pipeline

    def _as_pyocd(self, error: RpcError, request: Request) -> exceptions.Error:
        text = f"virtual board {self.unique_id}: {error}"
        match error:
            case AccessFaultError():
                length = request.size or len(request.payload) or request.value
                return exceptions.TransferFaultError(fault_address=error.address, length=length)
            case WireSilentError():
                return exceptions.TransferProtocolError(text)
            case BoardGoneError() | ProtocolError():
                return exceptions.ProbeDisconnected(text)
            case BoardBusyError():
                return exceptions.ProbeError(text)
            case RequestRefusedError() if request.op is Op.CLAIM:
                return exceptions.ProbeError(text)
            case _:
                return exceptions.TransferError(text)


class BoardMemory(MemoryInterface):
    """The board's memory in blocks of bytes. Attributes such as `csw` change nothing here."""

    def __init__(
        self,
        call: Callable[[Request], Reply],
        post: Callable[[Request], Callable[[], Reply]],
    ) -> None:
        self._call, self._post = call, post

    def read_memory(
        self, addr: int, transfer_size: int = 32, now: bool = True, **_: object
    ) -> int | Callable[[], int]:
        """One value of 8, 16 or 32 bits."""
        request = Request(Op.MEM_READ, addr, size=transfer_size // 8)
        if now:
            return self._call(request).value
        reply = self._post(request)
        return lambda: reply().value

    def write_memory(self, addr: int, data: int, transfer_size: int = 32, **_: object) -> None:
        """Store one value of 8, 16 or 32 bits."""
        request = Request(Op.MEM_WRITE, addr, data, size=transfer_size // 8)
        (self._post if addr in _POSTED else self._call)(request)

    def read_memory_block32(self, addr: int, size: int, **_: object) -> list[int]:
        """`size` words."""
        return list(struct.unpack(f"<{size}I", self._read(addr, size * 4)))

    def write_memory_block32(self, addr: int, data: Sequence[int], **_: object) -> None:
        """Store words."""
        self._write(addr, struct.pack(f"<{len(data)}I", *data))

    def read_memory_block8(self, addr: int, size: int, **_: object) -> list[int]:
        """`size` bytes."""
        return list(self._read(addr, size))

    def write_memory_block8(self, addr: int, data: Sequence[int], **_: object) -> None:
        """Store bytes."""
        self._write(addr, bytes(data))

    def _read(self, addr: int, count: int) -> bytes:
        requests = (Request(Op.BLOCK_READ, addr + at, size) for at, size in _chunks(count))
        return b"".join(self._call(request).payload for request in requests)

    def _write(self, addr: int, data: bytes) -> None:
        for at, size in _chunks(len(data)):
            self._call(Request(Op.BLOCK_WRITE, addr + at, payload=data[at : at + size]))


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    """(offset, size) of the messages that carry `count` bytes."""
    for start in range(0, count, MAX_PAYLOAD_BYTES):
        yield start, min(MAX_PAYLOAD_BYTES, count - start)


def _now_or_later(read: Callable[[], _T], now: bool) -> _T | Callable[[], _T]:
    """The value, or a callable for it: pyOCD collects several reads before it looks at one.

    The read itself is not put off, so that a later write does not overtake it.
    """
    if now:
        return read()
    try:
        value = read()
    except exceptions.TransferError as error:
        return _raiser(error)
    return lambda: value


def _raiser(error: exceptions.TransferError) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail
