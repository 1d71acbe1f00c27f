from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.virtual.rpc import (
    MAX_PAYLOAD_BYTES,
    AccessFaultError,
    BoardGoneError,
    Client,
    Op,
    ProtocolError,
    Reply,
    Request,
    Status,
    take_reply,
    take_request,
)

WORDS = st.integers(0, 0xFFFF_FFFF)
REQUESTS = st.builds(
    Request, st.sampled_from(Op), WORDS, WORDS, st.binary(max_size=300), st.integers(0, 255)
)
REPLIES = st.builds(Reply, st.sampled_from(Status), WORDS, st.binary(max_size=300))


@given(st.lists(REQUESTS, max_size=4), st.integers(1, 40))
def test_requests_survive_any_cutting_of_the_stream(requests: list[Request], cut: int) -> None:
    stream = b"".join(request.encode() for request in requests)
    buffer = bytearray()
    seen = []
    for start in range(0, len(stream), cut):
        buffer += stream[start : start + cut]
        while (request := take_request(buffer)) is not None:
            seen.append(request)
    assert seen == requests
    assert not buffer


@given(REPLIES)
def test_replies_come_back_as_sent(reply: Reply) -> None:
    buffer = bytearray(reply.encode())
    assert take_reply(buffer) == reply
    assert take_reply(buffer) is None


@given(st.binary(min_size=16, max_size=64))
def test_noise_is_refused_or_waited_for_but_never_misread(noise: bytes) -> None:
    buffer = bytearray(noise)
    try:
        request = take_request(buffer)
    except ProtocolError:
        return
    assert request is None or request.encode() == noise[: len(noise) - len(buffer)]


def test_oversized_payload_is_refused_before_it_arrives() -> None:
    header = bytearray(Request(Op.BLOCK_WRITE, payload=bytes(1)).encode()[:16])
    header[12:16] = (MAX_PAYLOAD_BYTES + 1).to_bytes(4, "little")
    with pytest.raises(ProtocolError, match="over the limit"):
        take_request(header)


Serve = Callable[[socket.socket], object]


def answering(path: Path, serve: Serve) -> threading.Thread:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def run() -> None:
        with listener, listener.accept()[0] as peer:
            serve(peer)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_call_gives_up_at_its_deadline_when_nothing_answers(tmp_path: Path) -> None:
    done = threading.Event()
    thread = answering(tmp_path / "s", lambda _: done.wait(10))
    client = Client(tmp_path / "s", deadline_s=0.05)
    with pytest.raises(BoardGoneError, match="no answer in time"):
        client.call(Request(Op.STATUS))
    with pytest.raises(BoardGoneError):  # out of step: the connection is not used again
        client.call(Request(Op.STATUS))
    done.set()
    thread.join()


def test_call_reports_a_hang_up(tmp_path: Path) -> None:
    thread = answering(tmp_path / "s", lambda peer: peer.recv(100))
    with Client(tmp_path / "s") as client, pytest.raises(BoardGoneError, match="hung up"):
        client.call(Request(Op.STATUS))
    thread.join()


def test_call_refuses_a_reply_that_is_none(tmp_path: Path) -> None:
    thread = answering(tmp_path / "s", lambda peer: peer.recv(100) and peer.sendall(bytes(12)))
    with Client(tmp_path / "s") as client, pytest.raises(ProtocolError):
        client.call(Request(Op.STATUS))
    thread.join()


def test_fault_reply_names_the_address(tmp_path: Path) -> None:
    reply = Reply(Status.FAULT, 0x6000_0000).encode()
    thread = answering(tmp_path / "s", lambda peer: peer.recv(100) and peer.sendall(reply))
    with Client(tmp_path / "s") as client, pytest.raises(AccessFaultError) as raised:
        client.call(Request(Op.MEM_READ, 0x6000_0000, size=4))
    assert raised.value.address == 0x6000_0000
    thread.join()


def test_absent_daemon_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(BoardGoneError, match="no daemon answers"):
        Client(tmp_path / "nothing")
