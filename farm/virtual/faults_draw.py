"""Numbers that look like chance and are the same on every run, machine and version of Python."""

from __future__ import annotations

import hashlib


class Draw:
    """The numbers that belong to one text, one after the other."""

    def __init__(self, text: str) -> None:
        self._text, self._count = text, 0

    def below(self, limit: int) -> int:
        """The next number from 0 to `limit` - 1, of at most 2^64."""
        self._count += 1
        digest = hashlib.sha256(f"{self._text} {self._count}".encode()).digest()
        return int.from_bytes(digest[:16]) % limit

    def noise(self, size: int) -> bytes:
        """The next so many bytes."""
        self._count += 1
        return hashlib.shake_128(f"{self._text} {self._count}".encode()).digest(size)

    def happens(self, chance: float) -> bool:
        """Whether something of this probability (0..1) happens the next time."""
        return self.below(1 << 53) < chance * (1 << 53)
