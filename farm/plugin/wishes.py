"""What a test wants of the rack, by its `board` marker: read, checked, and put in order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest

MOST_BOARDS = 64
USAGE = '@pytest.mark.board(selector="", count=1, each=False | True | "type", image="")'
Each = bool | str


@dataclass(frozen=True)
class Wish:
    """`count` boards that `selector` means (any, if empty), out of those of --boards.

    each: one test a board (True), or one a board type ("type", with `count` boards of it).
    image: what the test flashes, in any words; tests of one image come after one another.
    """

    selector: str = ""
    count: int = 1
    each: Each = False
    image: str = ""


def wish_of(node: pytest.Item) -> Wish:
    """What the nearest marker says; pytest.UsageError when it is malformed."""
    marker = node.get_closest_marker("board")
    return Wish() if marker is None else parse(node.nodeid, marker)


def parse(where: str, marker: pytest.Mark) -> Wish:
    """The marker's wish; pytest.UsageError names the test."""
    try:
        wish = Wish(*marker.args, **marker.kwargs)
    except TypeError:
        raise pytest.UsageError(f"{where}: use {USAGE}") from None
    fine = (
        len(marker.args) <= 2
        and isinstance(wish.selector, str)
        and isinstance(wish.image, str)
        and type(wish.count) is int
        and 1 <= wish.count <= MOST_BOARDS
        and wish.each in (False, True, "type")
        and not (wish.each is True and wish.count > 1)
    )
    if not fine:
        raise pytest.UsageError(f"{where}: use {USAGE}; each=True is for one board a test")
    return wish


def grouped(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The tests of one board, and of one image on it, after one another within each file.

    Everything else keeps its place: files as they come, groups by their first test, and a test
    without a board where it stood among the first tests of groups.
    """
    first: dict[tuple[str, ...], int] = {}
    ranks: dict[int, tuple[int, ...]] = {}
    for number, item in enumerate(items):
        file = (str(item.path),)
        keys: list[tuple[str, ...]] = [file]
        for word in _words(item) or (str(number),):
            keys.append((*keys[-1], word))
        ranks[id(item)] = (*(first.setdefault(key, number) for key in keys), number)
    return sorted(items, key=lambda item: ranks[id(item)])


def _words(item: pytest.Item) -> tuple[str, ...]:
    """What a test keeps a board busy with, from the outside in; nothing for one without."""
    if "boards" not in getattr(item, "fixturenames", ()):
        return ()
    wish = wish_of(item)
    callspec = getattr(item, "callspec", None)
    chosen = callspec.params.get("boards", "") if callspec else ""
    return (f"board {chosen or wish.selector} {wish.count}", f"image {wish.image}")


def check_all(items: Iterable[pytest.Item]) -> None:
    """Refuse malformed markers before anything runs."""
    for item in items:
        for marker in item.iter_markers("board"):
            parse(item.nodeid, marker)
        names = getattr(item, "fixturenames", ())
        if "measure" in names and "boards" not in names and wish_of(item).each:
            raise pytest.UsageError(f"{item.nodeid}: with each=, ask for `board` beside `measure`")


def check_made(items: Iterable[pytest.Item]) -> None:
    """Refuse tests with `each` of which no tests were made: pytest makes them before it sees it."""
    for item in items:
        made = "boards" in getattr(getattr(item, "callspec", None), "params", {})
        if not made and "boards" in getattr(item, "fixturenames", ()) and wish_of(item).each:
            what = "each= is for a test's marker, not a parameter's"
            raise pytest.UsageError(f"{item.nodeid}: {what}")
