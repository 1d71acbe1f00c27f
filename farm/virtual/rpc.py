"""The binary protocol between a virtual board's daemon and its clients, over a unix socket.

A request is a 16-byte header and a payload, a reply a 12-byte header and a payload, both little
endian. Payloads are bounded; whatever does not parse ends the connection.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from types import TracebackType

MAGIC = 0x5452
MAX_PAYLOAD_BYTES = 64 * 1024
_REQUEST = struct.Struct("<HBBIII")  # magic, op, size, address, value, payload bytes
_REPLY = struct.Struct("<HBxII")  # magic, status, value, payload bytes


class Op(IntEnum):
    """What a client can ask for; those from DP_READ to BLOCK_WRITE need the debug port claimed."""

    STATUS = 1  # -> JSON
    CLAIM = 2  # take the debug port until this connection closes
    SHUTDOWN = 3  # value 1: only if nobody has claimed the debug port
    DP_READ = 16  # address -> value
    DP_WRITE = 17  # address, value
    AP_READ = 18  # address, value = count -> words
    AP_WRITE = 19  # address, words
    SWJ = 20  # value = bits, the bits
    NRST = 21  # value 1 asserts, 0 releases
    NRST_STATE = 22  # -> value
    MEM_READ = 23  # address, size 1, 2, 4 -> value
    MEM_WRITE = 24  # address, size, value
    BLOCK_READ = 25  # address, value = byte count -> bytes
    BLOCK_WRITE = 26  # address, bytes
    BATCH = 27  # requests one behind the other -> their replies, up to a write that failed
    POWER = 32  # value 0 off, 1 on, 2 off and on; needs nobody else's claim
    FAULT = 33  # JSON of `faults_rpc` -> JSON; whoever holds the port


class Status(IntEnum):
    """How a request went."""

    OK = 0
    FAULT = 1  # the debug port or the bus answered FAULT; value = the memory address
    NO_ACK = 2  # nobody answered on the wire
    BUSY = 3  # another client holds the debug port; payload says who
    REFUSED = 4  # the request makes no sense; payload says why
    GONE = 5  # the probe is unplugged


_UNPLUGGED = "its probe is unplugged"
_OPS = frozenset(map(int, Op))
_STATUSES = frozenset(map(int, Status))


class RpcError(Exception):
    """A request to a virtual board failed."""


class ProtocolError(RpcError):
    """The other side sent bytes that are no message."""


class BoardGoneError(RpcError):
    """The daemon is not there, went away, or did not answer in time."""


class BoardBusyError(RpcError):
    """Another client holds the debug port."""


class AccessFaultError(RpcError):
    """The debug port or the bus answered FAULT at `address`."""

    def __init__(self, address: int) -> None:
        super().__init__(f"fault at {address:#010x}")
        self.address = address


class WireSilentError(RpcError):
    """Nobody answered on the wire."""


class RequestRefusedError(RpcError):
    """The daemon understood the request and refused it."""


@dataclass(frozen=True)
class Request:
    """One thing asked; which fields count is said at `Op`."""

    op: Op
    address: int = 0
    value: int = 0
    payload: bytes = b""
    size: int = 0

    def encode(self) -> bytes:
        """The request as bytes on the socket."""
        header = _REQUEST.pack(
            MAGIC, self.op, self.size, self.address, self.value, len(self.payload)
        )
        return header + self.payload


@dataclass(frozen=True)
class Reply:
    """The answer to one request."""

    status: Status = Status.OK
    value: int = 0
    payload: bytes = b""

    def encode(self) -> bytes:
        """The reply as bytes on the socket."""
        return _REPLY.pack(MAGIC, self.status, self.value, len(self.payload)) + self.payload


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """The process and the user at the other end of a unix socket, as the kernel tells."""
    size = struct.calcsize("3i")
    found = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return found[0], found[1]


def take_request(buffer: bytearray) -> Request | None:
    """The first whole request of `buffer`, which it leaves; None while it is still incomplete.

    Raises ProtocolError when the bytes are no request of ours.
    """
    if len(buffer) < _REQUEST.size:
        return None
    magic, op, size, address, value, length = _REQUEST.unpack_from(buffer)
    _check_header(magic, length)
    if op not in _OPS:
        raise ProtocolError(f"unknown operation {op}")
    end = _REQUEST.size + length
    if len(buffer) < end:
        return None
    payload = bytes(buffer[_REQUEST.size : end])
    del buffer[:end]
    return Request(Op(op), address, value, payload, size)


def take_all_requests(payload: bytes) -> list[Request]:
    """The requests of a BATCH; ProtocolError when they are not whole, or one is no probe's."""
    buffer, found = bytearray(payload), []
    while buffer:
        request = take_request(buffer)
        if request is None or not Op.DP_READ <= request.op <= Op.BLOCK_WRITE:
            raise ProtocolError("a batch holds something else than requests of a probe")
        found.append(request)
    return found


