"""What Python and native/flash.c both know of a flash controller."""

from __future__ import annotations

import ctypes

WORD_BYTES = 32  # of the widest family


class FlashWord(ctypes.Structure):
    """A word that is being filled and not programmed yet; `struct flash_word`.

    `open`: there is one, at `offset` of the cells; `filled`: a bit for each byte that was stored.
    """

    _fields_ = (
        ("open", ctypes.c_uint32),
        ("offset", ctypes.c_uint32),
        ("filled", ctypes.c_uint32),
        ("value", ctypes.c_uint8 * WORD_BYTES),
    )

    def drop(self) -> None:
        """Forget it."""
        self.open = self.offset = self.filled = 0
        self.value[:] = (0xFF,) * WORD_BYTES

    def fill(self, at: int, data: bytes) -> None:
        """Store bytes at a place inside the word."""
        self.value[at : at + len(data)] = tuple(data)
        self.filled |= lanes(at, len(data))

    def number(self, size: int) -> int:
        """Its first bytes as one number."""
        return int.from_bytes(bytes(self.value)[:size], "little")


class FlashState(ctypes.Structure):
    """`struct flash` of native/board.h."""

    _fields_ = (
        ("bytes", ctypes.c_void_p),
        ("size", ctypes.c_uint32),
        ("base_count", ctypes.c_uint32),
        ("bases", ctypes.c_uint32 * 4),
        ("controller", ctypes.c_void_p),
        ("take", ctypes.c_void_p),
        ("program", ctypes.c_void_p),
        ("watched", ctypes.c_uint32),
        ("code_start", ctypes.c_uint32),
        ("code_end", ctypes.c_uint32),
        ("words", FlashWord * 2),
    )


def lanes(at: int, size: int) -> int:
    """A bit for each of `size` bytes from byte `at` on."""
    return (1 << size) - 1 << at
