"""The plan of --boards-dry-run: which board each test would take, if all were free."""

from collections.abc import Iterator, Sequence

import pytest

from farm.errors import NoBoardError
from farm.leases.quarantine import quarantine_reason
from farm.plugin.choices import NO_BOARDS, meant, of_choice, selection
from farm.plugin.wishes import Wish, wish_of

_USES = ("boards", "farm", "measure")


def lines(config: pytest.Config, items: Sequence[pytest.Item]) -> Iterator[str]:
    """One line a test, in the order in which they would run."""
    for item in items:
        yield f"{item.nodeid}: {_who(config, item)}"


def _who(config: pytest.Config, item: pytest.Item) -> str:
    names = getattr(item, "fixturenames", ())
    hil = item.get_closest_marker("hil") is not None
    if not hil and not any(name in names for name in _USES):
        return "no board"
    try:
        rack, boards = selection(config)
        if "boards" not in names:
            return "through the farm: any of " + ", ".join(board.id for board in boards)
        wish = _wish(item)
        matching = meant(rack, boards, wish)
    except NoBoardError as error:
        return f"skipped: {error}"
    able = [board.id for board in matching if quarantine_reason(board) is None]
    if len(able) < wish.count:
        return f"skipped: {wish.count} boards needed, {len(able)} in service"
    others = f" (or {', '.join(able[wish.count :])})" if len(able) > wish.count else ""
    return ", ".join(able[: wish.count]) + others


def _wish(item: pytest.Item) -> Wish:
    callspec = getattr(item, "callspec", None)
    choice = str(callspec.params.get("boards", NO_BOARDS)) if callspec else NO_BOARDS
    return of_choice(wish_of(item), choice)
