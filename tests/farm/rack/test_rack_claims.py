"""Two boards never share a console, a probe, a switch or a name, however each is spelled."""

import time

import pytest

from farm.rack.board import Board, BoardType, PowerSpec, SerialSpec
from farm.rack.rack_claims import Claims

TYPE = BoardType("t", "stm32f412zg", "stm32f412xg")


def clash(first: SerialSpec | PowerSpec, second: SerialSpec | PowerSpec) -> str:
    """The key that two boards clash by, of which each has one of these; '' when they do not."""
    claims = Claims()
    found = None
    for name, part in (("A", first), ("B", second)):
        parts = {"power": part} if isinstance(part, PowerSpec) else {"serial": part}
        found = claims.add(Board(name, TYPE, f"stlink:{name}1", **parts))
    return found.key if found else ""


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (SerialSpec("serial", "X1"), SerialSpec("serial", "X1", 0)),
        (SerialSpec("serial", "X1", 0), SerialSpec("serial", "X1")),
        (SerialSpec("serial", "X1", 2), SerialSpec("serial", "x1", 2)),
        (SerialSpec("serial", "0x1"), SerialSpec("serial", "X1")),
        (SerialSpec(), SerialSpec("serial", "A1")),
        (SerialSpec("serial", "b1", 0), SerialSpec()),
        (SerialSpec("path", "/dev/ttyACM3"), SerialSpec("path", "/dev//ttyACM3")),
        (SerialSpec("path", "/dev/ttyACM3"), SerialSpec("path", "//dev/./ttyACM3")),
        (SerialSpec("location", "1-1:1.0"), SerialSpec("location", "1-1:1.0")),
    ],
)
def test_one_console_is_refused_in_all_its_spellings(first, second):
    assert clash(first, second) == "serial"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (SerialSpec("serial", "X1", 0), SerialSpec("serial", "X1", 2)),
        (SerialSpec("serial", "X1"), SerialSpec("serial", "X12")),
        (SerialSpec(), SerialSpec()),
        (SerialSpec("path", "/dev/a"), SerialSpec("location", "1-1")),
        (PowerSpec("1-1", 4), PowerSpec("1-1", 3)),
        (PowerSpec("1-1", 4), PowerSpec("1-14", 1)),
        (PowerSpec("1-1.4", 1), PowerSpec("1-1.4", 2)),
        (PowerSpec(off=("a", "1"), on=("a",)), PowerSpec(off=("a", "2"), on=("a",))),
    ],
)
def test_what_is_apart_is_allowed(first, second):
    assert clash(first, second) == ""


@pytest.mark.parametrize("above", [PowerSpec("1-1", 4), PowerSpec("1", 1)])
def test_a_hub_that_hangs_on_another_board_s_switch_is_refused_in_either_order(above):
    below = PowerSpec("1-1.4", 1)
    assert clash(above, below) == clash(below, above) == "power"


def test_the_time_of_a_question_does_not_grow_with_the_rack():
    claims = Claims()
    rack = [Board(f"b{n}", TYPE, f"stlink:F{n}", power=PowerSpec(f"1-{n}", 1)) for n in range(5000)]
    begin = time.process_time()
    assert not any(claims.add(board) for board in rack)
    assert time.process_time() - begin < 3.0  # 0.1 s; pairwise it was 10
