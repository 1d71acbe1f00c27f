"""`tinyrack rack fault`: what a virtual board shall suffer, shown, begun or ended."""

from argparse import Namespace
from dataclasses import asdict
from typing import Any

from farm.commands.audited import audited
from farm.errors import InventoryError
from farm.output import print_json, print_line
from farm.rack.inventory import Board, Rack, load_rack, select
from farm.virtual import faults


def run(args: Namespace) -> int:
    """Begin one fault, end all with --clear, or show what is wrong (also --list)."""
    if args.list_kinds:
        return _kinds(args)
    if not args.board:
        raise InventoryError("a fault of which board? write `rack fault BOARD KIND`")
    if args.kind and (args.clear or args.list):
        raise InventoryError("a fault either begins, or all are cleared or listed: name one")
    rack = load_rack(args.boards_file)
    board = _board(args, rack)
    if args.clear:
        with audited(rack, "fault", board, clear=1):
            count = faults.clear(board)
        return _say(args, board, {"cleared": count}, f"cleared: {count}")
    if not args.kind:
        found = [each.to_json() for each in faults.active(board)]
        lines = [str(each) for each in faults.active(board)]
        return _say(args, board, {"active": found}, "\n".join(lines) or "nothing is wrong with it")
    what = faults.parse(args.kind, args.settings, args.seed)
    with audited(rack, "fault", board, fault=str(what)):
        facts = faults.inject(board, what)
    where = "".join(f", {name} {_shown(value)}" for name, value in facts.items())
    return _say(args, board, {"fault": what.to_json()} | facts, f"{what}{where}")


def _kinds(args: Namespace) -> int:
    """Show every kind of fault with its parameters."""
    if args.json:
        rows = [
            {"kind": k.name, "help": k.help, "survives": k.survives}
            | {"parameters": [asdict(p) for p in k.parameters]}
            for k in faults.KINDS.values()
        ]
        print_json({"results": rows})
        return 0
    for kind in faults.KINDS.values():
        print_line(f"{kind.name}: {kind.help} ({kind.survives})")
        for p in kind.parameters:
            choices = f", one of {', '.join(p.choices)}" if p.choices else ""
            print_line(f"    {p.name}={p.default}  {p.help}{choices}")
    return 0


def _board(args: Namespace, rack: Rack) -> Board:
    found = select(rack, args.board)
    if len(found) != 1:
        raise InventoryError(f"{args.board!r} means {len(found)} boards; a fault takes one")
    return found[0]


def _shown(value: object) -> str:
    return " ".join(f"{at:#010x}" for at in value) if isinstance(value, list) else str(value)


def _say(args: Namespace, board: Board, facts: dict[str, Any], text: str) -> int:
    if args.json:
        print_json({"results": [{"board": board.id, "board_type": board.type.name} | facts]})
    else:
        print_line(f"{board.id}: {text}" if "\n" not in text else text)
    return 0
