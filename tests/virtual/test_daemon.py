from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial

from farm.rack.inventory import Board, BoardType
from farm.virtual import rack, registry
from farm.virtual.rpc import (
    MAX_PAYLOAD_BYTES,
    BoardBusyError,
    Client,
    Op,
    Request,
    RequestRefusedError,
    WireSilentError,
)


def path_of(board: Board) -> str:
    found = rack.find(board.probe_uid)
    assert found is not None
    return found.socket


def cpu_s(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_gone(uid: str, limit_s: float = 10.0) -> None:
    deadline = time.monotonic() + limit_s
    while registry.has_daemon(uid):
        assert time.monotonic() < deadline, "the daemon is still there"
        time.sleep(0.01)


@contextmanager
def console(board: Board) -> Iterator[serial.Serial]:
    with serial.Serial(str(registry.tty_path(board.probe_uid)), 115200, timeout=20) as port:
        yield port


def greeting(board: Board) -> bytes:
    """The first byte, read without pyserial, which drops what waits when it opens a port."""
    near = os.open(registry.tty_path(board.probe_uid), os.O_RDWR | os.O_NOCTTY)
    try:
        assert select.select([near], [], [], 20)[0], "the board says nothing"
        return os.read(near, 10)
    finally:
        os.close(near)


@pytest.fixture(scope="module", autouse=True)
def own_state(own_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One folder of state for all tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(own_cache))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield
        rack.down()


@pytest.fixture(scope="module")
def shared_board(own_state: None) -> Board:
    """One board for all that leave it as they found it: starting one is most of their cost."""
    part = BoardType("nucleo", "stm32f412zg", "stm32f412xg")
    return Board("f412-s", part, "virtual:TR-SHARED")


@pytest.fixture
def board(shared_board: Board) -> Board:
    rack.ensure_up(shared_board)
    return shared_board


@pytest.fixture(autouse=True)
def own_board(f412: Board) -> Iterator[None]:
    """The board that a test starts for itself ends with it."""
    yield
    rack.down([f412.probe_uid])


@pytest.fixture
def echo_board(f412: Board, echo_firmware: bytes) -> Board:
    image = registry.state_file(f412.probe_uid, "flash")
    image.write_bytes(echo_firmware + b"\xff" * (0x10_0000 - len(echo_firmware)))
    rack.ensure_up(f412)
    return f412


def test_console_keeps_what_was_said_before_anybody_listened(echo_board: Board) -> None:
    time.sleep(0.2)
    assert greeting(echo_board) == b"!"


def test_console_passes_every_byte_both_ways_unchanged(echo_board: Board) -> None:
    data = bytes(range(256)) * 16
    assert greeting(echo_board) == b"!"
    with console(echo_board) as port:
        for start in range(0, len(data), 1024):
            port.write(data[start : start + 1024])
            assert port.read(1024) == data[start : start + 1024]
        port.timeout = 0.05
        assert port.read(1) == b""  # no echo of the terminal's own


def test_waiting_board_answers_at_once(echo_board: Board) -> None:
    assert greeting(echo_board) == b"!"
    with console(echo_board) as port:
        answers_s = []
        for value in range(60):
            start_s = time.monotonic()
            port.write(bytes([value]))
            assert port.read(1) == bytes([value])
            answers_s.append(time.monotonic() - start_s)
        assert sorted(answers_s)[15] < 0.025  # a nap is 50 ms, on a host however busy


def test_silent_reader_does_not_hold_up_the_core(echo_board: Board) -> None:
    near = os.open(registry.tty_path(echo_board.probe_uid), os.O_RDWR | os.O_NOCTTY)
    try:
        for _ in range(40):  # far more comes back than the terminal takes
            os.write(near, bytes(4000))
        with Client(path_of(echo_board)) as client:
            before = json.loads(client.call(Request(Op.STATUS)).payload)["cycles"]
            time.sleep(0.2)
            assert json.loads(client.call(Request(Op.STATUS)).payload)["cycles"] > before
    finally:
        os.close(near)


def test_waiting_board_costs_next_to_no_processor_time(echo_board: Board) -> None:
    found = rack.find(echo_board.probe_uid)
    assert found is not None
    time.sleep(0.3)  # past the greeting
    before_s = cpu_s(found.pid)
    time.sleep(1.0)
    assert cpu_s(found.pid) - before_s < 0.1


def test_debug_port_wants_to_be_claimed_and_connected(board: Board) -> None:
    with Client(path_of(board)) as client:
        with pytest.raises(RequestRefusedError, match="claim"):
            client.call(Request(Op.DP_READ))
        client.call(Request(Op.CLAIM))
        with pytest.raises(WireSilentError):
            client.call(Request(Op.DP_READ))
        with pytest.raises(WireSilentError):
            client.call(Request(Op.MEM_READ, 0x2000_0000, size=4))


def test_claim_ends_with_its_connection(board: Board) -> None:
    with Client(path_of(board)) as first:
        first.call(Request(Op.CLAIM))
        with Client(path_of(board)) as second:
            with pytest.raises(BoardBusyError, match=str(os.getpid())):
                second.call(Request(Op.CLAIM))
            first.close()
            second.call(Request(Op.CLAIM))


def test_end_of_a_claim_counts_before_a_claim_seen_at_the_same_time(board: Board) -> None:
    daemon = rack.find(board.probe_uid)
    assert daemon is not None
    with Client(path_of(board)) as first, Client(path_of(board)) as second:
        first.call(Request(Op.CLAIM))
        second.call(Request(Op.STATUS))
        os.kill(daemon.pid, signal.SIGSTOP)
        with ThreadPoolExecutor(1) as threads:
            try:
                claim = threads.submit(second.call, Request(Op.CLAIM))
                time.sleep(0.2)
                first.close()
            finally:
                os.kill(daemon.pid, signal.SIGCONT)
            claim.result(10)


@pytest.mark.parametrize(
    "request_",
    [
        Request(Op.MEM_READ, 0x2000_0000, size=3),
        Request(Op.MEM_READ, 0x2000_0001, size=4),
        Request(Op.BLOCK_READ, 0x2000_0000, MAX_PAYLOAD_BYTES + 1),
        Request(Op.BLOCK_READ, 0xFFFF_FFF0, 17),
        Request(Op.AP_READ, 0, 0xFFFF_FFFF),
        Request(Op.AP_WRITE, 0, payload=b"123"),
        Request(Op.SWJ, value=300, payload=bytes(64)),
        Request(Op.SWJ, value=64, payload=b"1"),
    ],
)
def test_request_that_makes_no_sense_is_refused_and_the_next_is_served(
    board: Board, request_: Request
) -> None:
    with Client(path_of(board)) as client:
        client.call(Request(Op.CLAIM))
        with pytest.raises(RequestRefusedError):
            client.call(request_)
        client.call(Request(Op.STATUS))


def test_noise_on_the_socket_ends_that_connection_only(board: Board) -> None:
    for noise in (b"\0" * 64, b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096)):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(5)
            raw.connect(path_of(board))
            raw.sendall(noise)
            assert raw.recv(1) == b""
    found = rack.find(board.probe_uid)
    assert found is not None
    assert found.alive


