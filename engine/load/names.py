"""Names of a file made fit for a `Graph`: printable, not too long, one of each."""

from __future__ import annotations

from engine.load.limits import MAX_NAME_LETTERS


def printable(name: bytes | str | None) -> str:
    """`name` as text without control characters or halves of letters; may be empty."""
    if isinstance(name, bytes):
        name = name[: 4 * MAX_NAME_LETTERS].decode("utf-8", "replace")
    letters = (name or "")[:MAX_NAME_LETTERS]
    return "".join(letter if letter.isprintable() else "_" for letter in letters)


class Names:
    """Gives each name once: a second `x` becomes `x_1`."""

    def __init__(self) -> None:
        self._given: set[str] = set()
        self._next: dict[str, int] = {}

    def unique(self, stem: str) -> str:
        """`stem`, with a number behind it where it is taken."""
        name = stem
        while name in self._given:
            self._next[stem] = self._next.get(stem, 0) + 1
            name = f"{stem}_{self._next[stem]}"
        self._given.add(name)
        return name
