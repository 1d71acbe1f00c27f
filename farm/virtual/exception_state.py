"""The state of exceptions, shared with native/exceptions.c: each fact is kept here alone."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, MutableSet
from typing import Any

SET_WORDS = 16
EXCEPTIONS = 32 * SET_WORDS
MEMORIES = 12
IDS = 24
_Set = ctypes.c_uint32 * SET_WORDS
_SETS = ("pending", "active", "enabled", "lines")
_FLAGS = ("event", "slow", "intr", "unsaved", "adrift", "code_first", "code_end")
CYCLES = ("entry", "exit", "tail_chain", "late_arrival", "extended_save", "extended_restore")


class MemoryState(ctypes.Structure):
    """`struct memory` of native/exceptions.h."""

    _fields_ = (
        ("base", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("bytes", ctypes.c_void_p),
        ("writable", ctypes.c_uint64),
    )


class ExceptionState(ctypes.Structure):
    """`struct exceptions` of native/exceptions.h, which explains the fields."""

    _fields_ = (
        *((name, _Set) for name in _SETS),
        ("priorities", ctypes.c_uint8 * EXCEPTIONS),
        ("words", ctypes.c_uint32 * 1024),
        ("count", ctypes.c_uint32),
        ("group_shift", ctypes.c_uint32),
        ("control", ctypes.c_uint32),
        ("reload", ctypes.c_uint32),
        ("start", ctypes.c_uint64),
        ("seen", ctypes.c_int64),
        ("alarm", ctypes.c_uint64),
        *((name, ctypes.c_uint32) for name in (*_FLAGS, *CYCLES)),
        ("ids", ctypes.c_int * IDS),
        ("memories", ctypes.c_uint32),
        ("memory", MemoryState * MEMORIES),
        *((name, ctypes.c_void_p) for name in ("counters", "reg_write", "load", "store")),
    )


class Numbers(MutableSet[int]):
    """A set of exception numbers that lies in the shared state."""

    def __init__(self, words: Any) -> None:
        self._words = words

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int) or not 0 <= number < EXCEPTIONS:
            return False
        return bool(self._words[number >> 5] >> (number & 31) & 1)

    def __iter__(self) -> Iterator[int]:
        bits = int.from_bytes(self._words, "little")
        while bits:
            yield (bits & -bits).bit_length() - 1
            bits &= bits - 1

    def __len__(self) -> int:
        return int.from_bytes(self._words, "little").bit_count()

    def add(self, value: int) -> None:
        """Put a number in."""
        self._words[value >> 5] |= 1 << (value & 31)

    def discard(self, value: int) -> None:
        """Take a number out, if it is in."""
        self._words[value >> 5] &= ~(1 << (value & 31))

    def clear(self) -> None:
        """Take all out."""
        ctypes.memset(self._words, 0, ctypes.sizeof(self._words))


class Words:
    """Registers of the system control space that only remember, by their offset."""

    def __init__(self, words: Any) -> None:
        self._words = words

    def __getitem__(self, offset: int) -> int:
        return int(self._words[offset >> 2])

    def __setitem__(self, offset: int, value: int) -> None:
        self._words[offset >> 2] = value & 0xFFFFFFFF

    def clear(self) -> None:
        """All 0."""
        ctypes.memset(self._words, 0, ctypes.sizeof(self._words))
