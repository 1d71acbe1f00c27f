from __future__ import annotations

import os
import select

import pytest
import serial
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.rack.inventory import Board
from farm.virtual import rack, registry
from farm.virtual.line_rate import as_received

EVERY_BYTE = bytes(range(256))


@settings(derandomize=True, max_examples=50)
@given(st.floats(0.945, 1.055))
def test_rates_within_five_percent_lose_nothing(ratio: float) -> None:
    assert as_received(EVERY_BYTE, 1e6 * ratio, 1e6) == EVERY_BYTE


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.93, 1.07, 2.0, 10.0])
def test_rates_further_apart_change_bytes(ratio: float) -> None:
    assert as_received(EVERY_BYTE, ratio, 1.0) != EVERY_BYTE


def test_a_sender_twice_as_fast_is_read_at_every_other_bit() -> None:
    # 0 in every even place, then stop and idle: seen are its bits 2, 4 and 6, then ones
    assert as_received(b"\xaa", 2.0, 1.0) == b"\xf8"


def test_unknown_rates_change_nothing() -> None:
    assert as_received(EVERY_BYTE, 0, 9600) == as_received(EVERY_BYTE, 9600, 0) == EVERY_BYTE


@pytest.mark.parametrize(("baud", "understood"), [(115_200, True), (57_600, False)])
def test_a_listener_at_another_rate_than_the_board_reads_other_bytes(
    f412: Board, echo_firmware: bytes, baud: int, understood: bool
) -> None:
    image = registry.state_file(f412.probe_uid, "flash")
    image.write_bytes(echo_firmware.ljust(0x10_0000, b"\xff"))
    rack.ensure_up(f412)
    near = os.open(registry.tty_path(f412.probe_uid), os.O_RDWR | os.O_NOCTTY)
    assert select.select([near], [], [], 5)[0]
    assert os.read(near, 10) == b"!"  # at any rate, since none is set yet
    os.close(near)
    with serial.Serial(str(registry.tty_path(f412.probe_uid)), baud, timeout=5) as port:
        port.write(b"\xaa")
        assert (port.read(1) == b"\xaa") is understood
