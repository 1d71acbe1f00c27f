"""Frames on a board's console: COBS(header, payload, CRC-32) and a zero byte behind.

The host's side of farm/firmware/frame.c; what arrives is hostile until its CRC is right.
"""

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

VERSION = 1
PAYLOAD_BYTES = 244
_HEADER = struct.Struct("<BBBB")
_CRC = struct.Struct("<I")
_BODY_LIMIT = _HEADER.size + PAYLOAD_BYTES + _CRC.size
_ENCODED_LIMIT = _BODY_LIMIT + 1
_COBS_RUN = 0xFF


class Status(IntEnum):
    """Why a board answered as it did; the numbers of enum frame_status."""

    OK = 0
    MORE = 1
    DAMAGED = 2
    BAD_VERSION = 3
    BAD_COMMAND = 4
    BAD_ARGUMENT = 5
    BAD_INPUT = 6


class FrameError(ValueError):
    """Bytes that are no frame."""


@dataclass(frozen=True)
class Frame:
    """One frame; version, kind, sequence and status are bytes, the payload is at most 244."""

    kind: int
    sequence: int
    payload: bytes = b""
    status: int = Status.OK
    version: int = VERSION


def encode(frame: Frame) -> bytes:
    """The frame as it goes over the wire, its zero byte included; ValueError when too long."""
    if len(frame.payload) > PAYLOAD_BYTES:
        raise ValueError(f"a payload of {len(frame.payload)} bytes exceeds {PAYLOAD_BYTES}")
    body = _HEADER.pack(frame.version, frame.kind, frame.sequence, frame.status) + frame.payload
    return _cobs(body + _CRC.pack(zlib.crc32(body))) + b"\0"


def decode(data: bytes) -> Frame:
    """The frame in what stood between two zero bytes; FrameError says why it is none."""
    if len(data) > _ENCODED_LIMIT:
        raise FrameError(f"{len(data)} bytes without a delimiter")
    content = _uncobs(data)
    if len(content) < _HEADER.size + _CRC.size:
        raise FrameError(f"only {len(content)} bytes")
    body, crc = content[: -_CRC.size], content[-_CRC.size :]
    if zlib.crc32(body) != _CRC.unpack(crc)[0]:
        raise FrameError("wrong CRC")
    version, kind, sequence, status = _HEADER.unpack_from(body)
    return Frame(kind, sequence, body[_HEADER.size :], status, version)


def _cobs(content: bytes) -> bytes:
    """Each run between zeros behind its length + 1; at most 252 bytes, so no run is cut."""
    return b"".join(bytes([len(run) + 1]) + run for run in content.split(b"\0"))


def _uncobs(data: bytes) -> bytes:
    out = bytearray()
    at = 0
    while at < len(data):
        code = data[at]
        run = data[at + 1 : at + code]
        if code == 0 or len(run) != code - 1:
            raise FrameError("a code that points past the end")
        out += run
        at += code
        if code != _COBS_RUN and at < len(data):
            out.append(0)
    return bytes(out)


class Splitter:
    """Bytes in, frames out; garbage is dropped up to the next zero byte and counted."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self.damaged = 0

    def feed(self, data: bytes) -> list[Frame]:
        """The whole frames that these bytes complete."""
        self._pending += data
        *chunks, rest = bytes(self._pending).split(b"\0")
        # Anything longer than a frame is garbage already; keep enough to still see it as such.
        self._pending = bytearray(rest[: _ENCODED_LIMIT + 1])
        return [frame for chunk in chunks if chunk for frame in self._decoded(chunk)]

    def _decoded(self, chunk: bytes) -> list[Frame]:
        try:
            return [decode(chunk)]
        except FrameError:
            self.damaged += 1
            return []
