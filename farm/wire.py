"""Messages between the manager and its workers: a JSON object and bytes, length first.

Nothing is unpickled: the worker runs code that talks to boards, and what it sends is checked.
"""

import json
import os
import select
import struct
import time
from collections.abc import Mapping
from typing import Any

_HEAD = struct.Struct("<II")  # bytes of JSON, bytes of blob
MAX_PART_BYTES = 256 * 1024 * 1024
SEND_S = 10.0

Message = tuple[dict[str, Any], bytes]


class PeerGoneError(Exception):
    """The other end closed its pipe: it ended or was killed."""


class PeerSilentError(Exception):
    """The deadline passed before a whole message came."""


def send(
    descriptor: int, header: Mapping[str, Any], blob: bytes = b"", timeout_s: float = SEND_S
) -> None:
    """Write one message.

    PeerGoneError when the other end is closed; PeerSilentError when it reads nothing for
    `timeout_s`, as a stopped process does.
    """
    text = json.dumps(header, allow_nan=False).encode()
    view = memoryview(_HEAD.pack(len(text), len(blob)) + text + blob)
    while view:
        if not select.select([], [descriptor], [], timeout_s)[1]:
            raise PeerSilentError
        try:  # so few bytes never block once the pipe is writable
            view = view[os.write(descriptor, view[: select.PIPE_BUF]) :]
        except OSError as error:
            raise PeerGoneError(str(error)) from error


class Receiver:
    """Reads whole messages from a pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = bytearray()

    def receive(self, timeout_s: float | None) -> Message:
        """Return the next message.

        PeerSilentError after `timeout_s` (None waits for ever: only for a worker, whose
        wait ends with its manager); PeerGoneError at the end of the pipe.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while (message := self._take()) is None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._descriptor], [], [], left)[0]:
                raise PeerSilentError
            data = os.read(self._descriptor, 1 << 16)
            if not data:
                raise PeerGoneError("end of pipe")
            self._buffer += data
        return message

    def _take(self) -> Message | None:
        if len(self._buffer) < _HEAD.size:
            return None
        text_bytes, blob_bytes = _HEAD.unpack_from(self._buffer)
        if max(text_bytes, blob_bytes) > MAX_PART_BYTES:
            raise PeerGoneError("a message of impossible size")
        blob_at = _HEAD.size + text_bytes
        end = blob_at + blob_bytes
        if len(self._buffer) < end:
            return None
        text, blob = bytes(self._buffer[_HEAD.size : blob_at]), bytes(self._buffer[blob_at:end])
        del self._buffer[:end]
        try:
            header = json.loads(text)
        except ValueError as error:
            raise PeerGoneError("a message that is no JSON") from error
        if not isinstance(header, dict):
            raise PeerGoneError("a message that is no object")
        return header, blob
