import struct
import time
import zlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.banner import ClockSource
from farm.errors import BenchError
from farm.frame import Frame, Splitter, Status, encode
from farm.link import Link

BANNER = struct.pack(
    "<12I32sI2I", 0x410FC241, 100, 2, 500, 300, 64, 70, 4096, 9, 1, 2, 3, bytes(range(32)), 2, 5, 6
)


class Twin:
    """The harness's side of the protocol, on a port that can be spoilt; its network negates."""

    def __init__(self, spoil: Callable[[bytes], bytes] = lambda data: data) -> None:
        self.spoil = spoil
        self.out = bytearray()
        self.splitter = Splitter()
        self.memory = bytearray(500)
        self.requests: list[Frame] = []
        self.override: dict[int, Frame | bytes] = {}

    @property
    def in_waiting(self) -> int:
        return len(self.out)

    def read(self, size: int = 1) -> bytes:
        if not self.out:
            time.sleep(0.001)  # a port's own short time-out
        data, self.out = bytes(self.out[:size]), self.out[size:]
        return data

    def write(self, data: bytes) -> int:
        damaged = self.splitter.damaged
        for frame in self.splitter.feed(self.spoil(data)):
            self.requests.append(frame)
            self.answer(frame)
        if self.splitter.damaged > damaged:
            self.send(Frame(0x80, 0, b"", Status.DAMAGED))
        return len(data)

    def send(self, frame: Frame) -> None:
        self.out += self.spoil(encode(frame))

    def answer(self, frame: Frame) -> None:
        replies = self.override.get(frame.kind, b"")
        if isinstance(replies, Frame):
            nonce = frame.payload if frame.kind == 1 else b""
            payload = nonce + replies.payload
            self.send(Frame(replies.kind, frame.sequence, payload, replies.status))
        elif frame.kind in self.override:
            self.out += replies
        else:
            self.work(frame)

    def work(self, frame: Frame) -> None:
        whole = len(frame.payload) & ~3
        words = struct.unpack(f"<{whole // 4}I", frame.payload[:whole])
        output = bytes(256 - b & 255 for b in self.memory[:300])
        if frame.kind == 8:
            return self.mark(frame.sequence, *words)
        if frame.kind in (3, 5, 6, 7) and words[0] != zlib.crc32(self.memory):
            return self.send(Frame(frame.kind | 0x80, frame.sequence, b"", Status.BAD_INPUT))
        if frame.kind == 2:
            self.memory[words[0] : words[0] + len(frame.payload) - 4] = frame.payload[4:]
        payload = {
            1: lambda: frame.payload + BANNER + b"nucleo-x",
            2: lambda: struct.pack("<II", words[0], len(frame.payload) - 4),
            3: lambda: struct.pack("<II", 1234 + 1000 * words[1], zlib.crc32(output)),
            4: lambda: output[words[0] : words[0] + words[1]],
            5: lambda: struct.pack(f"<{words[2]}I", *range(1200, 1200 + words[2])),
            6: lambda: struct.pack(f"<{words[2]}I", *range(words[1], words[1] + words[2])),
            7: lambda: struct.pack("<4I", 200, 3896, 208, 3888),
        }[frame.kind]()
        return self.send(Frame(frame.kind | 0x80, frame.sequence, payload))

    def mark(self, sequence: int, marks: int, spacing: int) -> None:
        for mark in range(marks):
            status = Status.MORE if mark + 1 < marks else Status.OK
            payload = struct.pack("<II", mark, (mark * spacing + 2**32 - 10) % 2**32)
            self.send(Frame(0x88, sequence, payload, status))


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        # A lost zero byte is noticed only when an attempt runs out of time.
        patch.setattr("farm.link.EXCHANGE_S", 0.2)
        patch.setattr("farm.link.HELLO_S", 1.0)
        yield patch


INPUT = bytes(i * 7 & 255 for i in range(500))
OUTPUT = bytes(256 - b & 255 for b in INPUT[:300])


def test_the_banner_says_who_answers() -> None:
    banner = Link(Twin()).banner()
    assert banner.board_type == "nucleo-x"
    assert banner.image_sha256 == bytes(range(32)).hex()
    assert banner.clock_source is ClockSource.EXTERNAL
    assert (banner.input_bytes, banner.output_bytes, banner.layer_count) == (500, 300, 70)
    assert banner.checks == (5, 6)
    assert banner.unique_id == "000000010000000200000003"


def test_an_inference_takes_and_gives_more_than_one_frame() -> None:
    twin = Twin()
    assert Link(twin).infer(INPUT) == OUTPUT
    assert [frame.kind for frame in twin.requests] == [2, 2, 2, 1, 3, 4, 4]


