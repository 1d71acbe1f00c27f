"""`tinyrack boards`: what is in the rack and how it is; `boards check`."""

import difflib
import importlib
from argparse import Namespace
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from farm import lease, targets
from farm.errors import InventoryError
from farm.inventory import Board, Rack, load_rack, select, warnings
from farm.mcus import load_mcu
from farm.measure import Measurement
from farm.output import note, print_json, print_line, print_table
from farm.store import Store
from farm.virtual.parts import part_names


def run(args: Namespace) -> int:
    """Show every board, or those selected."""
    rack = load_rack(args.boards_file)
    boards = select(rack, args.boards) if args.boards else rack.boards
    with Store(rack=rack) as store:
        rows = [_row(board, store.last(board.id)) for board in boards]
    if args.json:
        print_json({"results": rows})
    else:
        columns = ("id", "type", "state", "health", "holder", "last measurement")
        print_table(str(rack.path), columns, [_cells(row) for row in rows])
    return 0


def check(args: Namespace) -> int:
    """Validate the rack file and what it refers to."""
    rack = load_rack(args.boards_file)
    for board_type in rack.types.values():
        load_mcu(board_type.mcu)
    for board in rack.boards:
        _check_virtual(board)
    doubts = [*warnings(rack), *_unknown_targets(rack)]
    for doubt in doubts:
        note(f"warning: {doubt}")
    if args.json:
        print_json(_summary(rack, doubts))
    else:
        print_line(f"{rack.path}: {len(rack.boards)} boards of {len(rack.types)} types, in order")
    return 0


def _row(board: Board, last: Measurement | None) -> dict[str, Any]:
    reason = lease.quarantine_reason(board)
    held = lease.holder(board)
    return {
        "board": board.id,
        "board_type": board.type.name,
        "virtual": board.virtual,
        "probe": board.probe,
        "tags": dict(board.tags),
        "state": board.state,
        "health": "good" if reason is None else "quarantined",
        "reason": reason or "",
        "holder": asdict(held) if held else None,
        "last": last.to_json() if last else None,
    }


def _cells(row: dict[str, Any]) -> list[object]:
    kind = " (virtual)" if row["virtual"] else ""
    health = f"{row['health']}: {row['reason']}" if row["reason"] else row["health"]
    holder = row["holder"]
    who = f"process {holder['pid']}{', expired' if holder['expired'] else ''}" if holder else None
    return [row["board"], row["board_type"] + kind, row["state"], health, who, _last(row["last"])]


def _last(m: dict[str, Any] | None) -> str | None:
    if m is None:
        return None
    cost = f"{m['cycles']:,} cycles" if m["status"] == "ok" else m["status"]
    kind = " (virtual)" if m["virtual"] else ""
    return f"{m['name']}: {cost}{kind}, {m['utc']}"


def _check_virtual(board: Board) -> None:
    if board.virtual and board.type.mcu not in part_names():
        names = ", ".join(part_names())
        raise InventoryError(
            f"board {board.id}: no virtual {board.type.mcu} exists (have: {names})"
        )


def _unknown_targets(rack: Rack) -> list[str]:
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
