import ctypes
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.toolchain import build_shared
from farm.frame import PAYLOAD_BYTES, Frame, FrameError, Splitter, Status, decode, encode

FIRMWARE = Path(__file__).parents[2] / "farm" / "firmware"
WIRE = """
#include <stdint.h>
#include "frame.h"
#include "usart.h"
static uint8_t in[4096], out[1024];
static uint32_t at, given, sent;
static struct frame frame;
/* Past the end: zero bytes, with a guard so that a bad frame_receive cannot spin for ever. */
uint8_t usart_read(void) { return at < given ? in[at++] : (at++, 0); }
void usart_write(uint8_t byte) { if (sent < sizeof(out)) out[sent++] = byte; }
int wire_receive(const uint8_t *data, uint32_t count) {
    for (at = 0; at < count; ++at) in[at] = data[at];
    given = count;
    at = sent = 0;
    int whole = frame_receive(&frame);
    if (whole) frame_send(&frame);
    return whole;
}
uint32_t wire_sent(uint8_t *data) {
    for (uint32_t index = 0; index < sent; ++index) data[index] = out[index];
    return sent;
}
"""

frames = st.builds(
    Frame,
    kind=st.integers(0, 255),
    sequence=st.integers(0, 255),
    payload=st.binary(max_size=PAYLOAD_BYTES)
    | st.integers(0, PAYLOAD_BYTES).map(bytes)
    | st.integers(0, PAYLOAD_BYTES).map(lambda count: b"\1" * count),
    status=st.sampled_from(Status).map(int),
    version=st.integers(0, 255),
)


@pytest.fixture(scope="module")
def firmware() -> ctypes.CDLL:
    names = ("frame.c", "frame.h", "usart.h")
    files = {name: (FIRMWARE / name).read_text() for name in names}
    return ctypes.CDLL(str(build_shared(files | {"wire.c": WIRE}, "frame")))


def through_firmware(firmware: ctypes.CDLL, data: bytes) -> bytes | None:
    """What the firmware sends back after reading a frame; None if it took it for damaged."""
    if not firmware.wire_receive(data, len(data)):
        return None
    out = ctypes.create_string_buffer(1024)
    count = firmware.wire_sent(out)
    return out.raw[:count]


@given(frames)
def test_a_frame_survives_the_wire(frame: Frame) -> None:
    wire = encode(frame)
    assert wire.count(0) == 1
    assert wire[-1] == 0
    assert decode(wire[:-1]) == frame


@given(frame=frames)
def test_the_firmware_reads_and_writes_the_same_bytes(firmware: ctypes.CDLL, frame: Frame) -> None:
    wire = encode(frame)
    assert through_firmware(firmware, wire) == wire


@settings(max_examples=300)
@given(frame=frames, flips=st.lists(st.tuples(st.integers(0), st.integers(1, 255)), max_size=4))
def test_damage_is_noticed_by_both_sides(
    firmware: ctypes.CDLL, frame: Frame, flips: list[tuple[int, int]]
) -> None:
    wire = bytearray(encode(frame))
    for place, mask in flips:
        wire[place % len(wire)] ^= mask
    arrived = bytes(wire) + b"\0"  # the next request begins with a zero
    assert set(Splitter().feed(arrived)) <= {frame}
    assert through_firmware(firmware, arrived) in (None, encode(frame))


@given(st.binary(max_size=600))
def test_garbage_never_breaks_either_side(firmware: ctypes.CDLL, garbage: bytes) -> None:
    frame = Frame(7, 9, b"payload")
    splitter = Splitter()
    found = splitter.feed(garbage)
    assert [*found, *splitter.feed(b"\0" + encode(frame))][-1] == frame
    if garbage.strip(b"\0"):
        again = through_firmware(firmware, garbage + b"\0")
        assert again is None or decode(again[:-1])


@given(st.lists(frames, max_size=4), st.integers(1, 7))
def test_frames_arrive_whole_in_any_cuts(sent: list[Frame], size: int) -> None:
    wire = b"".join(map(encode, sent))
    splitter = Splitter()
    cuts = [wire[at : at + size] for at in range(0, len(wire), size)]
    assert [frame for cut in cuts for frame in splitter.feed(cut)] == sent
    assert splitter.damaged == 0


def test_bytes_without_an_end_do_not_pile_up() -> None:
    splitter = Splitter()
    for _ in range(100):
        assert splitter.feed(b"\x55" * 1000) == []
    assert len(splitter._pending) < 1000
    assert splitter.feed(b"\0" + encode(Frame(1, 2))) == [Frame(1, 2)]
    assert splitter.damaged == 1


def test_a_payload_too_long_is_refused() -> None:
    encode(Frame(1, 1, bytes(PAYLOAD_BYTES)))
    with pytest.raises(ValueError, match="exceeds"):
        encode(Frame(1, 1, bytes(PAYLOAD_BYTES + 1)))


@pytest.mark.parametrize("data", [b"", b"\1", b"\5abc", b"\xff", b"\1" * 300])
def test_what_is_no_frame_says_so(data: bytes) -> None:
    with pytest.raises(FrameError):
        decode(data)