def test_timing_trace_stack_and_clock_come_as_numbers() -> None:
    link = Link(Twin())
    link.load(INPUT)
    assert link.run(300, 1.0, cold=True).cycles == 2234
    assert link.run(300, 1.0, cold=False).cycles == 1234
    assert link.time(61, 1.0) == tuple(range(1200, 1261))
    assert link.trace(70, 1.0) == tuple(range(70))
    assert [(s.used_bytes, s.intact_bytes) for s in link.stack(1.0)] == [(200, 3896), (208, 3888)]
    marks = link.clock(4, 1000, 1.0)
    assert [mark.cycles for mark in marks] == [2**32 - 10, 990, 1990, 2990]
    assert marks[0].host_s <= marks[3].host_s


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_noise_costs_retries_and_never_a_wrong_output(
    monkeypatch_module: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    left = 3  # fewer than the attempts of one exchange

    def spoil(wire: bytes) -> bytes:
        nonlocal left
        kind = data.draw(st.sampled_from(["fine", "flip", "cut", "extra"])) if left else "fine"
        left -= kind != "fine"
        at = data.draw(st.integers(0, len(wire) - 1)) if kind != "fine" else 0
        mask = data.draw(st.integers(1, 255)) if kind == "flip" else 0
        if kind == "flip":
            return wire[:at] + bytes([wire[at] ^ mask]) + wire[at + 1 :]
        if kind == "cut":
            return wire[:at] + wire[at + 1 :]
        return wire[:at] + b"\x33" + wire[at:] if kind == "extra" else wire

    assert Link(Twin(spoil), exchange_s=0.2).infer(INPUT, 0.2) == OUTPUT


def test_a_silent_board_is_given_up_at_the_deadline() -> None:
    twin = Twin(lambda _: b"")
    started_s = time.monotonic()
    with pytest.raises(BenchError, match=r"b7.*no answer to HELLO in 0\.3 s") as caught:
        Link(twin, "b7").banner(0.3)
    assert 0.25 < time.monotonic() - started_s < 10.0
    assert caught.value.board == "b7"


def test_a_request_that_computes_nothing_has_a_deadline_of_its_own() -> None:
    twin = Twin(spoil=lambda _: b"")
    started = time.monotonic()
    with pytest.raises(BenchError, match=r"LOAD in 0\.1 s"):
        Link(twin, exchange_s=0.1).load(b"x")
    assert time.monotonic() - started < 10.0


def test_a_late_reply_to_an_earlier_request_is_not_taken() -> None:
    twin = Twin()
    link = Link(twin)
    link.load(INPUT)
    stale = Frame(0x83, link._sequence, struct.pack("<II", 1, 2))
    twin.send(stale)
    assert link.run(300, 1.0, cold=False).cycles == 1234


def test_what_an_earlier_program_left_on_the_line_is_not_taken_for_this_board() -> None:
    twin = Twin()
    for sequence in range(256):
        twin.send(Frame(0x81, sequence, b"old!" + BANNER + b"nucleo-old"))
    twin.send(Frame(0xFF, 0, bytes(24)))
    assert Link(twin).banner().board_type == "nucleo-x"


def test_a_board_that_faults_before_its_banner_says_why() -> None:
    twin = Twin()
    twin.override[1] = encode(Frame(0xFF, 0, struct.pack("<6I", 1, 2, 3, 4, 0x8000777, 6)))
    with pytest.raises(BenchError, match="PC 0x08000777"):
        Link(twin).banner(0.3)


def test_text_and_garbage_before_a_reply_are_skipped() -> None:
    twin = Twin()
    twin.out += b"\r\ntinyrack harness on nucleo-x\r\n\0" + b"\x05\x06\0"
    link = Link(twin)
    assert link.banner().board_type == "nucleo-x"
    assert link.damaged_frames == 2


def test_a_fault_of_the_core_is_reported_with_its_address() -> None:
    twin = Twin()
    twin.override[3] = encode(
        Frame(0xFF, 0, struct.pack("<6I", 0x8200, 1 << 30, 16, 17, 0x8000124, 18))
    )
    link = Link(twin, "b7")
    link.load(INPUT)
    with pytest.raises(BenchError, match=r"b7.*PC 0x08000124"):
        link.run(300, 1.0, cold=False)


def test_a_refusal_names_the_request_and_the_reason() -> None:
    twin = Twin()
    link = Link(twin)
    link.load(INPUT)
    twin.memory[3] ^= 1
    with pytest.raises(BenchError, match=r"refused TIME: bad input .*without power in between"):
        link.time(3, 1.0)


@pytest.mark.parametrize(
    ("kind", "payload", "call"),
    [
        (1, b"short", lambda link: link.banner()),
        (1, BANNER[:8] + b"\7\0\0\0" + BANNER[12:], lambda link: link.banner()),
        (1, BANNER[:80] + b"\xff\xff\xff\xff", lambda link: link.banner()),
        (2, b"\0" * 8, lambda link: link.load(INPUT)),
        (3, b"\0" * 4, lambda link: link.run(300, 1.0, cold=False)),
        (3, b"\0" * 8, lambda link: link.run(300, 1.0, cold=False)),
        (4, b"\0" * 8, lambda link: link.run(300, 1.0, cold=False)),
        (5, b"\0" * 9, lambda link: link.time(2, 1.0)),
        (6, b"\0" * 4, lambda link: link.trace(2, 1.0)),
        (7, b"", lambda link: link.stack(1.0)),
        (8, b"\1\0\0\0\0\0\0\0", lambda link: link.clock(2, 10, 1.0)),
    ],
)
def test_a_reply_that_does_not_fit_the_request_is_an_error(
    kind: int, payload: bytes, call: Callable[[Link], object]
) -> None:
    twin = Twin()
    link = Link(twin)
    if kind != 2:
        link.load(INPUT)
    twin.override[kind] = Frame(kind | 0x80, 0, payload)
    with pytest.raises(BenchError, match="harness"):
        call(link)


def test_a_missing_clock_mark_ends_at_the_deadline() -> None:
    twin = Twin()
    twin.override[8] = Frame(0x88, 0, struct.pack("<II", 0, 5), Status.MORE)
    with pytest.raises(BenchError, match="only 1 of 3 clock marks"):
        Link(twin).clock(3, 10, 0.1)


def test_a_console_that_vanishes_is_a_bench_error() -> None:
    class Gone(Twin):
        def read(self, _size: int = 1) -> bytes:
            raise OSError("device disconnected")

    with pytest.raises(BenchError, match="is the board connected"):
        Link(Gone()).banner()