def take_reply(buffer: bytearray) -> Reply | None:
    """The first whole reply of `buffer`, as `take_request`."""
    if len(buffer) < _REPLY.size:
        return None
    magic, status, value, length = _REPLY.unpack_from(buffer)
    _check_header(magic, length)
    if status not in _STATUSES:
        raise ProtocolError(f"unknown status {status}")
    end = _REPLY.size + length
    if len(buffer) < end:
        return None
    payload = bytes(buffer[_REPLY.size : end])
    del buffer[:end]
    return Reply(Status(status), value, payload)


def _check_header(magic: int, length: int) -> None:
    if magic != MAGIC:
        raise ProtocolError(f"a message starts with {magic:#06x} instead of {MAGIC:#06x}")
    if length > MAX_PAYLOAD_BYTES:
        raise ProtocolError(f"a payload of {length} bytes, over the limit of {MAX_PAYLOAD_BYTES}")


class Client:
    """A connection to one daemon; each call has `deadline_s` to be answered."""

    def __init__(self, path: str | Path, deadline_s: float = 10.0) -> None:
        self._deadline_s = deadline_s
        self._broken = ""  # why the connection is of no use any more
        self._buffer = bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(deadline_s)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise BoardGoneError(
                f"no daemon answers at {path}: {error.strerror or error}"
            ) from error
        if peer_of(self._socket)[1] != os.getuid():
            self._socket.close()
            raise BoardGoneError(f"what answers at {path} belongs to another user")

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; the daemon lets go of whatever this connection had claimed."""
        self._socket.close()

    def call(self, request: Request) -> Reply:
        """The OK reply to `request`; every other status becomes its RpcError.

        After BoardGoneError or ProtocolError the connection is closed.
        """
        if self._broken:
            raise BoardGoneError(self._broken)
        try:
            reply = self._exchange(request)
        except ProtocolError:
            self._break("the board's daemon has sent nonsense")
            raise
        except OSError as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            self._break(f"the connection to the board's daemon broke: {reason}")
            raise BoardGoneError(self._broken) from error
        return self.checked(reply)

    def checked(self, reply: Reply) -> Reply:
        """The reply if it is OK; every other status becomes its RpcError."""
        if reply.status is Status.GONE:
            self._break(_UNPLUGGED)
        if reply.status is not Status.OK:
            raise _as_error(reply)
        return reply

    def _break(self, why: str) -> None:
        self._broken = why
        self.close()

    def _exchange(self, request: Request) -> Reply:
        deadline = time.monotonic() + self._deadline_s
        self._socket.settimeout(self._deadline_s)
        self._socket.sendall(request.encode())
        while (reply := take_reply(self._buffer)) is None:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            self._socket.settimeout(left_s)
            chunk = self._socket.recv(MAX_PAYLOAD_BYTES)
            if not chunk:
                raise ConnectionResetError("it hung up")
            self._buffer += chunk
        return reply


def _as_error(reply: Reply) -> RpcError:
    text = reply.payload.decode("utf-8", "replace")
    match reply.status:
        case Status.FAULT:
            return AccessFaultError(reply.value)
        case Status.NO_ACK:
            return WireSilentError("no acknowledge on the wire")
        case Status.BUSY:
            return BoardBusyError(text)
        case Status.GONE:
            return BoardGoneError(_UNPLUGGED)
        case _:
            return RequestRefusedError(text)
