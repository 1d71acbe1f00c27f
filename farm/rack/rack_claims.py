"""What each board of a rack has to itself: its id, its probe, its console, its power."""

import posixpath
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field

from farm.rack.board import Board, PowerSpec, normal_uid, plain_uid

_ANY = "any interface"


@dataclass(frozen=True)
class Clash:
    """What two boards may not share: the key of boards.yaml and a sentence."""

    key: str
    problem: str


@dataclass(frozen=True)
class Claims:
    """Of the boards added so far; each question takes the same time, however many there are."""

    _owners: dict[Hashable, str] = field(default_factory=dict)

    def add(self, board: Board) -> Clash | None:
        """Enter a board; what it would share with an earlier one, and then it is not entered."""
        for key, wanted, problem in _wanted(board):
            if owner := next((self._owners[w] for w in wanted if w in self._owners), ""):
                return Clash(key, problem.format(owner))
        for claim in _claims(board):
            self._owners.setdefault(claim, board.id)
        return None


def _wanted(board: Board) -> Iterator[tuple[str, Iterable[Hashable], str]]:
    """Claims of others that a board cannot live with: key, claims, what is wrong."""
    same = f"id {board.id!r} is that of {{}}, but for small and capital letters"
    yield "id", [("id", board.id)], f"id {board.id!r} stands twice"
    yield "id", [("small id", board.id.lower())], same
    probe = normal_uid(board.probe)
    yield "probe", [("probe", probe)], f"probe {board.probe!r} is also the probe of {{}}"
    yield "serial", list(_consoles_wanted(board)), "serial is also the console of {}"
    if board.power:
        cut = "power is also that of {}; cutting it would end both"
        yield "power", [("power", _switch(board.power))], cut
        where = _socket(board.power)
        cut = "power hangs behind that of {}, whose cut would end both; use one switch for each"
        yield "power", [("power", above) for above in _above(where)], cut
        cut = "power is also that of what {} hangs behind; cutting it would end both"
        yield "power", [("below", where)] if where else [], cut


def _claims(board: Board) -> Iterator[Hashable]:
    yield ("id", board.id)
    yield ("small id", board.id.lower())
    yield ("probe", normal_uid(board.probe))
    yield from _consoles(board)
    if board.power:
        yield ("power", _switch(board.power))
        yield from (("below", above) for above in _above(_socket(board.power)))


def _consoles(board: Board) -> Iterator[Hashable]:
    """The board's console by its names; a virtual one's is its daemon's."""
    if not board.virtual and (number := _number(board)):
        yield ("number", number, board.serial.interface)
        yield ("number", number, _ANY)
    elif not board.virtual:
        value = board.serial.value
        by_path = board.serial.by == "path"
        yield ("console", "/" + posixpath.normpath(value).lstrip("/") if by_path else value)


def _consoles_wanted(board: Board) -> Iterator[Hashable]:
    """A number without an interface clashes with each of them, and each with it."""
    number = _number(board)
    if board.virtual or not number:
        yield from _consoles(board)
    elif board.serial.interface is None:
        yield ("number", number, _ANY)
    else:
        yield ("number", number, board.serial.interface)
        yield ("number", number, None)


def _number(board: Board) -> str:
    """The USB serial number that the console is found by, '' for one by its place."""
    by = board.serial.by
    if by not in ("probe", "serial"):
        return ""
    return plain_uid(board.probe_uid if by == "probe" else board.serial.value)


def _switch(power: PowerSpec) -> Hashable:
    return _socket(power) if power.hub else (power.off, power.on)


def _socket(power: PowerSpec) -> str:
    """The USB socket that is switched, as 1-1.4.2 for port 2 of hub 1-1.4."""
    return f"{power.hub}{'.' if '-' in power.hub else '-'}{power.port}" if power.hub else ""


def _above(socket: str) -> list[str]:
    """Sockets whose power this one's hangs on: 1-1 and 1-1.4 of 1-1.4.2."""
    parts = socket.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]
