"""What a UART reads of bytes that were sent at another rate than its own."""

from __future__ import annotations

from functools import lru_cache

_DATA_BITS = 8


def as_received(data: bytes, sent_baud: float, read_baud: float) -> bytes:
    """The bytes as read: right up to about 5.8 % of difference, 8N1. A rate of 0 is not known.

    Each bit is sampled in its middle by the receiver's clock, counted from the start bit; behind
    the stop bit the line is idle. The receiver finds the next start bit afresh.
    """
    if sent_baud <= 0 or read_baud <= 0 or sent_baud == read_baud:
        return data
    return data.translate(_table(sent_baud / read_baud))


@lru_cache(maxsize=16)
def _table(ratio: float) -> bytes:
    return bytes(_sample(byte, ratio) for byte in range(256))


def _sample(byte: int, ratio: float) -> int:
    """The byte whose bits, after the start bit, are seen `ratio` bit times apart."""
    levels = ~0 << _DATA_BITS + 1 | byte << 1  # start bit 0, data from the lowest bit, stop, idle
    seen = (levels >> int((bit + 1.5) * ratio) & 1 for bit in range(_DATA_BITS))
    return sum(level << bit for bit, level in enumerate(seen))
