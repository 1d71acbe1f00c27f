"""Tables and figures of a Markdown page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NONE = "-"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; columns whose name ends in a blank are aligned to the right."""
    marks = ["---:" if name.endswith(" ") else "---" for name in head]
    names = [name.strip() for name in head]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in (names, marks, *cells))


def each(amount: float | None, count: int, digits: int = 2) -> str:
    """The amount by the count; a dash where one of them is missing."""
    return NONE if amount is None or not count else f"{amount / count:.{digits}f}"


def whole(value: int | None) -> str:
    """With commas; a dash for none."""
    return NONE if value is None else f"{value:,}"
