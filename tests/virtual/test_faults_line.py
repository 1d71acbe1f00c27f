"""Noise on the console's wire: what it does to bytes, and that it repeats itself."""

from __future__ import annotations

import itertools
import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.rack.inventory import Board
from farm.virtual import rack, registry
from farm.virtual.faults import Fault, clear, fault, inject
from farm.virtual.faults_line import Line

DATA = bytes(range(1, 201))
KINDS = ["uart-lose", "uart-repeat", "uart-flip"]


def through(what: Fault, data: bytes, cuts: list[int] | None = None) -> bytes:
    line = Line()
    line.add(what)
    edges = [0, *sorted(cuts or []), len(data)]
    return b"".join(line.carry("out", data[a:b]) for a, b in itertools.pairwise(edges))


@given(st.sampled_from(KINDS), st.integers(0, 2**32 - 1), st.lists(st.integers(0, 200), max_size=9))
def test_what_happens_to_a_byte_does_not_depend_on_how_the_bytes_were_cut(
    kind: str, seed: int, cuts: list[int]
) -> None:
    what = fault(kind, seed, chance=0.2)
    assert through(what, DATA, cuts) == through(what, DATA)


def test_every_so_many_bytes_is_exact_and_chance_follows_the_seed() -> None:
    assert through(fault("uart-lose", every=50), DATA) == bytes(n for n in DATA if n % 50)
    twice = through(fault("uart-repeat", every=100), DATA)
    assert twice == DATA[:100] + b"\x64" + DATA[100:] + b"\xc8"
    flipped = through(fault("uart-flip", every=7), DATA)
    assert [a.bit_count() for a in map(int.__xor__, flipped, DATA)] == [
        int(n % 7 == 0) for n in range(1, 201)
    ]
    lost = [200 - len(through(fault("uart-lose", seed, chance=0.1), DATA)) for seed in range(9)]
    assert len(set(lost)) > 2
    assert 5 < sum(lost) / 9 < 40


def test_noise_of_one_direction_leaves_the_other_alone_and_none_changes_nothing() -> None:
    line = Line()
    line.add(fault("uart-lose", every=1, way="in"))
    assert line.carry("out", DATA) == DATA
    assert line.carry("in", DATA) == b""
    assert through(fault("uart-flip", chance=0.0), DATA) == DATA


@contextmanager
def console(board: Board) -> Iterator[int]:
    near = os.open(registry.tty_path(board.probe_uid), os.O_RDWR | os.O_NOCTTY)
    try:
        yield near
    finally:
        os.close(near)


def answer(near: int, count: int) -> bytes:
    """Up to `count` bytes, until nothing has come for a while."""
    data = b""
    while len(data) < count and select.select([near], [], [], 0.3)[0]:
        data += os.read(near, count)
    return data


@pytest.fixture
def echo_board(f412: Board, echo_firmware: bytes) -> Board:
    image = registry.state_file(f412.probe_uid, "flash")
    image.write_bytes(echo_firmware + b"\xff" * (0x10_0000 - len(echo_firmware)))
    rack.ensure_up(f412)
    return f412


def test_noisy_console_of_a_board_is_as_the_seed_says_and_clean_when_cleared(
    echo_board: Board,
) -> None:
    with console(echo_board) as near:
        assert answer(near, 1) == b"!"
        for kind in KINDS:
            what = fault(kind, seed=4, chance=0.1, way="out")
            expected = through(what, DATA)
            assert expected != DATA
            inject(echo_board, what)
            os.write(near, DATA)
            assert answer(near, len(expected)) == expected
            clear(echo_board)
        inject(echo_board, fault("uart-delay", every=3, ms=80))
        begun_s = time.monotonic()
        os.write(near, b"abc")
        assert answer(near, 3) == b"abc"
        assert time.monotonic() - begun_s > 0.15  # once each way
        clear(echo_board)
        os.write(near, DATA)
        assert answer(near, 200) == DATA


def test_board_falls_silent_at_the_byte_that_its_power_fails_at(echo_board: Board) -> None:
    with console(echo_board) as near:
        assert answer(near, 1) == b"!"
        inject(echo_board, fault("power-cut", after=5, count="sent"))
        os.write(near, b"0123456789")
        assert answer(near, 10) == b"01234"
        os.write(near, b"lost")
        rack.power(echo_board, "on")
        assert answer(near, 2) == b"!"  # booted, and what came without power is gone
        inject(echo_board, fault("brown-out", after=3, count="received"))
        os.write(near, b"abcdef")
        assert b"!" in answer(near, 10)
        rack.power(echo_board, "off")
        os.write(near, b"xyz")
        assert answer(near, 3) == b""
