"""What commands print: one JSON object or tables on standard output, the rest on error."""

import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from farm.job import Event
from farm.measure import Measurement

PIPE_COLUMNS = 150
Justify: TypeAlias = Literal["left", "right"]


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on one line."""
    sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")
    sys.stdout.flush()


def print_error(args: Namespace, message: str, code: int) -> None:
    """One line on standard error, and with --json an object on standard output."""
    sys.stderr.write(f"tinyrack: {plain(message)}\n")
    if args.json:
        try:
            print_json({"error": message, "exit_code": code})
        except OSError:  # a full disk, or a reader who left: that may be the very error
            drop_output()


def drop_output() -> None:
    """Write what is still to come to standard output nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def console() -> Console:
    """Standard output, as wide as its terminal.

    Into a pipe or a log nothing knows the width: better long lines than lost words.
    """
    return Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS)


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    from_columns: Mapping[str, int] | None = None,
) -> None:
    """A table; columns whose name ends in a blank are aligned to the right.

    The first column is never folded. `from_columns`: how wide a terminal has to be for a column.
    """
    out, least = console(), from_columns or {}
    shown = [at for at, name in enumerate(columns) if out.width >= least.get(name, 0)]
    table = Table(title=title or None, title_justify="left")
    for at in shown:
        justify: Justify = "right" if columns[at].endswith(" ") else "left"
        table.add_column(columns[at].strip(), justify=justify, overflow="fold", no_wrap=not at)
    for row in rows:
        table.add_row(*(_cell(row[at]) for at in shown))
    out.print(table)


def _cell(value: object) -> str:
    return escape("-" if value is None else plain(" ".join(str(value).splitlines())))


def print_line(text: str) -> None:
    """One plain line on standard output."""
    sys.stdout.write(plain(text) + "\n")


def plain(text: str) -> str:
    """The text without control characters: what a board or a file says moves no cursor."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def note(text: str) -> None:
    """One line for the person at the terminal, on standard error."""
    sys.stderr.write(plain(text) + "\n")


def span(seconds: float) -> str:
    """1:05 for a minute and five seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def at(utc: str) -> str:
    """A stored time (ISO 8601) as tables show it, to the second."""
    return utc[:19].replace("T", " ")


class JobProgress:
    """A bar for jobs, fed with the manager's events; a context manager on standard error."""

    def __init__(self, total: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("measuring", total=total)

    def __enter__(self) -> "JobProgress":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if event.kind in ("started", "stage"):
            what = escape(plain(f"{event.job} on {event.board}: {event.detail or 'waiting'}"))
            self._progress.update(self._task, description=what)
        elif event.kind in ("done", "failed"):
            self._progress.advance(self._task)
        elif event.kind == "retried":
            self._progress.console.print(f"again: {escape(plain(f'{event.job}: {event.detail}'))}")


def cost_row(m: Measurement) -> tuple[object, ...]:
    """The cells of COST_COLUMNS for one result."""
    size = (f"{m.peak_sram_bytes:,}", f"{m.flash_bytes:,}")
    if m.status != "ok":
        return (m.board_type, _place(m), m.status, None, None, None, *size)
    costs = (f"{m.cycles:,}", f"{m.latency_ms:.3f}", f"{m.cycles_per_mac:.2f}")
    return (m.board_type, _place(m), m.status, *costs, *size)


COST_COLUMNS = (
    *("type", "board", "status", "cycles ", "latency ms ", "cycles/MAC "),
    *("peak SRAM B ", "flash B "),
)


def _place(m: Measurement) -> str:
    kind = " (virtual)" if m.virtual else ""
    return f"{m.board}{kind}" + (", stored" if m.source == "stored" else "")
