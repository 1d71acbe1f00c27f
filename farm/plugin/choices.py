"""Which boards --boards selects, and which tests the markers make of them; no board is touched."""

import pytest

from farm.errors import InventoryError, NoBoardError
from farm.plugin.options import setting_of
from farm.plugin.wishes import Wish
from farm.rack.inventory import Board, Rack, load_rack, select

NO_BOARDS = "no boards"


def selection(config: pytest.Config) -> tuple[Rack, tuple[Board, ...]]:
    """The rack and the selected boards; NoBoardError without, UsageError for a broken file."""
    selector = setting_of(config, "boards")
    if not selector:
        raise NoBoardError("no boards selected; use --boards, for example --boards virtual")
    try:
        rack = load_rack(setting_of(config, "boards-file") or None)
        return rack, select(rack, selector)
    except InventoryError as error:
        raise pytest.UsageError(str(error)) from error


def check_rack(config: pytest.Config) -> None:
    """Raise pytest.UsageError for a rack file that is wrong."""
    try:
        selection(config)
    except NoBoardError:
        return  # the tests are skipped


def choices(config: pytest.Config, wish: Wish) -> list[str]:
    """The ids of the tests that `each` makes of one; one that is skipped, without boards."""
    try:
        rack, boards = selection(config)
        wanted = {board.id for board in select(rack, wish.selector or "all")}
    except NoBoardError:
        return [NO_BOARDS]
    names = [b.type.name if wish.each == "type" else b.id for b in boards if b.id in wanted]
    return list(dict.fromkeys(names)) or [NO_BOARDS]


def of_choice(wish: Wish, choice: str) -> Wish:
    """The wish of one of the tests that `each` made."""
    if choice == NO_BOARDS:
        return wish
    selector = f"type={choice}" if wish.each == "type" else choice
    return Wish(selector, wish.count, image=wish.image)
