"""`tinyrack boards`: what is in the rack and how it is; `boards check`."""

import difflib
import importlib
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from serial.tools import list_ports

from farm import targets
from farm.errors import InventoryError
from farm.mcus import load_mcu
from farm.measure import Measurement
from farm.output import at, note, print_json, print_line, print_table, span
from farm.overview import BoardNow, overview
from farm.rack.inventory import Board, Rack, load_rack, select, warnings
from farm.rack.rack_checks import consoles_apart, packs_there, programs_missing
from farm.store import Store
from farm.virtual.parts import part_names


def run(args: Namespace) -> int:
    """Show every board, or those selected."""
    rack = load_rack(args.boards_file)
    boards = select(rack, args.boards) if args.boards else rack.boards
    with Store(args.store, rack=rack) as store:
        now = overview(boards, store)
    if args.json:
        print_json({"results": [as_json(each) for each in now.boards]})
    else:
        print_table(str(rack.path), list(_CELLS), map(_cells, now.boards), _FROM_COLUMNS)
    for each in now.boards:
        if each.worn:
            note(f"warning: {each.worn}")
    return 0


def check(args: Namespace) -> int:
    """Validate the rack file and what it refers to."""
    rack = load_rack(args.boards_file)
    for board_type in rack.types.values():
        load_mcu(board_type.mcu)
    packs_there(rack)
    for board in rack.boards:
        _check_virtual(board)
    consoles_apart(rack.boards, list_ports.comports())
    doubts = [*warnings(rack), *unknown_targets(rack), *programs_missing(rack)]
    for doubt in doubts:
        note(f"warning: {doubt}")
    if args.json:
        print_json(_summary(rack, doubts))
    else:
        print_line(f"{rack.path}: {len(rack.boards)} boards of {len(rack.types)} types, in order")
    return 0


def as_json(now: BoardNow) -> dict[str, Any]:
    """One board for programs."""
    board = now.board
    return {
        "board": board.id,
        "board_type": board.type.name,
        "virtual": board.virtual,
        "probe": board.probe,
        "tags": dict(board.tags),
        "state": board.state,
        "health": "quarantined" if now.quarantine else "good",
        "reason": now.quarantine,
        "holder": asdict(now.holder) if now.holder else None,
        "waiting": now.waiting,
        "golden": asdict(now.golden) if now.golden else None,
        "worn_percent": round(now.worn_percent, 2),
        "worn": now.worn,
        "last": now.last.to_json() if now.last else None,
    }


def held_by(now: BoardNow) -> str | None:
    """User, process, what it is at, and for how long; None when nobody holds the board."""
    held = now.holder
    if held is None:
        return None
    who = f"{held.user}, process {held.pid}" if held.pid else "somebody"
    hung = ", hung" if held.expired else ""
    doing = held.doing or held.purpose
    return f"{who}{hung}: {doing}, {span(held.seconds)}" if doing else f"{who}{hung}"


def golden_text(now: BoardNow) -> str | None:
    """How the last golden run went, and when; None when there was none."""
    run = now.golden
    if run is None:
        return None
    return f"{'right' if run.ok else f'WRONG: {run.detail}'}, {at(run.utc)}"


def last_text(m: Measurement | None) -> str | None:
    """The last measurement in a line."""
    if m is None:
        return None
    cost = f"{m.cycles:,} cycles" if m.status == "ok" else m.status
    kind = " (virtual)" if m.virtual else ""
    return f"{m.name}: {cost}{kind}, {at(m.utc)}"


_CELLS: Mapping[str, Callable[[BoardNow], object]] = {
    "id": lambda now: now.board.id,
    "type": lambda now: now.board.type.name + (" (virtual)" if now.board.virtual else ""),
    "state": lambda now: now.board.state,
    "health": lambda now: f"quarantined: {now.quarantine}" if now.quarantine else "good",
    "held by": held_by,
    "waiting ": lambda now: now.waiting or None,
    "golden run": golden_text,
    "worn ": lambda now: f"{now.worn_percent:.2f} %",
    "last measurement": lambda now: last_text(now.last),
}
_FROM_COLUMNS = {"type": 100, "waiting ": 90, "worn ": 110, "golden run": 120,
                 "last measurement": 140}  # fmt: skip


def _cells(now: BoardNow) -> list[object]:
    return [cell(now) for cell in _CELLS.values()]


def _check_virtual(board: Board) -> None:
    if board.virtual and board.type.mcu not in part_names():
        names = ", ".join(part_names())
        raise InventoryError(
            f"board {board.id}: no virtual {board.type.mcu} exists (have: {names})"
        )


def unknown_targets(rack: Rack) -> list[str]:
    """Types whose target only a CMSIS-Pack could provide."""
    targets.register()
    built_in = importlib.import_module("pyocd.target").TARGET
    return [
        f"type {each.name}: pyOCD has no built-in target {each.target!r}"
        f"{_near(each.target, built_in)}; connecting works only where a CMSIS-Pack provides it"
        for each in rack.types.values()
        if each.target not in built_in
    ]


def _near(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _summary(rack: Rack, doubts: Sequence[str]) -> dict[str, Any]:
    rows = [
        {"board": b.id, "board_type": b.type.name, "virtual": b.virtual, "ok": True}
        for b in rack.boards
    ]
    return {"file": str(rack.path), "results": rows, "warnings": list(doubts)}
