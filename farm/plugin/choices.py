"""Which boards --boards selects, and which tests the markers make of them; no board is touched."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from farm.errors import InventoryError, NoBoardError
from farm.plugin.options import setting_of
from farm.plugin.wishes import Wish
from farm.rack.inventory import Board, Rack, load_rack, select
from farm.rack.rack_checks import own_consoles

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
        own_consoles(*selection(config))
    except NoBoardError:
        return  # the tests are skipped
    except InventoryError as error:
        raise pytest.UsageError(str(error)) from error


def meant(rack: Rack, boards: Sequence[Board], wish: Wish) -> list[Board]:
    """The boards, out of those that --boards selects, that a wish means; NoBoardError for none.

    One in maintenance is selected by its id alone, and then as good as the others.
    """
    selected = {board.id for board in boards}
    every = (replace(b, state="active") if b.id in selected else b for b in rack.boards)
    ids = {b.id for b in select(replace(rack, boards=tuple(every)), wish.selector or "all")}
    return [board for board in boards if board.id in ids]


def choices(config: pytest.Config, wish: Wish) -> list[str]:
    """The ids of the tests that `each` makes of one; one that is skipped, without boards."""
    try:
        boards = meant(*selection(config), wish)
    except NoBoardError:
        return [NO_BOARDS]
    names = [board.type.name if wish.each == "type" else board.id for board in boards]
    return list(dict.fromkeys(names)) or [NO_BOARDS]


def of_choice(wish: Wish, choice: str) -> Wish:
    """The wish of one of the tests that `each` made."""
    if choice == NO_BOARDS:
        return wish
    selector = f"type={choice}" if wish.each == "type" else choice
    return Wish(selector, wish.count, image=wish.image)
