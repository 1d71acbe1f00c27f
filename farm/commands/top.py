"""`tinyrack top`: the rack live: boards, who holds them, what they are at, queue and throughput."""

import signal
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from farm.output import console, plain, print_json, span
from farm.overview import WINDOW_S, BoardNow, Overview, overview
from farm.rack.board import Board
from farm.rack.inventory import load_rack, select
from farm.store import Store

COLORS = {
    "free": "green", "busy": "cyan", "hung": "red", "quarantined": "red",
    "maintenance": "yellow", "retired": "dim",
}  # fmt: skip


_URGENT = ("quarantined", "hung", "busy", "free", "maintenance", "retired")
_WORN = 3  # warnings of wear, at most


@dataclass(frozen=True)
class Column:
    """Shown where the terminal has `from_columns`; share: of the room that is left, 0 for none."""

    name: str
    text: Callable[[BoardNow], str]
    from_columns: int = 0
    share: int = 0
    justify: Literal["left", "right"] = "left"


def _type(now: BoardNow) -> str:
    return f"{now.board.type.name}{' (virtual)' if now.board.virtual else ''}"


def _who(now: BoardNow) -> str:
    held = now.holder
    return f"{held.user}, process {held.pid}" if held and held.pid else ""


def _doing(now: BoardNow) -> str:
    """Why it is quarantined, else its step; the step before the job, whose name may be long."""
    held = now.holder
    if now.quarantine or held is None:
        return now.quarantine
    job, _, step = held.doing.rpartition(": ")
    return f"{step}: {job}" if job and job != "recovery" else held.doing or held.purpose


def _golden(now: BoardNow) -> str:
    return "" if now.golden is None else "right" if now.golden.ok else "WRONG"


def _happened(now: BoardNow) -> str:
    happened = {**now.measured, **now.recovered}
    return _counts(happened) if happened else ""


_COLUMNS = (
    Column("board", lambda now: now.board.id),
    Column("type", _type, 110),
    Column("status", lambda now: now.status),
    Column("held by", _who, 110),
    Column("for", lambda now: span(now.holder.seconds) if now.holder else "", justify="right"),
    Column("doing", _doing, share=3),
    Column("waiting", lambda now: str(now.waiting or ""), justify="right"),
    Column("golden", _golden, 130),
    Column("5 min", _happened, share=2),
)


def run(args: Namespace) -> int:
    """Show the rack until interrupted, or once where nobody looks at it live."""
    rack = load_rack(args.boards_file)
    boards = select(rack, args.boards) if args.boards else rack.boards
    with Store(args.store, rack=rack) as store:
        if args.json:
            print_json(as_json(overview(boards, store)))
        elif args.once or not console().is_terminal or console().is_dumb_terminal:
            out = console()
            out.print(shown(overview(boards, store), out.width))
        else:
            _live(boards, store, args.interval)
    return 0


def shown(now: Overview, columns: int, lines: int | None = None) -> RenderableType:
    """The picture of one moment, for a terminal of that size; lines None: as many as it takes.

    Where not all boards have room, those in trouble and those at work come first.
    """
    worn = [_line(each.worn, COLORS["quarantined"]) for each in now.boards if each.worn][:_WORN]
    managers = list(map(_line, _managers(now)))
    room = lines and max(1, lines - 2 - len(managers) - len(worn))
    boards, more = _with_room(now.boards, room)
    chosen = [column for column in _COLUMNS if columns >= column.from_columns]
    table = Table(box=None, header_style="bold", pad_edge=False, expand=True)
    for column in chosen:
        table.add_column(column.name, justify=column.justify, ratio=column.share or None,
                         no_wrap=True, overflow="ellipsis")  # fmt: skip
    for each in boards:
        style = COLORS[each.status] if each.status == "retired" else ""
        table.add_row(*(_cell(column, each, columns // 4) for column in chosen), style=style)
    return Group(_line(_summary(now), "bold"), table, *map(_line, more), *managers, *worn)


def _with_room(
    boards: Sequence[BoardNow], most: int | None
) -> tuple[Sequence[BoardNow], Sequence[str]]:
    """The boards that are shown, and a line about the others."""
    if most is None or len(boards) <= most:
        return boards, ()
    ordered = sorted(boards, key=lambda each: _URGENT.index(each.status))
    hidden = Counter(each.status for each in ordered[most - 1 :])
    return ordered[: most - 1], [f"not shown: {_counts(hidden)}"]


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
            "worn": each.worn,
        }
        for each in now.boards
    ]
    managers = [asdict(desk) for desk in now.desks]
    facts = {"utc": now.utc, "window_s": WINDOW_S, "per_minute": now.per_minute}
    return {"results": rows, "managers": managers} | facts


def _live(boards: Sequence[Board], store: Store, interval_s: float) -> None:
    """Until Ctrl-C or SIGTERM, which is how it is meant to end; the terminal is as it was."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Live(screen=True, auto_refresh=False) as live:
        try:
            while True:
                size = live.console.size
                now = overview(boards, store)
                live.update(shown(now, size.width, size.height), refresh=True)
                time.sleep(interval_s)
        except KeyboardInterrupt:
            return


def _summary(now: Overview) -> str:
    counts = {name: sum(each.status == name for each in now.boards) for name in COLORS}
    states = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    virtual = sum(each.board.virtual for each in now.boards)
    kinds = f" ({virtual} virtual)" if virtual else ""
    rate = f"{now.per_minute:.1f} measurements a minute"
    count = len(now.boards)
    return f"{count} board{'s' * (count != 1)}{kinds}: {states}; {rate}; {now.utc[11:19]} UTC"


def _managers(now: Overview) -> list[str]:
    """Of each the queue: how many jobs wait, and how many are with a board."""
    return [f"manager {desk.pid} of {desk.user}: {_counts(desk.facts)}" for desk in now.desks]


def _line(text: str, style: str = "") -> Text:
    return Text(plain(text), style=style, no_wrap=True, overflow="ellipsis")


def _cell(column: Column, now: BoardNow, most: int) -> Text:
    """Texts of columns that share no room are cut in their middle when longer than `most`."""
    text = column.text(now)
    if not column.share and len(text) > most:
        text = f"{text[: most // 2]}…{text[-(most - most // 2 - 1) :]}"
    return _line(text, COLORS[now.status] if column.name == "status" else "")


def _counts(facts: Mapping[str, int]) -> str:
    """Those that are not zero; "nothing" where all are."""
    return ", ".join(f"{count} {name}" for name, count in facts.items() if count) or "nothing"
