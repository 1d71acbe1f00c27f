"""`tinyrack top`: the rack live: boards, who holds them, what they are at, queue and throughput."""

import sys
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from farm.board import Board
from farm.inventory import load_rack, select
from farm.output import plain, print_json
from farm.overview import WINDOW_S, BoardNow, Overview, overview
from farm.store import Store

COLORS = {
    "free": "green", "busy": "cyan", "hung": "red", "quarantined": "red",
    "maintenance": "yellow", "retired": "dim",
}  # fmt: skip
_COLUMNS = ("board", "type", "status", "held by", "for", "doing", "waiting", "golden", "5 min")


def run(args: Namespace) -> int:
    """Show the rack until interrupted, or once where nobody looks at it live."""
    rack = load_rack(args.boards_file)
    boards = select(rack, args.boards) if args.boards else rack.boards
    with Store(rack=rack) as store:
        if args.json:
            print_json(as_json(overview(boards, store)))
        elif args.once or not sys.stdout.isatty():
            Console(width=None if sys.stdout.isatty() else 150).print(
                shown(overview(boards, store))
            )
        else:
            _live(boards, store, args.interval)
    return 0


def shown(now: Overview) -> RenderableType:
    """The picture of one moment."""
    table = Table(box=None, header_style="bold")
    for column in _COLUMNS:
        table.add_column(column)
    for each in now.boards:
        table.add_row(*_cells(each), style=COLORS[each.status] if each.status == "retired" else "")
    return Group(Text(_summary(now), style="bold"), table, *_managers(now))


def as_json(now: Overview) -> dict[str, Any]:
    """The same for programs."""
    rows = [
        {
            "board": each.board.id,
            "board_type": each.board.type.name,
            "virtual": each.board.virtual,
            "status": each.status,
            "quarantine": each.quarantine,
            "holder": asdict(each.holder) if each.holder else None,
            "waiting": each.waiting,
            "measured": dict(each.measured),
            "recovered": dict(each.recovered),
            "golden": asdict(each.golden) if each.golden else None,
        }
        for each in now.boards
    ]
    managers = [asdict(desk) for desk in now.desks]
    facts = {"utc": now.utc, "window_s": WINDOW_S, "per_minute": now.per_minute}
    return {"results": rows, "managers": managers} | facts


def _live(boards: Sequence[Board], store: Store, interval_s: float) -> None:
    with Live(shown(overview(boards, store)), screen=True, auto_refresh=False) as live:
        while True:  # until Ctrl-C: that is the command
            time.sleep(interval_s)
            live.update(shown(overview(boards, store)), refresh=True)


def _summary(now: Overview) -> str:
    counts = {name: sum(each.status == name for each in now.boards) for name in COLORS}
    states = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{len(now.boards)} boards: {states}; {now.per_minute:.1f} measurements a minute"


def _managers(now: Overview) -> list[RenderableType]:
    return [
        Text(f"manager {desk.pid} of {desk.user}: " + _counts(desk.facts)) for desk in now.desks
    ]


def _cells(each: BoardNow) -> list[str]:
    held = each.holder
    status = f"[{COLORS[each.status]}]{each.status}[/]"
    kind = f"{each.board.type.name}{' (virtual)' if each.board.virtual else ''}"
    who = f"{held.user}, process {held.pid}" if held and held.pid else ""
    doing = each.quarantine or (held.doing or held.purpose if held else "")
    golden = "" if each.golden is None else "right" if each.golden.ok else each.golden.detail
    happened = _counts({**each.measured, **each.recovered})
    texts = (
        who,
        _span(held.seconds) if held else "",
        doing,
        str(each.waiting or ""),
        golden,
        happened,
    )
    return [each.board.id, kind, status, *(escape(plain(text)) for text in texts)]


def _counts(facts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in facts.items())


def _span(seconds: float) -> str:
    """1:05 for a minute and five seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
