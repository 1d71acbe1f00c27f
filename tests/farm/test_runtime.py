import ctypes
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.toolchain import build_shared

SOURCE = Path(__file__).parents[2] / "farm" / "firmware" / "runtime.c"
NAMES = ("memcpy", "memmove", "memset")
GUARD = 24


@pytest.fixture(scope="module")
def runtime() -> ctypes.CDLL:
    """The firmware's functions under names of their own: the host has a memcpy already."""
    source = re.sub(rf"\b({'|'.join(NAMES)})\b", r"harness_\1", SOURCE.read_text())
    files = {"runtime.c": source}
    library = ctypes.CDLL(str(build_shared(files, "runtime", ("-fno-builtin",))))
    for name in NAMES:
        kinds = [ctypes.c_void_p, ctypes.c_int if name == "memset" else ctypes.c_void_p]
        function = getattr(library, f"harness_{name}")
        function.argtypes = [*kinds, ctypes.c_size_t]
        function.restype = ctypes.c_void_p
    library.__aeabi_memset.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    library.__aeabi_memset.restype = None
    return library


sizes = st.integers(0, 100)
offsets = st.integers(0, 8)


@given(st.binary(min_size=120, max_size=120), offsets, offsets, sizes)
def test_copies_take_every_byte_and_no_other(
    runtime: ctypes.CDLL, data: bytes, start: int, to: int, count: int
) -> None:
    source = ctypes.create_string_buffer(data, len(data))
    target = ctypes.create_string_buffer(b"\xa5" * 140, 140)
    at = ctypes.addressof(target) + GUARD // 2 + to
    returned = runtime.harness_memcpy(at, ctypes.addressof(source) + start, count)
    first = GUARD // 2 + to
    assert returned == at
    assert target.raw[first : first + count] == data[start : start + count]
    assert set(target.raw[:first] + target.raw[first + count :]) == {0xA5}


@given(st.binary(min_size=120, max_size=120), st.integers(0, 20), st.integers(0, 20), sizes)
def test_overlapping_moves_are_as_through_a_second_buffer(
    runtime: ctypes.CDLL, data: bytes, start: int, to: int, count: int
) -> None:
    buffer = ctypes.create_string_buffer(data, len(data))
    base = ctypes.addressof(buffer)
    runtime.harness_memmove(base + to, base + start, count)
    expected = bytearray(data)
    expected[to : to + count] = data[start : start + count]
    assert buffer.raw == bytes(expected)


@given(offsets, st.integers(-300, 300), sizes, st.booleans())
def test_filling_writes_the_low_byte_count_times(
    runtime: ctypes.CDLL, to: int, value: int, count: int, by_abi: bool
) -> None:
    buffer = ctypes.create_string_buffer(b"\xa5" * 120, 120)
    at = ctypes.addressof(buffer) + to
    if by_abi:
        runtime.__aeabi_memset(at, count, value)
    else:
        assert runtime.harness_memset(at, value, count) == at
    filled = b"\xa5" * to + bytes([value & 255]) * count
    assert buffer.raw == filled.ljust(120, b"\xa5")
