"""A client of GDB's remote serial protocol: packets with checksums and acknowledgements, deadlines.

Appendix E of "Debugging with GDB" describes the protocol.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from xml.etree import ElementTree

LIMIT_S = 30.0
CHUNK_BYTES = 1024
_ESCAPED = b"#$}*"


class RemoteError(AssertionError):
    """The server refused, sent something else than the protocol has, or was too slow."""


@dataclass(frozen=True)
class Stop:
    """A stop reply: the signal, and what it names, such as registers ("0f" is the PC)."""

    signal: int
    facts: dict[str, str]

    @property
    def pc(self) -> int:
        """The program counter that came with it."""
        return int.from_bytes(bytes.fromhex(self.facts["0f"]), "little")


def escaped(data: bytes) -> bytes:
    """Binary data as it may stand in a packet."""
    return b"".join(b"}%c" % (b ^ 0x20) if b in _ESCAPED else b"%c" % b for b in data)


def unescaped(data: bytes) -> bytes:
    """Binary data as it was before it was put into a packet."""
    return re.sub(b"}(.)", lambda found: b"%c" % (found[1][0] ^ 0x20), data, flags=re.DOTALL)


class Remote:
    """One connection to a GDB server; each method raises RemoteError after `limit_s`."""

    def __init__(self, port: int, limit_s: float = LIMIT_S) -> None:
        self._limit_s, self._waiting, self._acks = limit_s, b"", True
        self._socket = socket.create_connection(("127.0.0.1", port), limit_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *_: Any) -> None:
        self._socket.close()

    # -- packets -------------------------------------------------------------------------------

    def ask(self, command: str | bytes) -> bytes:
        """The reply to one command."""
        self.send(command)
        return self.receive()

    def tell(self, command: str | bytes) -> None:
        """A command that must be answered by OK."""
        reply = self.ask(command)
        if reply != b"OK":
            raise RemoteError(f"{command!r}: {reply!r}")

    def send(self, command: str | bytes) -> None:
        """One packet, acknowledged."""
        data = command.encode() if isinstance(command, str) else command
        self._socket.sendall(b"$" + data + b"#%02x" % (sum(data) & 0xFF))
        if self._acks and self._byte(self._deadline()) != b"+":
            raise RemoteError(f"{command!r} was not acknowledged")

    def receive(self) -> bytes:
        """The next packet, checked and acknowledged."""
        deadline = self._deadline()
        if self._byte(deadline) != b"$":
            raise RemoteError("what came was no packet")
        data = b""
        while (byte := self._byte(deadline)) != b"#":
            data += byte
        checksum = self._byte(deadline) + self._byte(deadline)
        if int(checksum, 16) != sum(data) & 0xFF:
            raise RemoteError(f"checksum {checksum!r} of {data!r}")
        if self._acks:
            self._socket.sendall(b"+")
        return data

    def without_acks(self) -> None:
        """Leave them out from now on, as gdb does: each may cost 40 ms of waiting in TCP."""
        self.tell("QStartNoAckMode")
        self._acks = False

    def _deadline(self) -> float:
        return time.monotonic() + self._limit_s

    def _byte(self, deadline: float) -> bytes:
        while not self._waiting:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                self._waiting = self._socket.recv(65536)
            except TimeoutError as error:
                raise RemoteError(f"no answer in {self._limit_s:.0f} s") from error
            if not self._waiting:
                raise RemoteError("the server has hung up")
        byte, self._waiting = self._waiting[:1], self._waiting[1:]
        return byte

    # -- memory and registers --------------------------------------------------------------------

    def object(self, kind: str, annex: str) -> bytes:
        """A whole object of qXfer, such as features or memory-map."""
        data = b""
        while True:
            part = self.ask(f"qXfer:{kind}:read:{annex}:{len(data):x},{CHUNK_BYTES:x}")
            if part[:1] not in (b"m", b"l"):
                raise RemoteError(f"{kind} {annex}: {part!r}")
            data += unescaped(part[1:])
            if part[:1] == b"l":
                return data

    def read(self, address: int, size: int) -> bytes:
        """Bytes of memory."""
        parts = (
            self.ask(f"m{address + at:x},{min(CHUNK_BYTES, size - at):x}")
            for at in range(0, size, CHUNK_BYTES)
        )
        return b"".join(bytes.fromhex(part.decode()) for part in parts)

    def words(self, address: int, count: int = 1) -> tuple[int, ...]:
        """Words of memory."""
        return struct.unpack(f"<{count}I", self.read(address, 4 * count))

    def write(self, address: int, data: bytes) -> None:
        """Bytes into RAM, as binary data."""
        self.tell(f"X{address:x},{len(data):x}:".encode() + escaped(data))

    def registers(self) -> dict[str, int]:
        """All registers by the names of target.xml: g, as pyOCD 0.46 does not know p."""
        values, at = {}, 0
        data = bytes.fromhex(self.ask("g").decode())
        for name, size, _ in self._layout:
            values[name] = int.from_bytes(data[at : at + size], "little")
            at += size
        return values

    def register(self, name: str) -> int:
        """One register."""
        return self.registers()[name]

    def set_register(self, name: str, value: int) -> None:
        """One core register of 32 bits."""
        number = next(number for known, _, number in self._layout if known == name)
        self.tell(f"P{number:x}={value.to_bytes(4, 'little').hex()}")

    @cached_property
    def _layout(self) -> list[tuple[str, int, int]]:
        """Name, bytes and number of each register, by number as they stand in a reply to g."""
        found = ElementTree.fromstring(self.object("features", "target.xml")).iter("reg")
        facts = ((r.attrib["name"], r.attrib["bitsize"], r.attrib["regnum"]) for r in found)
        named = [(name, int(bits) // 8, int(number)) for name, bits, number in facts]
        return sorted(named, key=lambda register: register[2])

    def load(self, segments: list[tuple[int, bytes]], sector_bytes: int) -> None:
        """Program flash as `load` of GDB does: erase whole sectors, write, done."""
        for address, data in segments:
            first = address // sector_bytes * sector_bytes
            size = -(-(address + len(data) - first) // sector_bytes) * sector_bytes
            self.tell(f"vFlashErase:{first:x},{size:x}")
        for address, data in segments:
            for at in range(0, len(data), CHUNK_BYTES):
                part = escaped(data[at : at + CHUNK_BYTES])
                self.tell(f"vFlashWrite:{address + at:x}:".encode() + part)
        self.tell("vFlashDone")

    # -- running -----------------------------------------------------------------------------------

    def step(self) -> Stop:
        """One instruction."""
        return self._stop(self.ask("s"))

    def go(self) -> Stop:
        """Run to the next stop."""
        return self._stop(self.ask("c"))

    def start(self) -> None:
        """Run, and do not wait."""
        self.send("c")

    def interrupt(self) -> Stop:
        """Stop what runs, as Ctrl-C does."""
        self._socket.sendall(b"\x03")
        return self._stop(self.receive())

    def command(self, text: str) -> str:
        """What `monitor TEXT` prints."""
        reply, printed = self.ask("qRcmd," + text.encode().hex()), ""
        while reply != b"OK":
            if reply[:1] == b"E":
                raise RemoteError(f"monitor {text}: {reply!r}")
            printed += bytes.fromhex(reply.removeprefix(b"O").decode()).decode()
            reply = self.receive() if reply[:1] == b"O" else b"OK"
        return printed

    def _stop(self, reply: bytes) -> Stop:
        if reply[:1] not in (b"T", b"S"):
            raise RemoteError(f"no stop reply: {reply!r}")
        pairs = (fact.split(":") for fact in reply[3:].decode().split(";") if fact)
        return Stop(int(reply[1:3], 16), dict(pairs))