def test_client_that_never_reads_does_not_stop_the_others(board: Board) -> None:
    with socket.socket(socket.AF_UNIX) as rude:
        rude.settimeout(0.2)
        rude.connect(path_of(board))
        with pytest.raises(TimeoutError):
            rude.sendall(Request(Op.STATUS).encode() * 100_000)
        with Client(path_of(board), deadline_s=20) as client:
            client.call(Request(Op.STATUS))


def test_power_cycle_drops_the_debug_connection(board: Board) -> None:
    with Client(path_of(board)) as client:
        client.call(Request(Op.CLAIM))
        ones = (1 << 51) - 1
        for length, bits in ((51, ones), (16, 0xE79E), (51, ones)):
            payload = bits.to_bytes((length + 7) // 8, "little")
            client.call(Request(Op.SWJ, value=length, payload=payload))
        assert client.call(Request(Op.DP_READ)).value == 0x2BA0_1477
        client.call(Request(Op.POWER, value=2))
        with pytest.raises(WireSilentError):
            client.call(Request(Op.DP_READ))


def test_sigterm_ends_a_busy_daemon_and_tidies_up(f412: Board, count_firmware: bytes) -> None:
    image = registry.state_file(f412.probe_uid, "flash")
    image.write_bytes(count_firmware + b"\xff" * (0x10_0000 - len(count_firmware)))
    rack.ensure_up(f412)
    found = rack.find(f412.probe_uid)
    assert found is not None
    os.kill(found.pid, signal.SIGTERM)
    wait_until_gone(f412.probe_uid)
    assert rack.find(f412.probe_uid) is None
    assert not Path(found.socket).parent.exists()
    assert not os.path.lexists(found.tty)
    assert registry.state_file(f412.probe_uid, "flash").exists()


def test_forgotten_daemon_ends_itself(f412: Board) -> None:
    words = [f412.probe_uid, f412.type.mcu, f412.type.target, "--idle-timeout-s", "0.3"]
    subprocess.run([sys.executable, "-m", "farm.virtual", *words], check=True, timeout=60)
    assert not registry.has_daemon(f412.probe_uid)
