"""Selectors: which boards a user means by `type=nucleo-f767zi,rack=A`."""

from collections.abc import Callable, Collection, Iterable, Sequence

from farm.errors import NoBoardError
from farm.rack.board import Board
from farm.rack.yaml_fields import near_miss

RESERVED = ("all", "virtual")


def chosen(
    boards: Sequence[Board], types: Collection[str], selector: str, source: str
) -> tuple[Board, ...]:
    """The boards that a comma list of terms means, in their own order; see inventory.select.

    source: the file, for messages. Raises NoBoardError for a term that matches nothing.
    """
    terms = [term.strip() for term in selector.split(",") if term.strip()]
    if not terms:
        raise NoBoardError(f"the board selector {selector!r} is empty; try 'all'")
    ids = {board.id for term in terms for board in _matching(boards, types, term, source)}
    return tuple(board for board in boards if board.id in ids)


def _matching(
    boards: Sequence[Board], types: Collection[str], term: str, source: str
) -> Sequence[Board]:
    if "=" not in term and term not in RESERVED:
        return [_named(boards, term, source)]
    wanted = _predicate(term)
    found = [board for board in boards if board.state == "active" and wanted(board)]
    if not found:
        values = _known_values(boards, types, term.partition("=")[0])
        raise NoBoardError(f"no active board matches {term!r} in {source}{values}")
    return found


def _named(boards: Sequence[Board], board_id: str, source: str) -> Board:
    for board in boards:
        if board.id == board_id and board.state != "retired":
            return board
        if board.id == board_id:
            raise NoBoardError(f"board {board_id!r} is retired in {source}")
    hint = near_miss(board_id, [board.id for board in boards])
    raise NoBoardError(f"no board {board_id!r} in {source}{hint}")


def _predicate(term: str) -> Callable[[Board], bool]:
    key, _, value = term.partition("=")
    if term == "all":
        return lambda _: True
    if term == "virtual":
        return lambda board: board.virtual
    if key == "type":
        return lambda board: board.type.name == value
    return lambda board: board.tags.get(key) == value


def _known_values(boards: Sequence[Board], types: Collection[str], key: str) -> str:
    values: Iterable[str] = [b.tags[key] for b in boards if key in b.tags]
    values = types if key == "type" else values
    return f" (known: {', '.join(sorted(set(values)))})" if values else ""
