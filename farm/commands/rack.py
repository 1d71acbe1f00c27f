"""`tinyrack rack up|down|status|power`: the virtual rack."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, get_args

from farm.commands.audited import audited
from farm.errors import BoardsBusyError, InventoryError
from farm.leases.lease import exclusive, holder_of_virtual
from farm.output import note, print_json, print_line, print_table
from farm.rack.inventory import Board, find_rack, load_rack, rack_path, select
from farm.virtual import rack, registry

_COLUMNS = ("board", "probe", "core", "process", "console", "cycle table", "faults")


def up(args: Namespace) -> int:
    """Start virtual boards; those that are up stay as they are."""
    boards = _virtual(select(load_rack(args.boards_file), args.boards), args.boards)
    rack.up(boards)
    return _show(args, boards, strays=False)


def down(args: Namespace) -> int:
    """End virtual boards that nobody holds: those selected, else all, also of other rack files."""
    uids = None
    if args.boards:
        boards = _virtual(select(load_rack(args.boards_file), args.boards), args.boards)
        uids = [board.probe_uid for board in boards]
    _refuse_held(args, uids)
    ended = rack.down(uids)
    if args.json:
        print_json({"results": [{"uid": uid, "alive": False} for uid in ended]})
    else:
        print_line(f"ended: {', '.join(ended) or 'none was up'}")
    return 0


def _refuse_held(args: Namespace, uids: Sequence[str] | None) -> None:
    """Raise BoardsBusyError when somebody uses one of them, unless --force."""
    running = registry.held_uids() if uids is None else uids
    held = {uid: by for uid in running if (by := holder_of_virtual(uid))}
    if held and not args.force:
        who = ", ".join(
            f"{uid} is held by process {by.pid} of {by.user}" for uid, by in held.items()
        )
        raise BoardsBusyError(f"{who}; nothing was ended: end that first, or use --force")


def status(args: Namespace) -> int:
    """Show the virtual boards of the rack file, and those that run without being in it."""
    boards: Sequence[Board] = ()
    found = load_rack(args.boards_file) if args.boards else find_rack(args.boards_file)
    if found is not None:
        chosen = select(found, args.boards) if args.boards else found.boards
        boards = [board for board in chosen if board.virtual]
    else:
        note(f"no rack file {rack_path()} here; showing what runs")
    return _show(args, boards, strays=not args.boards)


def power(args: Namespace) -> int:
    """Switch boards that nobody holds off or on, or off and on: RAM is lost, flash stays."""
    *ids, switch = args.board if args.board[-1] in get_args(rack.Switch) else (*args.board, "cycle")
    if not ids:
        raise InventoryError(f"power {switch} of which board? write `rack power BOARD {switch}`")
    found = load_rack(args.boards_file)
    boards = _virtual(select(found, ",".join(ids)), " ".join(ids))
    for board in boards:
        with audited(found, "power", board, switch=switch), exclusive(board, args.wait):
            rack.power(board, switch)
    rows = [
        {"board": b.id, "board_type": b.type.name, "virtual": True}
        | {"power": "off" if switch == "off" else "on", "power_cycled": switch == "cycle"}
        for b in boards
    ]
    if args.json:
        print_json({"results": rows})
    else:
        print_line(f"power {switch}: {', '.join(board.id for board in boards)}")
    return 0


def _virtual(boards: Sequence[Board], selector: str) -> list[Board]:
    found = [board for board in boards if board.virtual]
    if not found:
        raise InventoryError(f"no board of {selector!r} is virtual; real ones need no rack up")
    return found


def _show(args: Namespace, boards: Sequence[Board], *, strays: bool) -> int:
    running = {found.uid: found for found in rack.status()}
    rows: list[dict[str, Any]] = []
    for board in boards:
        found = running.pop(board.probe_uid, None)
        facts = asdict(found) if found else {"uid": board.probe_uid, "alive": False}
        rows.append({"board": board.id, "board_type": board.type.name, "virtual": True} | facts)
    if strays:
        rows += [
            {"board": "", "board_type": "", "virtual": True} | asdict(f) for f in running.values()
        ]
    if args.json:
        print_json({"results": rows})
    else:
        print_table("", _COLUMNS, _cells(rows))
    return 0


def _cells(rows: Sequence[dict[str, Any]]) -> list[list[object]]:
    keys = ("uid", "core", "pid", "tty", "timing_model", "faults")
    return [
        [row["board"] or "(not in the file)"] + [_told(row).get(k) for k in keys] for row in rows
    ]


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """The row with words for its core and its faults; what a dead daemon left tells nothing."""
    if not row["alive"]:
        return {"uid": row["uid"], "core": "down"}
    core = "power off" if row["state"] == "off" else row["state"]
    unplugged = () if row["probe_present"] else ("probe unplugged",)
    return row | {"core": core, "faults": "; ".join((*unplugged, *row["faults"])) or None}
